/** What PostgreSQL has to keep apart when two processes write to one database at once: numbers, claims, keys, lanes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openStorage, type Storage } from "../../src/storage.ts";
import { openPostgresBeside } from "../../src/storage/postgres.ts";
import { drive, type Drive, SESSION } from "../conformance/drive.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";

let server: PostgresServer;
let folder: TemporaryFolder;
let storages: readonly Storage[];
let one: Drive;
let other: Drive;

beforeAll(async () => {
  [server, folder] = await Promise.all([startPostgres(), temporaryFolder()]);
  const options = {
    databaseUrl: await server.database(),
    dataDir: folder.path,
    durability: "process",
  } as const;
  const first = await openStorage(options);
  const second = await openPostgresBeside(options);
  storages = [first, second];
  [one, other] = [drive(first.jobs), drive(second.jobs)];
});
afterAll(async () => {
  for (const storage of storages) await storage.stop();
  await server.remove();
  await folder.remove();
});

const times = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

test("faults/R45: numbers of interleaved transactions become visible in order, without a gap", async () => {
  const run = await one.started();
  let over = false;
  const seen: number[][] = [];
  const watch = async (): Promise<void> => {
    while (!over) seen.push((await other.log(run.id)).map(({ seq }) => seq));
  };
  const write = async (on: Drive): Promise<void> => {
    for (const n of times(150)) expect(await on.text(run, `${n}`, "!")).toBe("ok");
  };
  const watching = watch();
  await Promise.all([write(one), write(other)]);
  over = true;
  await watching;
  for (const seqs of seen) expect(seqs).toEqual(times(seqs.length).map((n) => n + 1));
  expect((await one.log(run.id)).map(({ seq }) => seq)).toEqual(times(602).map((n) => n + 1));
  // The reader met it at many lengths, or this showed nothing.
  expect(new Set(seen.map(({ length }) => length)).size).toBeGreaterThan(20);
});

test("no job is claimed twice", async () => {
  const ids = await Promise.all(times(300).map(() => one.submit({ type: "shared" })));
  const claimed: string[] = [];
  const claim = async (on: Drive, name: string): Promise<void> => {
    for (const n of times(40)) {
      const runs = await on.claim({ types: [{ type: "shared", most: 5 }], secret: `${name}-${n}` });
      claimed.push(...runs.map(({ id }) => id));
    }
  };
  await Promise.all([claim(one, "one"), claim(other, "other")]);
  expect(claimed.toSorted()).toEqual(ids.toSorted());
});

test("one key is one job, whoever is asked", async () => {
  const outcomes = await Promise.all(
    times(40).map((n) => (n % 2 === 0 ? one : other).trySubmit({ key: `key-${n >> 2}`, type: "keyed" })),
  );
  const made = outcomes.flatMap((outcome) => (outcome.kind === "accepted" ? [outcome.job.id] : []));
  expect(made).toHaveLength(10);
  const told = outcomes.flatMap((outcome) => (outcome.kind === "replayed" ? [outcome.id] : []));
  expect(told).toHaveLength(30);
  expect(new Set([...made, ...told]).size).toBe(10);
});

test("a lane holds one job, whoever was asked for it", async () => {
  const lane = { sessionId: SESSION, lane: "lane", type: "laned" };
  for (const _ of times(10)) await Promise.all([one.submit(lane), other.submit(lane)]);
  const jobs = await one.store.list({ userId: null, status: null, type: "laned", before: null, limit: 100 });
  expect(jobs.filter(({ job }) => job.status === "queued")).toHaveLength(1);
  expect(jobs.filter(({ job }) => job.status === "canceled")).toHaveLength(19);
});
