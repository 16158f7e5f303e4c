/** The time that the processes of one file have in common: whatever the machine's clock and the processes do. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { beginCommonTime, createCommonTime, followCommonTime } from "../../src/jobs/sqlite/time.ts";
import type { Instant } from "../../src/lib/clock.ts";
import { openSqlite, type SqliteConnection } from "../../src/sqlite/database.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";

const BEGUN_MS = 1_800_000_000_000;

let connection: SqliteConnection;
let wallMs: number;
let read: () => number;
/** Another process of the same file. */
let readElsewhere: () => number;

beforeEach(() => {
  connection = openSqlite({ path: ":memory:", durability: "process" });
  migrate(connection.raw, SQLITE_MIGRATIONS);
  wallMs = BEGUN_MS;
  beginCommonTime(connection, wallMs);
  read = createCommonTime(connection.orm, () => wallMs);
  readElsewhere = createCommonTime(connection.orm, () => wallMs);
});
afterEach(() => connection.close());

test("begins with the wall clock and goes on with it, for all of them", () => {
  for (const [stepMs, passedMs] of [
    [300, 300],
    [900, 1200],
    [10, 1210],
  ] as const) {
    wallMs += stepMs;
    expect(read()).toBe(BEGUN_MS + passedMs);
    expect(readElsewhere()).toBe(BEGUN_MS + passedMs);
  }
});

test("is stored once a second, and not with each reading", () => {
  const stored = connection.raw.query<{ steady_ms: number }, []>("SELECT steady_ms FROM clock");
  wallMs += 999;
  read();
  expect(stored.get()?.steady_ms).toBe(BEGUN_MS);
  wallMs += 1;
  readElsewhere();
  expect(stored.get()?.steady_ms).toBe(BEGUN_MS + 1000);
});

test("hardly moves when the clock is set, forwards or backwards, and never goes back", () => {
  wallMs += 3_600_000;
  expect(read()).toBe(BEGUN_MS + 5000);
  wallMs -= 7_200_000;
  expect(readElsewhere()).toBe(BEGUN_MS + 5000);
  wallMs += 400;
  expect(read()).toBe(BEGUN_MS + 5400);
});

test("does not count that nobody was there for, and begins anew no earlier than it had come", () => {
  wallMs += 60_000;
  expect(read()).toBe(BEGUN_MS + 5000);
  wallMs = BEGUN_MS;
  beginCommonTime(connection, wallMs);
  expect(read()).toBe(BEGUN_MS + 5000);
  wallMs = BEGUN_MS + 86_400_000;
  beginCommonTime(connection, wallMs);
  expect(read()).toBe(wallMs);
});

test("sets the clock of each process, whatever that one showed, and keeps it so", () => {
  const followed: number[] = [];
  const clock = createManualClock();
  const follower = { ...clock, follow: ({ steadyMs }: Instant) => void followed.push(steadyMs) };
  const machine = { ...createManualClock(), wallMs: () => wallMs };
  const stop = followCommonTime(connection, follower, machine);
  expect(followed).toEqual([BEGUN_MS]);
  wallMs += 700;
  clock.advance(1000);
  expect(followed).toEqual([BEGUN_MS, BEGUN_MS + 700]);
  stop();
  clock.advance(5000);
  expect(followed).toHaveLength(2);
});
