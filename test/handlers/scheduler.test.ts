/** Who runs what and when: slots, wake-ups, cancels, leases, time, and the way out. */
import { describe, expect, test } from "bun:test";
import { JobError } from "../../src/handlers/handler.ts";
import { createRegistry } from "../../src/handlers/registry.ts";
import type { ClaimOutcome, JobStore } from "../../src/jobs/store.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { Scheduler } from "../../src/handlers/scheduler.ts";
import { createGates, createPlace, createWorks, handlerOf, type Place } from "./run-setup.ts";
import { settle } from "./virtual-clock.ts";

async function submitted(place: Place, count: number, type = "work"): Promise<JobId[]> {
  const ids: JobId[] = [];
  for (let n = 0; n < count; n += 1) ids.push(await place.on.submit({ type }));
  return ids;
}

async function statuses(place: Place, ids: readonly JobId[]): Promise<string[]> {
  const found: string[] = [];
  for (const id of ids) found.push((await place.on.job(id)).status);
  return found;
}

describe("a scheduler", () => {
  test("runs what waited when it started, and what is woken up for later", async () => {
    const place = createPlace();
    const [before] = await submitted(place, 1);
    const works = createWorks(place, [handlerOf((job) => Promise.resolve(`run ${job.attempt}`))]);
    await settle();
    expect(await statuses(place, [before as JobId])).toEqual(["queued"]);
    await works.start();
    await settle();
    const [after] = await submitted(place, 1);
    await settle();
    expect(await statuses(place, [before, after] as JobId[])).toEqual(["succeeded", "queued"]);
    works.wake();
    await settle();
    expect(await statuses(place, [after as JobId])).toEqual(["succeeded"]);
    expect(works.running).toBe(0);
  });

  test("claims again when a place gets free only if more may wait than it could take", async () => {
    const place = createPlace();
    let claims = 0;
    const execute: JobStore["execute"] = (command) => {
      if (command.op === "claim") claims += 1;
      return place.store.execute(command);
    };
    const store = { ...place.store, execute };
    const works = createWorks(place, [handlerOf(() => Promise.resolve())], { store, concurrency: 2 });
    await works.start();
    await settle();
    const before = claims;
    const [alone] = (await submitted(place, 1)) as [JobId];
    works.wake();
    await settle();
    expect(await statuses(place, [alone])).toEqual(["succeeded"]);
    expect(claims - before).toBe(1);
    const many = await submitted(place, 5);
    works.wake();
    for (let n = 0; n < 5; n += 1) await settle();
    expect(await statuses(place, many)).toEqual(many.map(() => "succeeded"));
  });

  test("that was given up by the others stops what runs, and holds what it claims from then on by another boot", async () => {
    const place = createPlace();
    const [first, late] = (await submitted(place, 2)) as [JobId, JobId];
    const { begun, obedient } = createGates();
    let works: Scheduler | null = null;
    /** Who held each job last. */
    const owners = new Map<JobId, string>();
    const execute: JobStore["execute"] = async (command) => {
      // The second claim is on its way when the others take over.
      if (command.op === "claim" && begun.length === 1) works?.disown("next");
      const outcome = await place.store.execute(command);
      if (command.op === "claim")
        for (const { job } of (outcome as ClaimOutcome).jobs) owners.set(job.id, command.owner);
      return outcome;
    };
    const store = { ...place.store, execute };
    works = createWorks(place, [handlerOf(obedient)], { store, concurrency: 1 });
    await works.start();
    await settle();
    expect((await place.on.job(first)).status).toBe("running");
    works.disown("now");
    expect(begun[0]?.signal.aborted).toBe(true);
    await settle();
    await place.clock.advance(2000);
    const jobs = [await place.on.job(first), await place.on.job(late)];
    const running = jobs.filter(({ status }) => status === "running");
    expect(running.map(({ id }) => owners.get(id))).toEqual(["boot:node:next"]);
    expect(begun.length).toBe(2);
    expect(jobs.map(({ lostLeases }) => lostLeases)).toEqual([0, 0]);
  });

  test("gives back what it took of a type that was taken away meanwhile, without charge", async () => {
    const place = createPlace();
    const [id] = (await submitted(place, 1)) as [JobId];
    const registry = createRegistry([]);
    registry.replaceFiles([handlerOf(() => Promise.resolve())]);
    const execute: JobStore["execute"] = (command) => {
      // The claim is on its way when the handler files are loaded again.
      if (command.op === "claim") registry.replaceFiles([]);
      return place.store.execute(command);
    };
    const works = createWorks(place, [], { registry, store: { ...place.store, execute } });
    await works.start();
    await settle();
    expect(await place.on.job(id)).toMatchObject({
      status: "retrying",
      attempt: 1,
      errors: 0,
      lostLeases: 0,
    });
    expect(works.running).toBe(0);
  });

  test("gives it back again while that cannot be stored", async () => {
    const place = createPlace();
    const [id] = (await submitted(place, 1)) as [JobId];
    const registry = createRegistry([]);
    registry.replaceFiles([handlerOf(() => Promise.resolve())]);
    let failing = true;
    const execute: JobStore["execute"] = (command) => {
      if (command.op === "claim") registry.replaceFiles([]);
      if (command.op === "end" && failing) return Promise.reject(new Error("no disk"));
      return place.store.execute(command);
    };
    const works = createWorks(place, [], { registry, store: { ...place.store, execute } });
    await works.start();
    await settle();
    expect(await place.on.job(id)).toMatchObject({ status: "running" });
    failing = false;
    await place.clock.advance(1000);
    expect(await place.on.job(id)).toMatchObject({ status: "retrying", lostLeases: 0 });
  });

  test("returns the runs of the process before, and counts them", async () => {
    const place = createPlace();
    const run = await place.on.started({ type: "work", owner: "boot:node:before" });
    const works = createWorks(place, [handlerOf((job) => Promise.resolve(job.attempt))]);
    await works.start();
    await settle();
    expect(await place.on.last(run.id)).toEqual({
      kind: "job.succeeded",
      attempt: 2,
      data: { result: 2 },
    });
    expect(place.lines).toMatchObject([{ level: "info", fields: { jobs: 1 } }]);
  });

  test("returns many of them, in as many steps as it takes", async () => {
    const place = createPlace();
    await submitted(place, 450);
    await place.on.claim({ owner: "boot:node:before" });
    const works = createWorks(place, [handlerOf(() => Promise.resolve())], { concurrency: 1000 });
    await works.start();
    expect(place.lines).toMatchObject([{ fields: { jobs: 450 } }]);
    for (let n = 0; n < 10; n += 1) await settle();
    const done = await place.on.store.list({
      userId: null,
      status: "succeeded",
      type: null,
      before: null,
      limit: 1000,
    });
    expect(done).toHaveLength(450);
  });

  test("lets a run write and end in peace", async () => {
    const place = createPlace();
    const [id] = (await submitted(place, 1)) as [JobId];
    const handler = handlerOf(async (job) => {
      for (const word of ["a", "b", "c"]) await job.text(word);
      return "done";
    });
    await createWorks(place, [handler]).start();
    await settle();
    expect((await place.on.kinds(id)).slice(2)).toEqual([
      "output.text",
      "output.text",
      "output.text",
      "job.succeeded",
    ]);
  });

  test("hears a wake-up that comes while it claims", async () => {
    const place = createPlace();
    const gates = createGates();
    const works = createWorks(place, [handlerOf(gates.work)]);
    await works.start();
    await settle();
    works.wake(); // this claim comes before the job
    const submitting = submitted(place, 1);
    works.wake();
    await submitting;
    await settle();
    expect(gates.begun).toHaveLength(1);
  });

  test("takes only the types it serves", async () => {
    const place = createPlace();
    const ids = [...(await submitted(place, 1, "a")), ...(await submitted(place, 1, "b"))];
    await createWorks(place, [handlerOf(() => Promise.resolve(), { type: "b" })]).start();
    await settle();
    expect(await statuses(place, ids)).toEqual(["queued", "succeeded"]);
  });
});

describe("slots", () => {
  test("bound the runs of the process; a free one is filled at once", async () => {
    const place = createPlace();
    const gates = createGates();
    const ids = await submitted(place, 5);
    const works = createWorks(place, [handlerOf(gates.work)], { concurrency: 2 });
    await works.start();
    await settle();
    expect(gates.begun.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect(works.running).toBe(2);
    gates.open(1);
    await settle();
    expect(gates.begun.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    gates.open(0);
    gates.open(2);
    await settle();
    expect(gates.begun).toHaveLength(5);
    expect(works.running).toBe(2);
  });

  test("of a type bound its runs, and leave the others to the rest", async () => {
    const place = createPlace();
    const gates = createGates();
    await submitted(place, 4, "slow");
    const [other] = await submitted(place, 1, "other");
    const handlers = [
      handlerOf(gates.work, { type: "slow", concurrency: 2 }),
      handlerOf(gates.work, { type: "other" }),
    ];
    await createWorks(place, handlers, { concurrency: 10 }).start();
    await settle();
    expect(gates.begun.map(({ type }) => type)).toEqual(["slow", "slow", "other"]);
    gates.open(2);
    await settle();
    expect(await statuses(place, [other as JobId])).toEqual(["succeeded"]);
    expect(gates.begun).toHaveLength(3);
    gates.open(0);
    await settle();
    expect(gates.begun.map(({ type }) => type)).toEqual(["slow", "slow", "other", "slow"]);
  });

  test("are not exceeded by several types together", async () => {
    const place = createPlace();
    const gates = createGates();
    for (const type of ["a", "b", "c"]) await submitted(place, 3, type);
    const handlers = ["a", "b", "c"].map((type) => handlerOf(gates.work, { type }));
    const works = createWorks(place, handlers, { concurrency: 4 });
    await works.start();
    await settle();
    expect(gates.begun).toHaveLength(4);
    expect(works.running).toBe(4);
  });

  test("are many: a claim that was full is followed by another", async () => {
    const place = createPlace();
    const gates = createGates();
    await submitted(place, 200);
    const works = createWorks(place, [handlerOf(gates.work)], { concurrency: 150 });
    await works.start();
    await settle();
    expect(gates.begun).toHaveLength(150);
  });

  test("stay taken by a handler that does not stop, though its job has ended", async () => {
    const place = createPlace();
    const gates = createGates();
    const [first, second] = (await submitted(place, 2)) as [JobId, JobId];
    const works = createWorks(place, [handlerOf(gates.work)], { concurrency: 1 });
    await works.start();
    await settle();
    await place.on.cancel(first);
    await place.clock.advance(LIMITS.cancelGraceMs + 1000);
    expect(await statuses(place, [first, second])).toEqual(["canceled", "queued"]);
    expect(works.running).toBe(1);
    gates.open(0);
    await settle();
    expect(await statuses(place, [first, second])).toEqual(["canceled", "running"]);
  });

  test("stay taken by it when its own job is in its next run", async () => {
    const place = createPlace();
    const gates = createGates();
    const first = await place.on.submit({ timeoutMs: 5250 });
    const works = createWorks(place, [handlerOf(gates.work)], { concurrency: 2 });
    await works.start();
    await settle();
    // Its time is over, the handler goes on, and after its back-off the job runs again beside it.
    await place.clock.advance(5250);
    await place.clock.advance(500);
    expect(gates.begun.map(({ id, attempt }) => [id, attempt])).toEqual([
      [first, 1],
      [first, 2],
    ]);
    expect(works.running).toBe(2);
    await submitted(place, 1);
    works.wake();
    await settle();
    expect(gates.begun).toHaveLength(2);
    gates.open(0);
    await settle();
    expect(gates.begun).toHaveLength(3);
    // The later run is still the one that a cancel reaches.
    await place.on.cancel(first);
    await settle();
    expect(gates.begun.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });
});

describe("time", () => {
  test("brings a job's next run when its back-off is over, without anybody's help", async () => {
    const place = createPlace();
    const attempts: number[] = [];
    const handler = handlerOf((job) => {
      attempts.push(job.attempt);
      return Promise.reject(new JobError("again", "Once more.", { retryAfterMs: 300 }));
    });
    const [id] = (await submitted(place, 1)) as [JobId];
    const works = createWorks(place, [handler]);
    await works.start();
    await settle();
    expect(attempts).toEqual([1]);
    // However often it looks, it waits once: beside the sweep and the renewal of leases.
    for (let n = 0; n < 3; n += 1) works.wake();
    await settle();
    works.wake();
    await place.clock.advance(299);
    expect(place.clock.waiting).toBe(3);
    expect(attempts).toEqual([1]);
    await place.clock.advance(1);
    expect(attempts).toEqual([1, 2]);
    await place.clock.advance(300);
    expect(attempts).toEqual([1, 2, 3]);
    expect(await statuses(place, [id])).toEqual(["failed"]);
  });

  test("expires what was not started", async () => {
    const place = createPlace();
    const gates = createGates();
    await submitted(place, 1);
    const works = createWorks(place, [handlerOf(gates.work)], { concurrency: 1 });
    await works.start();
    await settle();
    const late = await place.on.submit({ startWithinMs: 1500 });
    works.wake();
    await place.clock.advance(1400);
    expect(await statuses(place, [late])).toEqual(["queued"]);
    await place.clock.advance(700);
    expect(await statuses(place, [late])).toEqual(["expired"]);
  });

  test("takes nothing of a run that is long: its lease is renewed", async () => {
    const place = createPlace();
    const gates = createGates();
    const [id] = (await submitted(place, 1)) as [JobId];
    const works = createWorks(place, [handlerOf(gates.work)]);
    await works.start();
    await place.clock.advance(10 * LIMITS.leaseMs);
    // Another process looks for leases that ran out.
    await place.on.sweep({ owner: "boot:node:other" });
    expect(await statuses(place, [id])).toEqual(["running"]);
    gates.open(0, "done");
    await settle();
    expect(await statuses(place, [id])).toEqual(["succeeded"]);
  });

  test("returns what remote workers lost, who have their whole time again from the start", async () => {
    const place = createPlace();
    const run = await place.on.started({ type: "remote", owner: "worker:w1", leaseMs: 1 });
    await place.clock.advance(2);
    await createWorks(place, [handlerOf(() => Promise.resolve())]).start();
    await place.clock.advance(LIMITS.leaseMs - 100);
    expect(await statuses(place, [run.id])).toEqual(["running"]);
    await place.clock.advance(1100);
    expect(await statuses(place, [run.id])).toEqual(["retrying"]);
  });
});

describe("a cancel", () => {
  test("reaches the run at once", async () => {
    const place = createPlace();
    const gates = createGates();
    const [id] = (await submitted(place, 1)) as [JobId];
    const works = createWorks(place, [handlerOf(gates.obedient)]);
    await works.start();
    await settle();
    expect(await place.on.cancel(id)).toBe("canceling");
    await settle();
    expect(await statuses(place, [id])).toEqual(["canceled"]);
    expect(works.running).toBe(0);
  });

  test("that a handler ignores gives it up after the grace: named, its place taken until it returns", async () => {
    const place = createPlace();
    const gates = createGates();
    const works = createWorks(place, [handlerOf(gates.work, { concurrency: 1 })]);
    await works.start();
    const [deaf, next] = (await submitted(place, 2)) as [JobId, JobId];
    works.wake();
    await settle();
    await place.on.cancel(deaf, "requested", LIMITS.cancelGraceMs);
    await place.clock.advance(LIMITS.cancelGraceMs - 1000);
    expect([...works.abandoned]).toEqual([]);
    await place.clock.advance(2000);
    expect([...works.abandoned]).toEqual([["work", 1]]);
    expect(works.running).toBe(1);
    expect(await statuses(place, [deaf, next])).toEqual(["canceled", "queued"]);
    const warnings = place.lines.filter(({ level }) => level === "warn");
    expect(warnings).toMatchObject([{ fields: { job: deaf, type: "work" } }]);
    gates.open(0);
    await settle();
    expect([...works.abandoned]).toEqual([]);
    expect(await statuses(place, [deaf, next])).toEqual(["canceled", "running"]);
    // Nobody waits at the end for a handler that is never coming back.
    await place.on.cancel(next, "requested", LIMITS.cancelGraceMs);
    await place.clock.advance(LIMITS.cancelGraceMs + 1000);
    await works.stop(60_000);
    expect(await statuses(place, [deaf, next])).toEqual(["canceled", "canceled"]);
  });

  test("reaches a run that is only just being claimed", async () => {
    const place = createPlace();
    const gates = createGates();
    const works = createWorks(place, [handlerOf(gates.obedient)]);
    await works.start();
    await settle();
    const [id] = (await submitted(place, 1)) as [JobId];
    works.wake();
    // In the same commit as the claim, so that it is announced before the claim is answered.
    expect(await place.on.cancel(id)).toBe("canceling");
    await settle();
    expect(gates.begun.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(await statuses(place, [id])).toEqual(["canceled"]);
    // And it is forgotten: the next run of anything is no business of that cancel.
    await submitted(place, 1);
    works.wake();
    await settle();
    expect(gates.begun.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });
});

describe("stopping", () => {
  test("claims nothing more and lets the runs finish", async () => {
    const place = createPlace();
    const gates = createGates();
    const ids = await submitted(place, 3);
    const works = createWorks(place, [handlerOf(gates.work)], { concurrency: 2 });
    await works.start();
    await settle();
    let stopped = false;
    void works.stop(30_000).then(() => {
      stopped = true;
    });
    gates.open(0, "a");
    await place.clock.advance(20_000);
    expect(stopped).toBe(false);
    gates.open(1, "b");
    await settle();
    expect(stopped).toBe(true);
    expect(place.clock.waiting).toBe(0);
    works.wake();
    await place.clock.advance(60_000);
    expect(await statuses(place, ids)).toEqual(["succeeded", "succeeded", "queued"]);
    expect(gates.begun).toHaveLength(2);
    expect(place.clock.waiting).toBe(0);
  });

  test("releases what did not finish in time, at no cost", async () => {
    const place = createPlace();
    const gates = createGates();
    const [id] = (await submitted(place, 1)) as [JobId];
    const works = createWorks(place, [handlerOf(gates.obedient)]);
    await works.start();
    await settle();
    const stopping = works.stop(5000);
    await place.clock.advance(4999);
    expect(gates.begun[0]?.signal.aborted).toBe(false);
    await place.clock.advance(1);
    await stopping;
    expect(await place.on.last(id)).toMatchObject({ kind: "job.retrying", data: { reason: "released" } });
    expect(await place.on.job(id)).toMatchObject({ errors: 0, lostLeases: 0 });
  });

  test("goes on without a handler that does not stop either", async () => {
    const place = createPlace();
    const gates = createGates();
    const [id] = (await submitted(place, 1)) as [JobId];
    const works = createWorks(place, [handlerOf(gates.work)]);
    await works.start();
    await settle();
    let stopped = false;
    void works.stop(100).then(() => {
      stopped = true;
    });
    await place.clock.advance(100 + 1999);
    expect(stopped).toBe(false);
    await place.clock.advance(1);
    expect(stopped).toBe(true);
    // It is handed back, so that the next process does not count a lost lease.
    expect(await place.on.last(id)).toMatchObject({ kind: "job.retrying", data: { reason: "released" } });
    expect(await place.on.job(id)).toMatchObject({ errors: 0, lostLeases: 0 });
  });

  test("keeps the leases and the time of what still finishes", async () => {
    const place = createPlace();
    const gates = createGates();
    const ids = (await submitted(place, 2)) as [JobId, JobId];
    const works = createWorks(place, [handlerOf(gates.work)]);
    await works.start();
    await settle();
    const stopping = works.stop(10 * LIMITS.leaseMs);
    await place.on.cancel(ids[1]);
    await place.clock.advance(2 * LIMITS.leaseMs);
    expect(await statuses(place, ids)).toEqual(["running", "canceled"]);
    // Another process looks for leases that ran out.
    await place.on.sweep({ owner: "boot:node:other" });
    expect(await statuses(place, ids)).toEqual(["running", "canceled"]);
    gates.open(0, "done");
    gates.open(1);
    await settle();
    await stopping;
    expect(await statuses(place, ids)).toEqual(["succeeded", "canceled"]);
  });

  test("leaves nothing running that was claimed in the last moment", async () => {
    const place = createPlace();
    const gates = createGates();
    const works = createWorks(place, [handlerOf(gates.obedient)]);
    await works.start();
    await settle();
    const [id] = (await submitted(place, 1)) as [JobId];
    works.wake();
    const stopping = works.stop(1000);
    await place.clock.advance(1000);
    await stopping;
    expect(await statuses(place, [id])).toEqual(["retrying"]);
    expect(works.running).toBe(0);
  });

  test("does not wait for a claim of which nobody knows what became, and gives back what it brings later", async () => {
    const place = createPlace();
    const known = Promise.withResolvers<void>();
    const execute: JobStore["execute"] = async (command) => {
      const outcome = await place.store.execute(command);
      if (command.op === "claim") await known.promise;
      return outcome;
    };
    const [id] = (await submitted(place, 1)) as [JobId];
    const works = createWorks(place, [handlerOf(() => Promise.resolve())], {
      store: { ...place.store, execute },
    });
    await works.start();
    const stopping = works.stop(1000);
    await place.clock.advance(5000);
    await stopping;
    known.resolve();
    await settle();
    expect(await place.on.job(id)).toMatchObject({ status: "retrying", lostLeases: 0, errors: 0 });
  });

  test("of one that runs nothing is at once, whatever waits for its back-off", async () => {
    const place = createPlace();
    await place.on.fail(await place.on.started(), { retryAfterMs: 5000 });
    const works = createWorks(place, [handlerOf(() => Promise.resolve())]);
    await works.start();
    await settle();
    expect(place.clock.waiting).toBe(3);
    await works.stop(60_000);
    expect(place.clock.waiting).toBe(0);
  });
});

test("a storage that fails is reported, and asked again", async () => {
  let failing = false;
  const place = createPlace((store): JobStore => ({
    ...store,
    execute: (command) => (failing ? Promise.reject(new Error("no disk")) : store.execute(command)),
  }));
  const gates = createGates();
  const works = createWorks(place, [handlerOf(gates.work)]);
  const [running] = (await submitted(place, 1)) as [JobId];
  await works.start();
  await settle();
  const [id] = (await submitted(place, 1)) as [JobId];
  failing = true;
  works.wake();
  await place.clock.advance(LIMITS.leaseRenewMs);
  const warnings = place.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
  expect(warnings).toContain("jobs could not be claimed");
  expect(warnings).toContain("the sweep failed");
  expect(warnings).toContain("leases could not be renewed");
  failing = false;
  await place.clock.advance(1000);
  expect(await statuses(place, [running, id])).toEqual(["running", "running"]);
});

test("every line about a run says whose it is", async () => {
  const place = createPlace();
  const id = await place.on.submit({ correlationId: "order 17" });
  const handler = handlerOf((job) => {
    job.log.info({ step: 1 }, "working");
    return Promise.reject(new Error("no"));
  });
  await createWorks(place, [handler]).start();
  await settle();
  const said = {
    job: id,
    type: "work",
    attempt: 1,
    traceId: "0af7651916cd43dd8448eb211c80319c",
    correlationId: "order 17",
  };
  expect(place.lines).toMatchObject([
    { level: "info", message: "working", fields: { ...said, step: 1 } },
    { level: "error", fields: said },
  ]);
});

describe("a job that was put off", () => {
  test("is run in the moment it is due, with nobody waking the scheduler", async () => {
    const place = createPlace();
    const gates = createGates();
    const works = createWorks(place, [handlerOf(gates.work)]);
    await works.start();
    await place.on.submit({ delayMs: 600_000 });
    works.wake();
    await place.clock.advance(599_999);
    expect(gates.begun).toHaveLength(0);
    await place.clock.advance(1);
    expect(gates.begun).toHaveLength(1);
  });

  test("to a time of day is run at that time, whichever way the wall clock was set meanwhile", async () => {
    const place = createPlace();
    const works = createWorks(place, [handlerOf(() => Promise.resolve())]);
    await works.start();
    const stepMs = 600_000;
    const at = place.clock.wallMs();
    const ids = [
      await place.on.submit({ runAt: at + stepMs }),
      await place.on.submit({ runAt: at + 3 * stepMs }),
    ];
    works.wake();
    place.clock.setWall(stepMs);
    await place.clock.advance(1000);
    expect(await statuses(place, ids)).toEqual(["succeeded", "queued"]);
    place.clock.setWall(-stepMs);
    await place.clock.advance(3 * stepMs - 1001);
    expect(await statuses(place, ids)).toEqual(["succeeded", "queued"]);
    await place.clock.advance(1);
    expect(await statuses(place, ids)).toEqual(["succeeded", "succeeded"]);
  });

  test("is told of a wall clock that was set while no server ran", async () => {
    const place = createPlace();
    const gates = createGates();
    await place.on.submit({ runAt: place.clock.wallMs() + 3_600_000 });
    place.clock.setWall(3_600_000);
    await createWorks(place, [handlerOf(gates.work)]).start();
    await settle();
    expect(gates.begun).toHaveLength(1);
  });
});
