/** Conformance of lost leases: their own budget, their own waits, and what they leave of the output (PROTOCOL section 3). */
import { expect } from "bun:test";
import { LIMITS } from "../../../src/protocol/limits.ts";
import type { Check, Drive, HeldRun } from "../drive.ts";

const REMOTE = { owner: "worker:w1", leaseMs: 1000 };

/** The lease of a remote worker runs out and is noticed. */
async function lose(on: Drive, maxLostLeases: number = LIMITS.maxLostLeases): Promise<void> {
  on.pass(1000);
  await on.sweep({ maxLostLeases });
}

async function nextRun(on: Drive, run: HeldRun): Promise<HeldRun> {
  on.pass(10_000);
  return on.again(run.id, REMOTE);
}

export function losing(check: Check): void {
  check("is followed by another run after 0, 0, 1, 2, 4, 5, 5 … seconds", async (on) => {
    let run = await on.started(REMOTE);
    const delays: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      await lose(on, 100);
      const { kind, data, attempt } = await on.last(run.id);
      expect({ kind, attempt }).toEqual({ kind: "job.retrying", attempt: n + 1 });
      const { delayMs } = data as { delayMs: number };
      expect(data).toEqual({ reason: "worker_lost", delayMs });
      const job = await on.job(run.id);
      const spreadMs = job.readyBy - on.now().steadyMs - delayMs;
      expect(spreadMs).toBeWithin(0, Math.max(delayMs, 1));
      expect(Number.isInteger(spreadMs)).toBe(true);
      expect(job).toMatchObject({
        status: "retrying",
        lostLeases: n + 1,
        leaseToken: null,
        leaseOwner: null,
        leaseBy: null,
      });
      delays.push(delayMs);
      run = await nextRun(on, run);
    }
    expect(delays).toEqual([0, 0, 1000, 2000, 4000, 5000, 5000, 5000]);
  });

  check("of several jobs at once is followed by their runs apart, in another order each time", async (on) => {
    const runs = [];
    for (let n = 0; n < 8; n += 1) runs.push(await on.started(REMOTE));
    const orders: string[] = [];
    for (let loss = 1; loss <= 4; loss += 1) {
      await lose(on, 100);
      const jobs = await Promise.all(runs.map(({ id }) => on.job(id)));
      const waits = jobs.map(({ id, readyBy }) => ({ id, waitMs: readyBy - on.now().steadyMs }));
      if (loss > 2) {
        expect(new Set(waits.map(({ waitMs }) => waitMs)).size).toBeGreaterThan(3);
        const inOrder = waits.toSorted((a, b) => a.waitMs - b.waitMs);
        orders.push(inOrder.map(({ id }) => id).join(" "));
      }
      on.pass(10_000);
      for (const { id } of runs) await on.again(id, REMOTE);
    }
    expect(new Set(orders).size).toBe(2);
  });

  check("fails the job when the budget of lost leases is spent", async (on) => {
    let run = await on.started({ ...REMOTE, maxAttempts: 1 });
    for (let n = 1; n < LIMITS.maxLostLeases; n += 1) {
      await lose(on);
      expect(await on.job(run.id)).toMatchObject({ status: "retrying" });
      run = await nextRun(on, run);
    }
    await lose(on);
    expect(await on.last(run.id)).toMatchObject({
      kind: "job.failed",
      attempt: LIMITS.maxLostLeases,
      data: {
        error: { code: "worker_lost", origin: "worker_lost", retryable: true, attempt: LIMITS.maxLostLeases },
      },
    });
    expect(await on.job(run.id)).toMatchObject({ status: "failed", errors: 0, finishedAt: on.now().wallMs });
  });

  check("costs no error, and an error costs no lease", async (on) => {
    let run = await on.started({ ...REMOTE, maxAttempts: 2 });
    await lose(on);
    run = await nextRun(on, run);
    expect(await on.fail(run)).toBe("retrying");
    run = await nextRun(on, run);
    await lose(on);
    run = await nextRun(on, run);
    expect(await on.job(run.id)).toMatchObject({ errors: 1, lostLeases: 2, attempt: 4 });
    expect(await on.fail(run)).toBe("failed");
  });

  check("has the next run void the output: worker_lost, or restart after one", async (on) => {
    const first = await on.started(REMOTE);
    await on.text(first, "half");
    await lose(on);
    const second = await on.again(first.id, { owner: "boot:node:before" });
    expect((await on.last(first.id)).data).toEqual({ reason: "worker_lost" });
    await on.text(second, "half again");
    await on.recover();
    expect((await on.last(first.id)).data).toEqual({ reason: "restart", delayMs: 0 });
    await on.again(first.id);
    expect((await on.last(first.id)).data).toEqual({ reason: "restart" });
    expect(await on.kinds(first.id)).toEqual([
      "job.queued",
      "job.started",
      "output.text",
      "job.retrying",
      "job.started",
      "output.reset",
      "output.text",
      "job.retrying",
      "job.started",
      "output.reset",
    ]);
  });

  check("after output fails a job that may not be retried then, output kept", async (on) => {
    const silent = await on.started({ ...REMOTE, retryAfterOutput: false });
    await lose(on);
    const run = await on.again(silent.id, REMOTE);
    await on.text(run, "kept");
    await lose(on);
    expect((await on.kinds(run.id)).slice(-2)).toEqual(["output.text", "job.failed"]);
    expect((await on.last(run.id)).data).toMatchObject({ error: { code: "worker_lost", attempt: 2 } });
  });

  check("of a job that is being canceled ends it as canceled", async (on) => {
    const remote = await on.started(REMOTE);
    const before = await on.started({ owner: "boot:node:before" });
    await on.cancel(remote.id, "admin");
    await on.cancel(before.id, "disconnected");
    await on.recover();
    await lose(on, 1);
    expect(await on.last(remote.id)).toMatchObject({ kind: "job.canceled", data: { reason: "admin" } });
    expect(await on.last(before.id)).toMatchObject({
      kind: "job.canceled",
      data: { reason: "disconnected" },
    });
    expect(await on.job(remote.id)).toMatchObject({ status: "canceled", lostLeases: 0 });
  });

  check("and a cancel that was not heeded, noticed together, end the job once", async (on) => {
    const run = await on.started(REMOTE);
    await on.cancel(run.id);
    on.pass(LIMITS.cancelGraceMs);
    await on.sweep();
    expect(await on.kinds(run.id)).toEqual(["job.queued", "job.started", "job.canceling", "job.canceled"]);
    expect(await on.job(run.id)).toMatchObject({ status: "canceled", lostLeases: 0 });
  });
}
