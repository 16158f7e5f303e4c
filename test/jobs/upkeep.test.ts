/** What goes on beside the jobs: jobs nobody waits for are canceled, and what is old is deleted in small steps. */
import { describe, expect, test } from "bun:test";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import { createOrphans } from "../../src/jobs/orphans.ts";
import { createRetention } from "../../src/jobs/retention.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, SESSION } from "../conformance/drive.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";

function setup() {
  const clock = createVirtualClock();
  const store = createMemoryJobStore();
  return { clock, store, on: drive(store, clock), ...recordingLogger() };
}

const LISTENING = { sessionId: SESSION, cancelOnDisconnect: true };

describe("a job that is canceled when nobody is there", () => {
  test("goes once its session has been without a socket for its orphanMs", async () => {
    const { clock, store, on, logger } = setup();
    let absentMs = 0;
    const orphans = createOrphans({ store, clock, logger, absentMs: () => Promise.resolve(absentMs) });
    orphans.start();
    const patient = await on.submit({ ...LISTENING, orphanMs: 30_000 });
    const hasty = await on.submit({ ...LISTENING, orphanMs: 0 });
    const indifferent = await on.submit({ sessionId: SESSION, orphanMs: 0 });
    await clock.advance(5000);
    expect(await on.job(hasty)).toMatchObject({ status: "queued" });
    absentMs = 1;
    await clock.advance(1000);
    expect(await on.last(hasty)).toMatchObject({ kind: "job.canceled", data: { reason: "disconnected" } });
    absentMs = 29_999;
    await clock.advance(1000);
    expect(await on.job(patient)).toMatchObject({ status: "queued" });
    absentMs = Number.POSITIVE_INFINITY; // the session is over
    await clock.advance(1000);
    expect(await on.job(patient)).toMatchObject({ status: "canceled" });
    expect(await on.job(indifferent)).toMatchObject({ status: "queued" });
    orphans.stop();
    orphans.stop();
    expect(clock.waiting).toBe(0);
  });

  test("is asked to stop within the usual grace when it runs", async () => {
    const { clock, store, on, logger } = setup();
    const orphans = createOrphans({ store, clock, logger, absentMs: () => Promise.resolve(1e9) });
    const run = await on.started(LISTENING);
    orphans.start();
    await clock.advance(1000);
    const job = await on.job(run.id);
    expect(job).toMatchObject({ status: "canceling", cancelReason: "disconnected" });
    expect((job.cancelBy ?? 0) - on.now().steadyMs).toBeWithin(
      LIMITS.cancelGraceMs - 1000,
      LIMITS.cancelGraceMs + 1,
    );
    orphans.stop();
  });

  test("goes at once when its session is logged out, others stay", async () => {
    const { clock, store, on, logger } = setup();
    const orphans = createOrphans({ store, clock, logger, absentMs: () => Promise.resolve(0) });
    const mine = await on.submit(LISTENING);
    const theirs = await on.submit({ ...LISTENING, sessionId: "session-2" as SessionId });
    const staying = await on.submit({ sessionId: SESSION });
    await orphans.loggedOut(SESSION);
    expect(await on.last(mine)).toMatchObject({ kind: "job.canceled", data: { reason: "logged_out" } });
    for (const id of [theirs, staying]) expect(await on.job(id)).toMatchObject({ status: "queued" });
  });

  test("faults/R23 is found behind thousands whose clients are there", async () => {
    const { clock, store, on, logger } = setup();
    const gone = "session-gone" as SessionId;
    const absentMs = async (session: SessionId): Promise<number> => (session === gone ? 1e9 : 0);
    const orphans = createOrphans({ store, clock, logger, absentMs });
    const staying = await Promise.all(
      Array.from({ length: 10_000 }, () => on.submit({ ...LISTENING, orphanMs: 0 })),
    );
    const last = await on.submit({ ...LISTENING, sessionId: gone, orphanMs: 0 });
    orphans.start();
    await clock.advance(500);
    for (let turn = 0; turn < 200 && (await on.job(last)).status === "queued"; turn += 1) await settle();
    expect(await on.job(last)).toMatchObject({ status: "canceled", cancelReason: "disconnected" });
    expect(await on.job(staying[9999] ?? last)).toMatchObject({ status: "queued" });
    orphans.stop();
    await orphans.loggedOut(SESSION);
    expect(await on.job(staying[9999] ?? last)).toMatchObject({
      status: "canceled",
      cancelReason: "logged_out",
    });
  });

  test("is looked for again after a look that failed, and never by two looks at once", async () => {
    const { clock, store, on, logger, lines } = setup();
    const looks: PromiseWithResolvers<number>[] = [];
    const absentMs = (): Promise<number> => {
      const look = Promise.withResolvers<number>();
      looks.push(look);
      return look.promise;
    };
    const orphans = createOrphans({ store, clock, logger, absentMs });
    const id = await on.submit({ ...LISTENING, orphanMs: 0 });
    orphans.start();
    await clock.advance(5000);
    expect(looks).toHaveLength(1);
    looks[0]?.reject(new Error("no disk"));
    await clock.advance(600);
    expect(lines).toMatchObject([{ level: "warn", fields: { error: { message: "no disk" } } }]);
    expect(looks).toHaveLength(2);
    looks[1]?.resolve(5);
    await settle();
    expect(await on.job(id)).toMatchObject({ status: "canceled" });
    orphans.stop();
  });
});

describe("retention", () => {
  const HOUR_MS = 3_600_000;
  const kept = {
    eventsRetentionMs: HOUR_MS,
    jobsRetentionMs: 3 * HOUR_MS,
    idempotencyRetentionMs: 2 * HOUR_MS,
  };

  test("deletes logs, keys and jobs when their time is over, not before", async () => {
    const { clock, store, on, logger } = setup();
    const retention = createRetention({ store, clock, logger, ...kept });
    retention.start();
    const run = await on.started({ key: "k" });
    await on.text(run, "a", "b");
    await on.succeed(run, { text: "ab" });
    const key = { userId: (await on.job(run.id)).userId, route: "POST /v1/jobs", key: "k" };
    const state = async () => ({
      entries: (await on.log(run.id)).length,
      key: (await store.findByKey(key)) !== null,
      job: (await store.find(run.id)) !== null,
    });
    await clock.advance(HOUR_MS - 60_000);
    expect(await state()).toEqual({ entries: 5, key: true, job: true });
    await clock.advance(120_000);
    expect(await state()).toEqual({ entries: 1, key: true, job: true });
    await clock.advance(HOUR_MS);
    expect(await state()).toEqual({ entries: 1, key: false, job: true });
    await clock.advance(HOUR_MS);
    expect(await state()).toEqual({ entries: 0, key: false, job: false });
    await retention.stop();
    expect(clock.waiting).toBe(0);
  });

  test("goes step by step until nothing is left, and stops between two steps", async () => {
    const { clock, store, on, logger } = setup();
    const steps: number[] = [];
    let pause: Promise<void> = Promise.resolve();
    const watched: JobStore = {
      ...store,
      async execute(command) {
        const outcome = await store.execute(command);
        if (command.op === "retain") {
          steps.push(outcome as number);
          await pause;
        }
        return outcome;
      },
    };
    const retention = createRetention({ store: watched, clock, logger, ...kept });
    for (let n = 0; n < 4; n += 1) {
      const run = await on.started();
      await on.text(run, ...Array.from({ length: 400 }, () => "x"));
      await on.succeed(run);
    }
    retention.start();
    await clock.advance(HOUR_MS);
    const gate = Promise.withResolvers<void>();
    pause = gate.promise;
    await clock.advance(60_000);
    const first = steps.length;
    expect(steps.at(-1)).toBe(500);
    const stopping = retention.stop();
    gate.resolve();
    await stopping;
    await clock.advance(HOUR_MS);
    expect(steps).toHaveLength(first);

    const again = createRetention({ store: watched, clock, logger, ...kept });
    again.start();
    await clock.advance(60_000);
    expect(steps.slice(first)).toEqual([500, 500, 4 * 402 - 1500]);
    await again.stop();
  });

  test("reports a storage that fails and tries again", async () => {
    const { clock, store, on, logger, lines } = setup();
    let failing = true;
    const retention = createRetention({
      ...kept,
      eventsRetentionMs: 400,
      store: {
        ...store,
        execute: (command) => (failing ? Promise.reject(new Error("no disk")) : store.execute(command)),
      },
      clock,
      logger,
    });
    const run = await on.started();
    await on.succeed(run);
    retention.start();
    await clock.advance(600);
    expect(lines.map(({ message }) => message)).toContain("retention could not delete");
    failing = false;
    await clock.advance(200);
    expect(await on.log(run.id)).toHaveLength(1);
    await retention.stop();
  });
});
