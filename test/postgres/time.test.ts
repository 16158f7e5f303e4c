/**
 * One time for all nodes: they go by the clock of the database, whatever they and their commands say, and whatever is
 * done to that clock. What it says is moved by moving the row that it is compared with.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { JobStore } from "../../src/jobs/store.ts";
import { createSystemClock, type SystemClock } from "../../src/lib/clock.ts";
import { connect, type PostgresConnection } from "../../src/postgres/connection.ts";
import { ADVISORY_LOCKS, migrate } from "../../src/postgres/migrate.ts";
import { POSTGRES_MIGRATIONS } from "../../src/postgres/migrations.ts";
import { startTimekeeper, TIME, timeOf } from "../../src/postgres/time.ts";
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { drive } from "../conformance/drive.ts";
import { temporaryFolder } from "../conformance/storages.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { until } from "../support/wait.ts";

const HOUR_MS = 3_600_000;

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

/** A clock that is wrong by so much until it follows another. */
function clockOff(byMs: number): SystemClock {
  const clock = createSystemClock();
  clock.resume(clock.steadyMs() + byMs);
  return clock;
}

/** A migrated database of its own, its clock row, and processes that keep its time until the test is over. */
async function openScene(): Promise<
  AsyncDisposable & {
    readonly url: string;
    readonly client: PostgresConnection;
    keep(clock: SystemClock): Promise<{ stop(): void }>;
    row(): Promise<{ steady: number; wall: number }>;
    /** As if the database's clock had been set, or nobody had looked. */
    setRow(changes: string): Promise<void>;
  }
> {
  const url = await server.database();
  await migrate(url, POSTGRES_MIGRATIONS);
  const client = await connect(url);
  const kept: { stop(): void }[] = [];
  return {
    url,
    client,
    async keep(clock) {
      const keeper = await startTimekeeper({ url, clock, logger: null });
      kept.push(keeper);
      return keeper;
    },
    async row() {
      const [row] = await client.unsafe("SELECT steady_ms AS steady, wall_ms AS wall FROM clock");
      return { steady: Number(row?.["steady"]), wall: Number(row?.["wall"]) };
    },
    async setRow(changes) {
      await client.unsafe(`UPDATE clock SET ${changes}`);
    },
    async [Symbol.asyncDispose]() {
      for (const keeper of kept) keeper.stop();
      client.close();
      await Promise.resolve();
    },
  };
}

test("faults/R19 clocks that are hours apart agree from the start, with each other and with the database", async () => {
  await using scene = await openScene();
  const clocks = [clockOff(5 * HOUR_MS), clockOff(0), clockOff(2 * HOUR_MS)];
  for (const clock of clocks) await scene.keep(clock);
  const now = timeOf((await scene.client.unsafe(TIME))[0]);
  for (const clock of clocks) {
    expect(Math.abs(clock.steadyMs() - now.steadyMs)).toBeLessThan(500);
    expect(Math.abs(clock.wallMs() - now.wallMs)).toBeLessThan(500);
  }
});

test("a clock of the database that is set moves the wall time of everybody, and nobody's steady time", async () => {
  await using scene = await openScene();
  const clock = clockOff(0);
  await scene.keep(clock);
  for (const setMs of [HOUR_MS, -HOUR_MS]) {
    const [steadyMs, elapsedMs] = [clock.steadyMs(), clock.elapsedMs()];
    await scene.setRow(`wall_ms = wall_ms - ${setMs}`);
    const setTo = await scene.row();
    await until("the next look", async () => Math.abs((await scene.row()).wall - setTo.wall) > HOUR_MS / 2);
    // What passed for the process passed for all, give or take a step between two looks.
    const seen = await scene.row();
    await until("another look", async () => (await scene.row()).wall !== seen.wall);
    const passedMs = clock.steadyMs() - steadyMs;
    const reallyMs = clock.elapsedMs() - elapsedMs;
    expect(Math.abs(passedMs - reallyMs)).toBeLessThan(2500);
    expect(passedMs).toBeGreaterThan(0);
  }
});

test("while the database could not be asked time went on as the process that runs counted it", async () => {
  await using scene = await openScene();
  const clock = clockOff(0);
  await scene.keep(clock);
  const before = await scene.row();
  // Nobody has looked for 20 seconds, in which this process ran.
  await scene.setRow("steady_ms = steady_ms - 20000, wall_ms = wall_ms - 20000");
  await until("the next look", async () => (await scene.row()).steady > before.steady);
  const { steady } = await scene.row();
  expect(Math.abs(clock.steadyMs() - steady)).toBeLessThan(2000);
  expect(steady - before.steady).toBeLessThan(5000);
});

test("what passed while nobody ran counts at the next start, unless somebody ran", async () => {
  await using scene = await openScene();
  (await scene.keep(clockOff(0))).stop();
  const before = await scene.row();
  await scene.setRow(`wall_ms = wall_ms - ${HOUR_MS}`);
  (await scene.keep(clockOff(0))).stop();
  const alone = await scene.row();
  expect(alone.steady - before.steady - HOUR_MS).toBeWithin(0, 10_000);

  await scene.setRow(`wall_ms = wall_ms - ${HOUR_MS}`);
  await scene.client.unsafe(`SELECT pg_advisory_lock_shared(${ADVISORY_LOCKS.server})`);
  const late = clockOff(0);
  (await scene.keep(late)).stop();
  const beside = await scene.row();
  expect(beside.steady - alone.steady).toBeWithin(0, 10_000);
  expect(Math.abs(late.steadyMs() - beside.steady)).toBeLessThan(2000);
});

test("a clock that was never kept by the database begins at its wall clock, or where steady time had come", async () => {
  await using scene = await openScene();
  const aheadMs = Date.now() + HOUR_MS;
  await scene.client.unsafe("INSERT INTO clock (id, steady_ms) VALUES (1, $1::float8)", [aheadMs]);
  (await scene.keep(clockOff(0))).stop();
  expect((await scene.row()).steady).toBe(aheadMs);
  await scene.setRow("steady_ms = 5, wall_ms = NULL");
  (await scene.keep(clockOff(0))).stop();
  expect(Math.abs((await scene.row()).steady - Date.now())).toBeLessThan(10_000);
});

test("many that look at once make time go no faster", async () => {
  await using scene = await openScene();
  const clocks = Array.from({ length: 12 }, () => clockOff(0));
  for (const clock of clocks) await scene.keep(clock);
  const [first = clockOff(0)] = clocks;
  const [steadyMs, elapsedMs] = [first.steadyMs(), first.elapsedMs()];
  let looks = 0;
  let last = 0;
  await until("twenty looks", async () => {
    const { wall } = await scene.row();
    if (wall !== last) looks += 1;
    last = wall;
    return looks > 20;
  });
  const passedMs = first.steadyMs() - steadyMs;
  const reallyMs = first.elapsedMs() - elapsedMs;
  expect(Math.abs(passedMs - reallyMs)).toBeLessThan(500);
}, 30_000);

test("commands take effect at the database's time, whatever they say", async () => {
  await using scene = await openScene();
  const folder = await temporaryFolder();
  const node = { id: () => "one", several: true, clock: clockOff(0) };
  const storage: Storage = await openStorage({
    databaseUrl: scene.url,
    dataDir: folder.path,
    durability: "process",
    node,
  });
  try {
    const seen: Parameters<JobStore["execute"]>[0][] = [];
    const execute: JobStore["execute"] = (command) => {
      seen.push(command);
      return storage.jobs.execute(command);
    };
    // A drive without a clock says that it is another year.
    const on = drive({ ...storage.jobs, execute });
    const late = await on.submit({ type: "late", delayMs: 600_000 });
    const run = await on.started({ leaseMs: 30_000 });
    const now = timeOf((await scene.client.unsafe(TIME))[0]);
    expect(Math.abs((seen[0]?.at.wallMs ?? 0) - now.wallMs)).toBeGreaterThan(24 * HOUR_MS);
    const job = await on.job(run.id);
    expect(Math.abs(job.createdAt - now.wallMs)).toBeLessThan(5000);
    expect(Math.abs((job.leaseBy ?? 0) - now.steadyMs - 30_000)).toBeLessThan(5000);
    expect(Math.abs((await on.job(late)).readyBy - now.steadyMs - 600_000)).toBeLessThan(5000);
    const { nextReadyMs } = await on.tryClaim({ types: [{ type: "late", most: 1 }] });
    expect(nextReadyMs).toBe((await on.job(late)).readyBy);
    // The clock of the process stands where the leases are counted.
    expect(Math.abs(node.clock.steadyMs() - now.steadyMs)).toBeLessThan(5000);
    expect(await storage.jobs.steadyMs()).toBeWithin(now.steadyMs - 5000, now.steadyMs + 5000);
  } finally {
    await storage.stop();
    await folder.remove();
  }
});
