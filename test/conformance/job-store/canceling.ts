/** Conformance of `cancel`: in each state of a job, and how a run that is told to stop comes to its end. */
import { expect } from "bun:test";
import type { RunEnd } from "../../../src/jobs/transitions.ts";
import type { CancelReason } from "../../../src/protocol/events.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { ERROR, nextJobId, type Check } from "../drive.ts";

const REASONS: readonly CancelReason[] = ["requested", "disconnected", "logged_out", "lane", "admin"];

const ENDS: readonly RunEnd[] = [
  { kind: "succeeded", result: "1" },
  { kind: "error", error: ERROR, random: 0 },
  { kind: "error", error: { ...ERROR, retryable: false }, random: 0 },
  { kind: "released" },
];

export function canceling(check: Check): void {
  check("of a job that is not there answers null", async (on) => {
    expect(await on.cancel(nextJobId())).toBeNull();
  });

  check("ends a queued job at once, and says why", async (on) => {
    for (const reason of REASONS) {
      const id = await on.submit();
      expect(await on.cancel(id, reason)).toBe("canceled");
      expect(await on.last(id)).toEqual({ kind: "job.canceled", attempt: 0, data: { reason } });
      expect(await on.job(id)).toMatchObject({
        status: "canceled",
        cancelReason: reason,
        finishedAt: on.now().wallMs,
      });
    }
    expect(await on.claim()).toEqual([]);
  });

  check("ends a retrying job at once, whether its back-off is over or not", async (on) => {
    for (const retryAfterMs of [0, 60_000]) {
      const run = await on.started();
      await on.fail(run, { retryAfterMs });
      expect(await on.cancel(run.id)).toBe("canceled");
      expect((await on.kinds(run.id)).slice(-2)).toEqual(["job.retrying", "job.canceled"]);
      on.pass(60_000);
      const { type } = await on.job(run.id);
      expect(await on.tryClaim({ types: [{ type, most: 1 }] })).toEqual({ jobs: [], nextReadyMs: null });
    }
  });

  check("asks a running job to stop, once, for the first reason given", async (on) => {
    const run = await on.started();
    const { steadyMs } = on.now();
    expect(await on.cancel(run.id, "admin", 3000)).toBe("canceling");
    on.pass(1000);
    expect(await on.cancel(run.id, "requested", 9000)).toBe("canceling");
    expect(await on.job(run.id)).toMatchObject({
      status: "canceling",
      cancelReason: "admin",
      cancelBy: steadyMs + 3000,
      leaseToken: run.lease,
      head: 3,
    });
    expect(await on.last(run.id)).toEqual({ kind: "job.canceling", attempt: 1, data: { reason: "admin" } });
  });

  check("ends the job as canceled when its run stops, however that ended", async (on) => {
    for (const how of ENDS) {
      const run = await on.started();
      await on.cancel(run.id, "logged_out");
      expect(await on.execute("end", { id: run.id, lease: run.lease, how })).toBe("canceled");
      expect(await on.last(run.id)).toEqual({
        kind: "job.canceled",
        attempt: 1,
        data: { reason: "logged_out" },
      });
      expect(await on.job(run.id)).toMatchObject({
        status: "canceled",
        errors: 0,
        error: null,
        cancelBy: null,
      });
    }
  });

  check("comes too late for a run that has ended: its end stands", async (on) => {
    const run = await on.started();
    const [ended, canceled] = await Promise.all([on.succeed(run, "done"), on.cancel(run.id)]);
    expect([ended, canceled]).toEqual(["succeeded", "succeeded"]);
    expect(await on.last(run.id)).toMatchObject({ kind: "job.succeeded" });
  });

  check("of a job that has ended changes nothing and answers how it ended", async (on) => {
    const failed = await on.started();
    await on.fail(failed, { retryable: false });
    const expired = await on.submit({ startWithinMs: 1 });
    on.pass(1);
    await on.sweep();
    const canceled = await on.submit();
    await on.cancel(canceled);
    for (const [id, status] of [
      [failed.id, "failed"],
      [expired, "expired"],
      [canceled, "canceled"],
    ] as const) {
      const before = await on.job(id);
      expect(await on.cancel(id, "admin")).toBe(status);
      expect(await on.job(id)).toEqual(before);
    }
  });

  check("is enforced by the sweep when its grace is over, and not before", async (on) => {
    const run = await on.started({ leaseMs: 60_000 });
    await on.cancel(run.id);
    on.pass(LIMITS.cancelGraceMs - 0.5);
    expect(await on.sweep()).toBe(false);
    expect(await on.job(run.id)).toMatchObject({ status: "canceling" });
    on.pass(0.5);
    await on.sweep();
    expect(await on.job(run.id)).toMatchObject({
      status: "canceled",
      leaseToken: null,
      leaseOwner: null,
      leaseBy: null,
      cancelBy: null,
      finishedAt: on.now().wallMs,
    });
    expect(await on.kinds(run.id)).toEqual(["job.queued", "job.started", "job.canceling", "job.canceled"]);
  });
}
