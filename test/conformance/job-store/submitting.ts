/** Conformance of `submit`: what is stored of a job, and the limits in front of it. */
import { expect } from "bun:test";
import type { UserId } from "../../../src/lib/ids.ts";
import { dataOf, nextJobId, SESSION, specOf, USER, type Check } from "../drive.ts";

const OTHER = "user-2" as UserId;

export function submitting(check: Check): void {
  check("stores the job as it was given, queued, with its first entry", async (on) => {
    const spec = specOf({
      sessionId: SESSION,
      metadata: { "ключ 🔑": 'a "quoted" line\n', empty: "" },
      priority: 9,
      lane: "answer",
      startWithinMs: 60_000,
      timeoutMs: 1234,
      firstOutputMs: 56,
      idleMs: 78,
      maxAttempts: 7,
      retryAfterOutput: false,
      cancelOnDisconnect: true,
      orphanMs: 0,
      tracestate: "vendor=1",
      correlationId: "order 17",
      retryOf: nextJobId(),
    });
    const outcome = await on.trySubmit({ ...spec, input: '{"text":"naïve 🙂"}' });
    const { wallMs, steadyMs } = on.now();
    const record = {
      ...spec,
      createdAt: wallMs,
      status: "queued" as const,
      attempt: 0,
      errors: 0,
      lostLeases: 0,
      head: 1,
      oldest: 1,
      logBytes: 0,
      outputAfter: 0,
      hasOutput: false,
      resetReason: null,
      startedAt: null,
      finishedAt: null,
      readyBy: steadyMs,
      startBy: steadyMs + 60_000,
      leaseToken: null,
      leaseOwner: null,
      leaseBy: null,
      cancelReason: null,
      cancelBy: null,
      progress: null,
      error: null,
      deliveredAt: null,
      acknowledged: false,
      purgedAt: null,
      unheard: false,
      items: 0,
      runBy: null,
      quietBy: null,
      endedBy: null,
    };
    expect(outcome).toEqual({ kind: "accepted", job: record, position: 1 });
    expect(await on.job(spec.id)).toEqual(record);
    expect(await on.store.input(spec.id)).toBe('{"text":"naïve 🙂"}');
    expect(await on.log(spec.id)).toEqual([
      { seq: 1, attempt: 0, at: wallMs, kind: "job.queued", data: '{"position":1}' },
    ]);
  });

  check("says the place in the queue, counting queued and retrying jobs", async (on) => {
    const retrying = await on.started();
    await on.fail(retrying, { random: 0.5 });
    await on.started();
    await on.submit();
    await on.succeed(await on.started());
    await on.cancel(await on.submit());
    const canceling = await on.started();
    await on.cancel(canceling.id);
    await on.release(canceling);
    const id = await on.submit();
    const [queued] = await on.log(id);
    expect(dataOf(queued)).toEqual({ position: 3 });
  });

  check("refuses the job over userJobs and stores nothing of it", async (on) => {
    await on.submit();
    await on.submit();
    const id = nextJobId();
    expect(await on.trySubmit({ id, userJobs: 2, key: "k" })).toEqual({ kind: "too_many_jobs" });
    expect(await on.store.find(id)).toBeNull();
    expect(await on.store.input(id)).toBeNull();
    expect(
      await on.store.list({ userId: USER, status: null, type: null, before: null, limit: 10 }),
    ).toHaveLength(2);
    expect(await on.trySubmit({ userId: OTHER, userJobs: 2 })).toMatchObject({ kind: "accepted" });
  });

  check("counts every unfinished job of the user against userJobs, until it ends", async (on) => {
    const running = await on.started();
    const retrying = await on.started();
    await on.release(retrying);
    const canceling = await on.started();
    await on.cancel(canceling.id);
    const queued = await on.submit();
    expect(await on.trySubmit({ userJobs: 4 })).toEqual({ kind: "too_many_jobs" });

    const freeing = [
      () => on.succeed(running),
      () => on.cancel(retrying.id),
      () => on.release(canceling),
      () => on.cancel(queued),
    ];
    for (const free of freeing) {
      await free();
      expect(await on.trySubmit({ userJobs: 4 })).toMatchObject({ kind: "accepted" });
      expect(await on.trySubmit({ userJobs: 4 })).toEqual({ kind: "too_many_jobs" });
    }
  });

  check(
    "refuses the job over queueJobs, whoever queued; a claim makes room, a retry takes it",
    async (on) => {
      const [first] = [await on.submit({ userId: OTHER }), await on.submit()];
      expect(await on.trySubmit({ queueJobs: 2 })).toEqual({ kind: "queue_full" });
      const [run] = await on.claim({ most: 1 });
      expect(run?.id).toBe(first);
      expect(await on.trySubmit({ queueJobs: 2 })).toMatchObject({ kind: "accepted" });
      expect(await on.trySubmit({ queueJobs: 3 })).toMatchObject({ kind: "accepted" });
      if (run !== undefined) await on.release(run);
      expect(await on.trySubmit({ queueJobs: 4 })).toEqual({ kind: "queue_full" });
      expect(await on.trySubmit({ queueJobs: 5 })).toMatchObject({ kind: "accepted" });
    },
  );

  check("holds the limits within one commit as well", async (on) => {
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => on.trySubmit({ userJobs: 3 })));
    expect(outcomes.map(({ kind }) => kind)).toEqual([
      "accepted",
      "accepted",
      "accepted",
      "too_many_jobs",
      "too_many_jobs",
    ]);
  });
}
