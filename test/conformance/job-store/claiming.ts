/** Conformance of `claim`: what may be taken, how much of it, and what the claimer is given. */
import { expect } from "bun:test";
import type { JobRecord } from "../../../src/jobs/job.ts";
import { nextJobId, OWNER, type Check } from "../drive.ts";

export function claiming(check: Check): void {
  check("of an empty queue gives nothing", async (on) => {
    expect(await on.tryClaim()).toEqual({ jobs: [], nextReadyMs: null });
  });

  check("starts the first run under a lease, and hands over what was submitted", async (on) => {
    const id = await on.submit({ input: '{"n":1}' });
    on.pass(250);
    const { wallMs, steadyMs } = on.now();
    const { jobs } = await on.tryClaim({ secret: "s", leaseMs: 1000 });
    const [claimed] = jobs;
    expect(jobs).toHaveLength(1);
    expect(claimed?.input).toBe('{"n":1}');
    expect(claimed?.checkpoint).toBeNull();
    expect(claimed?.job as JobRecord).toEqual(await on.job(id));
    expect(await on.job(id)).toMatchObject({
      status: "running",
      attempt: 1,
      head: 2,
      startedAt: wallMs,
      startBy: null,
      leaseToken: claimed?.job.leaseToken,
      leaseOwner: OWNER,
      leaseBy: steadyMs + 1000,
    });
    expect((await on.log(id)).at(-1)).toEqual({
      seq: 2,
      attempt: 1,
      at: wallMs,
      kind: "job.started",
      data: "{}",
    });
  });

  check("names the worker, when a remote one takes it", async (on) => {
    const run = await on.started({ owner: "worker:w1", worker: "w1" });
    expect((await on.last(run.id)).data).toEqual({ worker: "w1" });
  });

  check("gives every run a lease token of its own, made from the secret", async (on) => {
    for (let n = 0; n < 3; n += 1) await on.submit();
    const runs = await on.claim({ secret: "hidden" });
    expect(new Set(runs.map(({ lease }) => lease)).size).toBe(3);
    for (const { lease } of runs) expect(lease).toStartWith("hidden");
  });

  check("takes a job once, also when two claim at the same moment", async (on) => {
    const id = await on.submit();
    const claims = await Promise.all([on.claim(), on.claim()]);
    expect(claims.map((runs) => runs.map((run) => run.id))).toEqual([[id], []]);
    expect(await on.claim()).toEqual([]);
  });

  check("takes only the types it was asked for, and of each no more than was said", async (on) => {
    for (let n = 0; n < 3; n += 1) {
      await on.submit({ type: "a" });
      await on.submit({ type: "b" });
      await on.submit({ type: "c" });
    }
    const { jobs } = await on.tryClaim({
      types: [
        { type: "a", most: 2 },
        { type: "b", most: 0 },
        { type: "c", most: 9 },
        { type: "unknown", most: 9 },
      ],
    });
    expect(jobs.map(({ job }) => job.type).toSorted()).toEqual(["a", "a", "c", "c", "c"]);
  });

  check("takes no more than `most` over all types", async (on) => {
    for (let n = 0; n < 3; n += 1) await on.submit({ type: n === 1 ? "b" : "a" });
    const types = [
      { type: "a", most: 5 },
      { type: "b", most: 5 },
    ];
    expect(await on.claim({ types, most: 2 })).toHaveLength(2);
    expect(await on.claim({ types, most: 0 })).toEqual([]);
    expect(await on.claim({ types, most: 2 })).toHaveLength(1);
  });

  check("numbers the runs and keeps the time of the first start", async (on) => {
    const first = await on.started();
    const { startedAt } = await on.job(first.id);
    for (const attempt of [2, 3]) {
      const before = await on.job(first.id);
      await on.release({ ...first, attempt: before.attempt, lease: before.leaseToken ?? first.lease });
      on.pass(5);
      expect(await on.again(first.id)).toMatchObject({ attempt });
    }
    expect(await on.job(first.id)).toMatchObject({ attempt: 3, startedAt });
  });

  check("waits for the back-off, and says when the next job may run by steady time", async (on) => {
    const sooner = await on.started();
    const later = await on.started();
    await on.fail(later, { retryAfterMs: 900 });
    await on.fail(sooner, { retryAfterMs: 400 });
    const readyMs = on.now().steadyMs + 400;
    expect(await on.tryClaim()).toEqual({ jobs: [], nextReadyMs: readyMs });
    on.pass(399.5);
    const { type } = await on.job(sooner.id);
    const types = [{ type, most: 1 }];
    expect(await on.tryClaim({ types })).toEqual({ jobs: [], nextReadyMs: readyMs });
    on.pass(0.5);
    const claimed = await on.tryClaim({ types });
    expect(claimed.jobs.map(({ job }) => job.id)).toEqual([sooner.id]);
    expect(claimed.nextReadyMs).toBe(readyMs + 500);
  });

  check("lets a late job expire in place of starting it, and takes the one behind it", async (on) => {
    const late = await on.submit({ startWithinMs: 100 });
    const inTime = await on.submit();
    on.pass(100);
    expect((await on.claim({ most: 1 })).map(({ id }) => id)).toEqual([inTime]);
    expect(await on.kinds(late)).toEqual(["job.queued", "job.expired"]);
    expect(await on.job(late)).toMatchObject({ status: "expired", attempt: 0, leaseToken: null });
  });

  check("keeps to the bound of a type also when it found late jobs first", async (on) => {
    await on.submit({ startWithinMs: 100 });
    for (let n = 0; n < 5; n += 1) await on.submit();
    on.pass(100);
    expect(await on.claim({ types: [{ type: "work", most: 2 }], most: 10 })).toHaveLength(2);
  });

  check("says nothing of a next time when all that wait may run already", async (on) => {
    for (let n = 0; n < 3; n += 1) await on.submit();
    const { jobs, nextReadyMs } = await on.tryClaim({ most: 1 });
    expect({ jobs: jobs.length, nextReadyMs }).toEqual({ jobs: 1, nextReadyMs: null });
  });

  check("starts a job at the last moment before it is late", async (on) => {
    const id = await on.submit({ id: nextJobId(), startWithinMs: 100 });
    on.pass(99.5);
    expect((await on.claim()).map((run) => run.id)).toEqual([id]);
  });
}
