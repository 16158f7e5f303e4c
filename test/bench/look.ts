/**
 * What a look for lost hints costs a node, every two seconds, with 10,000 sockets that follow a job each:
 * `bun test/bench/look.ts`.
 */
import { idAt, type JobId, type SessionId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { drive } from "../conformance/drive.ts";
import { openThreaded, temporaryFolder } from "../conformance/storages.ts";
import { startPostgres } from "../support/postgres.ts";
import { median } from "./median.ts";

const FOLLOWED = 10_000;
const ROUNDS = 9;

const sessionIds = Array.from({ length: FOLLOWED }, (_none, n) => `session-${n}` as SessionId);

async function inSlices<Item>(
  items: readonly Item[],
  read: (slice: Item[]) => Promise<unknown>,
): Promise<number> {
  let longestMs = 0;
  for (let from = 0; from < items.length; from += LIMITS.lookJobs) {
    const beganMs = performance.now();
    await read(items.slice(from, from + LIMITS.lookJobs));
    longestMs = Math.max(longestMs, performance.now() - beganMs);
  }
  return longestMs;
}

async function measure(name: string, { jobs }: Storage): Promise<void> {
  const on = drive(jobs);
  const ids: JobId[] = [];
  for (let from = 0; from < FOLLOWED; from += 500)
    ids.push(
      ...(await Promise.all(sessionIds.slice(from, from + 500).map((sessionId) => on.submit({ sessionId })))),
    );
  const rounds: { wallMs: number; cpuMs: number; longestMs: number }[] = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    const [beganMs, cpu] = [performance.now(), process.cpuUsage()];
    // Nothing is new, as in nearly every look.
    const after = ids.at(-1) ?? idAt(0);
    const first = await inSlices(sessionIds, (sessions) =>
      jobs.newJobsOf({ sessions, after, limit: LIMITS.lookJobs }),
    );
    const second = await inSlices(ids, (some) => jobs.heads(some));
    const { user, system } = process.cpuUsage(cpu);
    rounds.push({
      wallMs: performance.now() - beganMs,
      cpuMs: (user + system) / 1000,
      longestMs: Math.max(first, second),
    });
  }
  const of = (key: "wallMs" | "cpuMs" | "longestMs"): string =>
    median(rounds.map((round) => round[key])).toFixed(1);
  process.stdout.write(
    `${name.padEnd(12)} ${of("wallMs").padStart(8)} ms   CPU of the node ${of("cpuMs").padStart(8)} ms   longest read ${of("longestMs").padStart(6)} ms\n`,
  );
}

const folder = await temporaryFolder();
const sqlite = await openThreaded(folder);
await measure("SQLite", sqlite);
await sqlite.stop();
const server = await startPostgres();
const postgres = await openStorage({
  databaseUrl: await server.database(),
  dataDir: folder.path,
  durability: "power",
});
await measure("PostgreSQL", postgres);
await postgres.stop();
await server.remove();
await folder.remove();
