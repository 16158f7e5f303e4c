/** Schedules on a clock that the test moves: one job a tick, whatever happens to clock, server and configuration. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { createRegistry } from "../../src/handlers/registry.ts";
import { createTicker, type Ticker, type TickerOptions } from "../../src/handlers/ticker.ts";
import type { Schedule } from "../../src/jobs/schedule.ts";
import { readCron } from "../../src/lib/cron.ts";
import { createIds } from "../../src/lib/ids.ts";
import { createPlace, handlerOf, type Place } from "./run-setup.ts";
import { settle } from "./virtual-clock.ts";

const MINUTE_MS = 60_000;

/** The virtual clock begins at 2027-01-15T08:00:00Z. */
function scheduleOf(options: Partial<Schedule> = {}): Schedule {
  const { cron = "*/5 * * * *", timeZone = "UTC" } = options;
  const read = readCron(cron, timeZone);
  if (!read.ok) throw new Error(read.problem);
  return {
    name: "nightly",
    cron,
    timeZone,
    ticks: read.ticks,
    type: "work",
    input: { page: 1 },
    userId: "schedule:nightly",
    priority: null,
    metadata: { why: "report" },
    maxAttempts: null,
    timeoutMs: null,
    startWithinMs: null,
    catchUp: "one",
    ...options,
  };
}

const work = handlerOf(() => Promise.resolve(), { input: z.strictObject({ page: z.number() }) });

async function started(
  place: Place,
  options: Partial<Schedule> = {},
  rest: Partial<TickerOptions> = {},
): Promise<Ticker> {
  const { store, clock, logger } = place;
  const ticker = createTicker({
    schedules: [scheduleOf(options)],
    store,
    clock,
    logger,
    registry: createRegistry([work]),
    ids: createIds(),
    userJobs: 0,
    queueJobs: 0,
    onSubmit: () => undefined,
    ...rest,
  });
  await ticker.start();
  await settle();
  return ticker;
}

/** Time of day of each job's tick, in the order of submission. */
async function ticks({ store }: Place): Promise<string[]> {
  const all = await store.list({ userId: null, status: null, type: null, before: null, limit: 1000 });
  return all.map(({ job }) => (job.metadata["tick"] ?? "").slice(11, 19)).toReversed();
}

describe("a schedule", () => {
  test("submits a job in the moment of each tick, as configured", async () => {
    const place = createPlace();
    const ticker = await started(place, {
      priority: 9,
      maxAttempts: 1,
      timeoutMs: 5000,
      startWithinMs: 6000,
    });
    await place.clock.advance(5 * MINUTE_MS - 1);
    expect(await ticks(place)).toEqual([]);
    await place.clock.advance(1);
    expect(await ticks(place)).toEqual(["08:05:00"]);
    await place.clock.advance(10 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:05:00", "08:10:00", "08:15:00"]);
    const [found] = await place.store.list({
      userId: null,
      status: null,
      type: null,
      before: null,
      limit: 1,
    });
    expect(found?.job).toMatchObject({
      userId: "schedule:nightly",
      sessionId: null,
      type: "work",
      priority: 9,
      maxAttempts: 1,
      timeoutMs: 5000,
      startWithinMs: 6000,
      metadata: { why: "report", schedule: "nightly", tick: "2027-01-15T08:15:00.000Z" },
    });
    expect(await place.store.input(found?.job.id ?? createIds().job())).toBe('{"page":1}');
    await ticker.stop();
    expect(place.clock.waiting).toBe(0);
    await place.clock.advance(10 * MINUTE_MS);
    expect(await ticks(place)).toHaveLength(3);
  });

  test("of several servers on one store has one job a tick", async () => {
    const place = createPlace();
    for (let node = 0; node < 3; node += 1) await started(place);
    await place.clock.advance(20 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:05:00", "08:10:00", "08:15:00", "08:20:00"]);
  });

  test("makes up for the last tick that passed while no server ran, and for no more", async () => {
    const place = createPlace();
    await (await started(place)).stop();
    await place.clock.advance(33 * MINUTE_MS);
    expect(await ticks(place)).toEqual([]);
    await (await started(place)).stop();
    expect(await ticks(place)).toEqual(["08:30:00"]);
    await started(place);
    expect(await ticks(place)).toEqual(["08:30:00"]);
    await place.clock.advance(2 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:30:00", "08:35:00"]);
  });

  test("makes up for none when that is configured", async () => {
    const place = createPlace();
    await (await started(place, { catchUp: "none" })).stop();
    await place.clock.advance(33 * MINUTE_MS);
    await started(place, { catchUp: "none" });
    expect(await ticks(place)).toEqual([]);
    await place.clock.advance(2 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:35:00"]);
  });

  test("that is new has no past, and one that changed begins anew", async () => {
    const place = createPlace();
    await (await started(place)).stop();
    await place.clock.advance(33 * MINUTE_MS);
    await started(place, { cron: "*/10 * * * *" });
    expect(await ticks(place)).toEqual([]);
    await place.clock.advance(7 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:40:00"]);
  });

  test("goes by the wall clock: set forward it strikes, set back it repeats nothing", async () => {
    const place = createPlace();
    await started(place);
    place.clock.setWall(12 * MINUTE_MS);
    await place.clock.advance(1000);
    expect(await ticks(place)).toEqual(["08:10:00"]);
    place.clock.setWall(-30 * MINUTE_MS);
    await place.clock.advance(32 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:10:00"]);
    await place.clock.advance(2 * MINUTE_MS);
    expect(await ticks(place)).toEqual(["08:10:00", "08:15:00"]);
  });

  test("tries a tick again that was refused, and says so once", async () => {
    const place = createPlace();
    const holder = await place.on.submit({ userId: scheduleOf().userId as never });
    await started(place, {}, { userJobs: 1 });
    await place.clock.advance(5 * MINUTE_MS + 10_000);
    expect(place.lines.filter(({ level }) => level === "warn")).toMatchObject([
      { message: "a tick waits for its job", fields: { schedule: "nightly", error: "too_many_jobs" } },
    ]);
    await place.on.cancel(holder);
    await place.clock.advance(1000);
    expect((await ticks(place)).filter((tick) => tick !== "")).toEqual(["08:05:00"]);
  });

  test("that cannot be is refused at the start, in words", async () => {
    const place = createPlace();
    expect(started(place, { type: "wrok" })).rejects.toThrow(
      '[schedules.nightly] names the type "wrok", which is not served here',
    );
    expect(started(place, { input: { page: "1" } })).rejects.toThrow(
      "[schedules.nightly] has an input that its type refuses: input.page: Invalid input: expected number, received string",
    );
  });
});
