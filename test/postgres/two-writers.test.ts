/** What PostgreSQL has to keep apart when two processes write to one database at once: numbers, claims, keys, lanes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/logger.ts";
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { openPostgresBeside } from "../../src/storage/postgres.ts";
import { drive, type Drive, SESSION } from "../conformance/drive.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";

const system = createSystemClock();
/** More than really passed for the first of them. */
let passedMs = 0;
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
  const logger = createLogger({ level: "silent", pretty: false });
  const clock = { ...system, elapsedMs: () => system.elapsedMs() + passedMs };
  const first = await openStorage({ ...options, watch: { clock, logger } });
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

test("faults/R22: a rescue by one and a completion by the other: one of them happens", async () => {
  const ends: string[] = [];
  for (const n of times(20)) {
    const run = await one.started({ owner: "boot:node:one", leaseMs: 1000 });
    for (const on of [one, other]) on.pass(1000);
    const rescue = () => other.sweep({ owner: "boot:node:other" });
    const complete = () => one.succeed(run);
    const [ended] = await Promise.all(
      n % 2 === 0 ? [complete(), rescue()] : [rescue().then(complete), rescue()],
    );
    const kinds = (await one.kinds(run.id)).slice(2);
    if (ended === "succeeded") expect(kinds).toEqual(["job.succeeded"]);
    else expect([ended, kinds]).toEqual(["lease_lost", ["job.retrying"]]);
    ends.push(ended);
  }
  expect(ends).toContain("succeeded");
  expect(ends).toContain("lease_lost");
});

test("users take turns, whichever process their jobs came to", async () => {
  const many = await Promise.all(times(60).map(() => one.submit({ type: "fair", userId: "many" as never })));
  const few = await Promise.all(times(3).map(() => other.submit({ type: "fair", userId: "few" as never })));
  const claimed: string[] = [];
  while (claimed.length < many.length + few.length) {
    const on = claimed.length % 2 === 0 ? one : other;
    claimed.push(...(await on.claim({ types: [{ type: "fair", most: 1 }], most: 1 })).map(({ id }) => id));
  }
  const places = few.map((id) => claimed.indexOf(id));
  for (const [nth, place] of places.entries()) expect(place).toBeLessThan(2 * nth + 4);
});

test("limits hold over both, but for what the other accepts in the same moment", async () => {
  const user = { userId: "greedy" as never, type: "greedy", userJobs: 10 };
  const kinds = (outcomes: readonly { kind: string }[]) =>
    outcomes.filter(({ kind }) => kind === "accepted").length;
  const outcomes = await Promise.all(times(60).map((n) => (n % 2 === 0 ? one : other).trySubmit(user)));
  // Each transaction counts what is committed: at most one of each is under way.
  expect(kinds(outcomes)).toBeWithin(10, 21);
  for (const on of [one, other]) expect((await on.trySubmit(user)).kind).toBe("too_many_jobs");

  // What the other one accepted is seen after a second.
  passedMs += 1100;
  const waiting = await one.store.waiting();
  const bounded = { type: "bounded", queueJobs: waiting + 20 };
  await Promise.all(times(20).map(() => one.trySubmit(bounded)));
  expect((await one.trySubmit(bounded)).kind).toBe("queue_full");
  // The other one empties it; who remembers a full queue counts again before it refuses.
  expect(await other.claim({ types: [{ type: "bounded", most: 20 }] })).toHaveLength(20);
  passedMs += 300;
  expect((await one.trySubmit(bounded)).kind).toBe("accepted");
});
