/** Conformance of `runAt` and `delayMs`: when a job is due, what it counts for until then, and whose turn it takes. */
import { expect } from "bun:test";
import type { UserId } from "../../../src/lib/ids.ts";
import type { Check } from "../drive.ts";

const OTHER = "user-2" as UserId;

export function puttingOff(check: Check): void {
  check("is not claimed before its delay is over, and the claim says when that is", async (on) => {
    const id = await on.submit({ delayMs: 1000 });
    expect(await on.job(id)).toMatchObject({ status: "queued", readyBy: on.now().steadyMs + 1000 });
    expect(await on.last(id)).toEqual({
      kind: "job.queued",
      attempt: 0,
      data: { position: 1, runAt: on.now().wallMs + 1000 },
    });
    const dueMs = on.now().steadyMs + 1000;
    on.pass(999.5);
    expect(await on.tryClaim()).toEqual({ jobs: [], nextReadyMs: dueMs });
    on.pass(0.5);
    expect(await on.claim()).toMatchObject([{ id, attempt: 1 }]);
  });

  check("is claimed at its time of day, at once when that is over", async (on) => {
    const later = await on.submit({ runAt: on.now().wallMs + 500 });
    const now = await on.submit({ runAt: on.now().wallMs - 500 });
    expect(await on.claim()).toMatchObject([{ id: now }]);
    on.pass(500);
    expect(await on.claim()).toMatchObject([{ id: later }]);
  });

  check("keeps to its time of day when the wall clock is set, and to its delay all the same", async (on) => {
    const start = on.now();
    const at = await on.submit({ runAt: start.wallMs + 3_600_000, startWithinMs: 10_000 });
    const after = await on.submit({ delayMs: 3_600_000 });
    on.setWall(3_000_000);
    expect(await on.execute("realign", {})).toBe(1);
    expect(await on.job(at)).toMatchObject({
      readyBy: start.steadyMs + 600_000,
      startBy: start.steadyMs + 610_000,
    });
    expect(await on.job(after)).toMatchObject({ readyBy: start.steadyMs + 3_600_000, startBy: null });
    on.setWall(-4_000_000);
    await on.execute("realign", {});
    expect(await on.job(at)).toMatchObject({ readyBy: start.steadyMs + 4_600_000 });
    on.setWall(10_000_000);
    await on.execute("realign", {});
    expect(await on.claim()).toMatchObject([{ id: at }]);
    expect(await on.execute("realign", {})).toBe(0);
  });

  check("counts its time to start from when it is due", async (on) => {
    const id = await on.submit({ delayMs: 1000, startWithinMs: 500 });
    on.pass(1499);
    await on.sweep();
    expect(await on.job(id)).toMatchObject({ status: "queued" });
    on.pass(1);
    await on.sweep();
    expect(await on.job(id)).toMatchObject({ status: "expired" });
  });

  check("counts among its user's jobs and in the queue", async (on) => {
    const id = await on.submit({ delayMs: 1000 });
    expect(await on.trySubmit({ userJobs: 1 })).toEqual({ kind: "too_many_jobs" });
    expect(await on.trySubmit({ userId: OTHER, queueJobs: 1 })).toEqual({ kind: "queue_full" });
    await on.cancel(id);
    expect(await on.last(id)).toMatchObject({ kind: "job.canceled" });
    expect(await on.trySubmit({ userJobs: 1, queueJobs: 1 })).toMatchObject({ kind: "accepted" });
    on.pass(1000);
    expect(await on.claim()).toHaveLength(1);
  });

  check("keeps nobody waiting until it is due, and takes its turn then", async (on) => {
    for (let n = 0; n < 20; n += 1) await on.submit({ delayMs: 1000 });
    const own = await on.submit();
    const others = [await on.submit({ userId: OTHER }), await on.submit({ userId: OTHER })];
    // Its user's job has the first turn, as if nothing had been put off.
    expect((await on.claim({ most: 2 })).map(({ id }) => id)).toEqual([own, others[0] ?? own]);
    on.pass(1000);
    // Twenty at once are one user's: the other's comes after two of them at most.
    const order = (await on.claim({ most: 3 })).map(({ id }) => id);
    expect(order).toContain(others[1] ?? own);
  });

  check("comes due in order, also many at once", async (on) => {
    const last = await on.submit({ delayMs: 3 });
    const first = await on.submit({ delayMs: 1 });
    const second = await on.submit({ delayMs: 2 });
    on.pass(10);
    expect((await on.claim()).map(({ id }) => id)).toEqual([first, second, last]);
  });

  check("says the place that it would have in line", async (on) => {
    const id = await on.submit({ delayMs: 1000 });
    expect(await on.store.position(id)).toBe(1);
    const now = await on.submit();
    expect(await on.store.position(id)).toBe(2);
    expect(await on.store.position(now)).toBe(1);
  });

  check("waits for its next run like any other once it ran", async (on) => {
    const id = await on.submit({ runAt: on.now().wallMs + 10 });
    on.pass(10);
    const run = await on.again(id);
    await on.fail(run, { retryAfterMs: 1000 });
    on.setWall(-3_600_000);
    expect(await on.execute("realign", {})).toBe(0);
    on.pass(1000);
    await on.again(id);
  });
}
