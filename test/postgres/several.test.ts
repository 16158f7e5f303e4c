/** Two processes that do everything to one queue at once: each job once, each key one job, each lane one job, no deadlock. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createPostgresJobReads } from "../../src/jobs/postgres/reads.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { connect } from "../../src/postgres/connection.ts";
import { migratePostgres } from "../../src/storage/postgres.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { until } from "../support/wait.ts";
import type { ChildOptions, ChildReport } from "./queue-child.ts";

let server: PostgresServer;
let folders: TemporaryFolder[];
beforeAll(async () => {
  [server, ...folders] = await Promise.all([startPostgres(), temporaryFolder(), temporaryFolder()]);
});
afterAll(async () => {
  await server.remove();
  for (const folder of folders) await folder.remove();
});

interface Child {
  readonly words: { readonly word: string; readonly report?: ChildReport }[];
  say(word: string): void;
  readonly exited: Promise<number>;
}

function startChild(options: ChildOptions): Child {
  const child = Bun.spawn(
    [process.execPath, "--no-env-file", join(import.meta.dir, "queue-child.ts"), JSON.stringify(options)],
    { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  );
  const words: Child["words"] = [];
  const read = async (): Promise<void> => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
      text = lines.pop() ?? "";
      words.push(...lines.map((line) => JSON.parse(line) as Child["words"][number]));
    }
  };
  void read();
  return {
    words,
    say(word) {
      void child.stdin.write(`${word}\n`);
      void child.stdin.flush();
    },
    exited: child.exited,
  };
}

test("faults/R22 R45 two processes at one queue: every job is run once, every key and lane is one job, nobody waits in a circle", async () => {
  const databaseUrl = await server.database();
  await migratePostgres({ databaseUrl, dataDir: "/unused", durability: "process" });
  const children = folders.map(({ path }, n) =>
    startChild({ databaseUrl, dataDir: path, id: `node-${n}`, backwards: n === 1 }),
  );
  const said = (word: string) => children.every(({ words }) => words.some((one) => one.word === word));
  await until("both to be there", () => said("open"), 30_000);
  for (const child of children) child.say("go");
  await until("both to have submitted", () => said("submitted"), 60_000);
  for (const child of children) child.say("finish");
  expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([0, 0]);
  const reports = children.flatMap(({ words }) => words.flatMap(({ report }) => report ?? []));
  const submitted = reports.flatMap((report) => report.submitted);
  const claimed = reports.flatMap((report) => report.claimed);
  expect(submitted).toHaveLength(320);
  expect(claimed.toSorted()).toEqual(submitted.toSorted());
  // Both were at it, or this showed nothing.
  for (const report of reports) {
    expect(report.claimed.length).toBeGreaterThan(20);
    expect(report.cancels).toBeGreaterThan(20);
  }

  const byKey = Map.groupBy(
    reports.flatMap(({ keyed }) => keyed),
    ({ key }) => key,
  );
  expect(byKey.size).toBe(300);
  for (const same of byKey.values()) {
    expect(same).toHaveLength(2);
    expect(new Set(same.map(({ id }) => id)).size).toBe(1);
  }

  const client = await connect(databaseUrl);
  const reads = createPostgresJobReads(client);
  const kindsOf = async (id: JobId) =>
    (await reads.events(id, { after: 0, limit: 100, bytes: 1e6 })).map(({ seq, kind }) => `${seq} ${kind}`);
  for (const id of submitted)
    expect(await kindsOf(id)).toEqual(["1 job.queued", "2 job.started", "3 output.text", "4 job.succeeded"]);
  const lanes = await reads.list({ userId: null, status: "queued", type: "laned", before: null, limit: 100 });
  expect(lanes.map(({ job }) => String(job.lane)).toSorted()).toEqual([
    "lane-0",
    "lane-1",
    "lane-2",
    "lane-3",
  ]);
  const [counted] = await client.unsafe(
    "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
  );
  expect(Number(counted?.["deadlocks"])).toBe(0);
  client.close();
}, 90_000);
