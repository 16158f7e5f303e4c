/** Conformance of what time brings: `sweep`, `renew`, `recover` and late starts. */
import { expect } from "bun:test";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { OWNER, type Check } from "../drive.ts";

export function timing(check: Check): void {
  check("expire a job that was not started in time, and not before", async (on) => {
    const id = await on.submit({ startWithinMs: 500 });
    on.pass(499.5);
    await on.sweep();
    expect(await on.job(id)).toMatchObject({ status: "queued" });
    on.pass(0.5);
    await on.sweep();
    expect(await on.last(id)).toEqual({ kind: "job.expired", attempt: 0, data: {} });
    expect(await on.job(id)).toMatchObject({
      status: "expired",
      startBy: null,
      finishedAt: on.now().wallMs,
    });
  });

  check("leave a job alone that was started in time, also when it waits for its next run", async (on) => {
    const run = await on.started({ startWithinMs: 500 });
    await on.fail(run, { retryAfterMs: 1000 });
    on.pass(800);
    await on.sweep();
    expect(await on.job(run.id)).toMatchObject({ status: "retrying" });
  });

  check("say `busy` while a step was full, and in the end have seen to everything", async (on) => {
    const late = [];
    for (let n = 0; n < 5; n += 1) late.push(await on.submit({ startWithinMs: 10 }));
    const run = await on.started({ owner: "worker:w1", leaseMs: 10 });
    const stopping = await on.started();
    await on.cancel(stopping.id, "requested", 10);
    on.pass(10);
    const steps = [];
    for (let n = 0; n < 4; n += 1) steps.push(await on.sweep({ most: 3 }));
    expect(steps).toEqual([true, true, false, false]);
    for (const id of late) expect(await on.job(id)).toMatchObject({ status: "expired" });
    expect(await on.job(run.id)).toMatchObject({ status: "retrying" });
    expect(await on.job(stopping.id)).toMatchObject({ status: "canceled" });
  });

  check("take the leases of others that ran out, never the sweeper's own", async (on) => {
    const own = await on.started({ leaseMs: 1000 });
    const worker = await on.started({ owner: "worker:w1", leaseMs: 1000 });
    const neighbour = await on.started({ owner: "boot:node:next-door", leaseMs: 1000 });
    const longer = await on.started({ owner: "worker:w1", leaseMs: 1000.5 });
    on.pass(1000);
    await on.sweep();
    const statuses = [];
    for (const { id } of [own, worker, neighbour, longer]) statuses.push((await on.job(id)).status);
    expect(statuses).toEqual(["running", "retrying", "retrying", "running"]);
  });

  check("give the leases of one owner their full time again", async (on) => {
    const runs = [];
    for (const owner of ["worker:w1", "worker:w1", "worker:w2", "worker:w1"]) {
      runs.push(await on.started({ owner, leaseMs: 1000 }));
    }
    const ended = runs[3];
    if (ended !== undefined) await on.succeed(ended);
    on.pass(900);
    expect(await on.execute("renew", { owner: "worker:w1", leaseMs: 1000 })).toBe(2);
    expect(await on.execute("renew", { owner: "worker:nobody", leaseMs: 1000 })).toBe(0);
    on.pass(999);
    await on.sweep();
    const statuses = [];
    for (const { id } of runs) statuses.push((await on.job(id)).status);
    expect(statuses).toEqual(["running", "running", "retrying", "succeeded"]);
    on.pass(1);
    await on.sweep();
    expect(await on.job(runs[0]?.id ?? (await on.submit()))).toMatchObject({ status: "retrying" });
  });

  check("keep how far steady time has come, up to a few seconds, and never go back", async (on) => {
    await on.sweep();
    const before = await on.store.steadyMs();
    expect(before).toBeGreaterThan(on.now().steadyMs - LIMITS.steadyStepMs);
    on.pass(60_000);
    await on.sweep();
    expect(await on.store.steadyMs()).toBeGreaterThan(on.now().steadyMs - LIMITS.steadyStepMs);
    expect(await on.store.steadyMs()).toBeGreaterThanOrEqual(before);
  });

  check("return the runs of a node's earlier processes at once, and no others", async (on) => {
    const before = await on.started({ owner: "boot:node:before", leaseMs: 86_400_000 });
    const long = await on.started({ owner: "boot:node:long-before" });
    const own = await on.started();
    const worker = await on.started({ owner: "worker:boot:node:w1" });
    const neighbour = await on.started({ owner: "boot:node2:before" });
    const namesake = await on.started({ owner: "boot:Node:before" });
    const queued = await on.submit();
    expect(await on.recover()).toEqual({ recovered: 2, busy: false, stuck: [] });
    expect(await on.recover()).toEqual({ recovered: 0, busy: false, stuck: [] });
    const statuses = [];
    for (const id of [before.id, long.id, own.id, worker.id, neighbour.id, namesake.id, queued])
      statuses.push((await on.job(id)).status);
    const running = Array<string>(4).fill("running");
    expect(statuses).toEqual(["retrying", "retrying", ...running, "queued"]);
    expect((await on.last(before.id)).data).toEqual({ reason: "restart", delayMs: 0 });
    expect(await on.job(own.id)).toMatchObject({ leaseOwner: OWNER });
  });

  check(
    "bury one boot of another node: its runs are lost as their worker's, a later boot's are not",
    async (on) => {
      const dead = await on.started({ owner: "boot:far_1:a", leaseMs: 86_400_000 });
      const again = await on.started({ owner: "boot:far_1:ab" });
      const other = await on.started({ owner: "boot:farX1:a" });
      const grave = { node: "far_1", boot: "a", reason: "worker_lost" } as const;
      expect(await on.recover(grave)).toEqual({ recovered: 1, busy: false, stuck: [] });
      expect((await on.last(dead.id)).data).toMatchObject({ reason: "worker_lost" });
      for (const { id } of [again, other]) expect((await on.job(id)).status).toBe("running");
      // Nobody buries itself.
      expect((await on.recover({ ...grave, boot: "ab", owner: "boot:far_1:ab" })).recovered).toBe(0);
      expect((await on.recover({ ...grave, boot: null })).recovered).toBe(1);
      expect((await on.job(other.id)).status).toBe("running");
    },
  );

  check("return them in steps of `most`", async (on) => {
    for (let n = 0; n < 5; n += 1) await on.started({ owner: "boot:node:before" });
    const steps = [];
    for (let n = 0; n < 3; n += 1) steps.push(await on.recover({ most: 2 }));
    expect(steps).toEqual([
      { recovered: 2, busy: true, stuck: [] },
      { recovered: 2, busy: true, stuck: [] },
      { recovered: 1, busy: false, stuck: [] },
    ]);
  });

  check("count a restart as a lost lease, up to the budget", async (on) => {
    const run = await on.started({ owner: "boot:node:before" });
    await on.recover({ maxLostLeases: 1 });
    expect(await on.last(run.id)).toMatchObject({
      kind: "job.failed",
      data: { error: { code: "worker_lost", origin: "worker_lost" } },
    });
  });
}
