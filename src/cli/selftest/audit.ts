/** What is read when the load is over: the books of every client, and everything once more from the database itself. */
import { join } from "node:path";
import { integrityFaults } from "../../sqlite/inspect.ts";
import { openStorageBeside } from "../../storage.ts";
import { acceptedJobs, judgeAgain, judgeBooks } from "./checker.ts";
import type { Flaw } from "./flaw.ts";
import { readerOf, type Scene, SETTLE_MS } from "./scene.ts";
import { listJobs, readStoredLog } from "./server-side.ts";

/** How long the server may take to list everything when the load is over. */
const AUDIT_MS = 60_000;
/** Reads the books of every client over HTTP, then ends the server and reads everything again from its database. */
export async function audit(scene: Scene): Promise<readonly string[] | null> {
  const { options, child, clients, tally } = scene;
  const signal = AbortSignal.timeout(AUDIT_MS);
  for (const client of clients) {
    const listed = await listJobs({ ...readerOf(scene, client), signal });
    const { name, operations } = client;
    tally.flaws.push(...client.flaws, ...judgeBooks({ client: name, operations, listed }));
    client.close();
  }
  const code = await child.stop();
  if (code !== 0)
    tally.flaws.push({ kind: "damaged", text: `the server ended with code ${code}: ${child.tail()}` });
  const dataDir = join(options.folder, "data");
  const path = join(dataDir, "holdline.db");
  const storage = await openStorageBeside({
    databaseUrl: options.databaseUrl ?? `sqlite:${path}`,
    dataDir,
    durability: options.durability,
  });
  try {
    for (const one of tally.settled)
      tally.flaws.push(...judgeAgain(one, await readStoredLog(storage, one.job)));
  } finally {
    await storage.stop();
  }
  if (options.databaseUrl !== undefined && options.databaseUrl !== null) return null;
  const faults = integrityFaults(path);
  tally.flaws.push(...faults.map((text) => ({ kind: "damaged", text }) as const));
  return faults;
}

/** What was accepted and never judged, because its end did not come in time. */
export function unended({ clients, tally }: Scene): Flaw[] {
  const judged = new Set(tally.settled.map(({ job }) => job));
  return clients
    .flatMap(({ operations }) => acceptedJobs(operations))
    .filter((job) => !judged.has(job))
    .map((job) => ({ kind: "lost", text: `job ${job}: accepted and not ended after ${SETTLE_MS} ms` }));
}
