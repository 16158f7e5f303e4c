/** Conformance of runs in remote workers: items that count, leases that are heard of, limits without a process (section 6). */
import { expect } from "bun:test";
import type { Item } from "../../../src/jobs/job.ts";
import type { RunEnd } from "../../../src/jobs/transitions.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { ERROR, textItem, type Check, type Drive, type HeldRun } from "../drive.ts";

const OWNER = "worker:t:gpu-1";
const LEASE_MS = 30_000;
const UNHEARD_MS = 5000;
const REMOTE = { owner: OWNER, worker: "gpu-1", leaseMs: UNHEARD_MS };

interface Words {
  readonly owner?: string;
  readonly jobBytes?: number;
}

function deliver(
  on: Drive,
  { id, lease }: HeldRun,
  first: number | null,
  items: Item[][],
  words: Words = {},
) {
  const { owner = OWNER, jobBytes = LIMITS.jobBytes } = words;
  return on.execute("deliver", { id, lease, owner, first, items, jobBytes, leaseMs: LEASE_MS });
}

const SUCCEEDED = { kind: "succeeded", result: "1" } as const;
const FAILED = { kind: "error", error: ERROR, random: 0 } as const;

function end(on: Drive, { id, lease }: HeldRun, how: RunEnd, owner = OWNER) {
  return on.execute("end", { id, lease, how, owner });
}

function hold(
  on: Drive,
  { id, lease }: HeldRun,
  more: { progress?: string; checkpoint?: string } & Words = {},
) {
  const { progress = null, checkpoint = null, owner = OWNER, jobBytes = LIMITS.jobBytes } = more;
  return on.execute("hold", { id, lease, owner, leaseMs: LEASE_MS, progress, checkpoint, jobBytes });
}

/** One item for each letter. */
const letters = (text: string): Item[][] => Array.from(text, (letter) => [textItem(letter)]);

async function textOf(on: Drive, run: HeldRun): Promise<string> {
  return (await on.log(run.id))
    .filter(({ kind }) => kind === "output.text")
    .map(({ data }) => (JSON.parse(String(data)) as { delta: string }).delta)
    .join("");
}

const LOST = "lease_lost";

export function remote(check: Check): void {
  check("numbers its items: known ones are passed over, gaps are refused and change nothing", async (on) => {
    const run = await on.started(REMOTE);
    expect(await deliver(on, run, 0, letters("abc"))).toEqual({ kind: "ok", next: 3 });
    expect(await deliver(on, run, 1, letters("bcde"))).toEqual({ kind: "ok", next: 5 });
    expect(await deliver(on, run, 0, letters("ab"))).toEqual({ kind: "ok", next: 5 });
    const before = await on.job(run.id);
    expect(await deliver(on, run, 6, letters("x"))).toEqual({ kind: "item_gap", next: 5 });
    expect(await on.job(run.id)).toEqual(before);
    expect(await deliver(on, run, null, letters("f"))).toEqual({ kind: "ok", next: 6 });
    expect(await textOf(on, run)).toBe("abcdef");
  });

  check("takes an item of several entries whole, as one", async (on) => {
    const run = await on.started(REMOTE);
    expect(await deliver(on, run, 0, [[textItem("a"), textItem("b")], [textItem("c")]])).toMatchObject({
      next: 2,
    });
    expect(await deliver(on, run, 0, [[textItem("a"), textItem("b")]])).toMatchObject({ next: 2 });
    expect(await textOf(on, run)).toBe("abc");
  });

  check("begins with item 0 in each run", async (on) => {
    const run = await on.started(REMOTE);
    await deliver(on, run, 0, letters("ab"));
    await on.release(run);
    const next = await on.again(run.id, REMOTE);
    expect(await on.job(run.id)).toMatchObject({ items: 0, unheard: true });
    expect(await deliver(on, next, 0, letters("c"))).toEqual({ kind: "ok", next: 1 });
    expect(await deliver(on, run, 2, letters("x"))).toBe(LOST);
  });

  check("is another's for whoever has the wrong lease or is somebody else", async (on) => {
    const run = await on.started(REMOTE);
    const before = await on.job(run.id);
    const wrong = { ...run, lease: `${run.lease}x` as typeof run.lease };
    const unknown = { ...run, id: crypto.randomUUID() as typeof run.id };
    for (const one of [wrong, unknown]) {
      expect(await deliver(on, one, 0, letters("x"))).toBe(LOST);
      expect(await hold(on, one, { progress: "{}", checkpoint: "1" })).toBe(LOST);
    }
    expect(await deliver(on, run, 0, letters("x"), { owner: "worker:t:gpu-2" })).toBe(LOST);
    expect(await hold(on, run, { owner: "worker:t:gpu-2" })).toBe(LOST);
    expect(await on.job(run.id)).toEqual(before);
  });

  check("that was never heard of goes back for free", async (on) => {
    const run = await on.started({ ...REMOTE, maxAttempts: 1 });
    on.pass(UNHEARD_MS);
    await on.sweep({ maxLostLeases: 1 });
    expect(await on.last(run.id)).toMatchObject({
      kind: "job.retrying",
      data: { reason: "released", delayMs: 0 },
    });
    expect(await on.job(run.id)).toMatchObject({
      lostLeases: 0,
      errors: 0,
      unheard: false,
      leaseToken: null,
    });
    expect(await hold(on, run)).toBe(LOST);
  });

  check("that was never heard of too often is lost, so that the job ends", async (on) => {
    const { id } = await on.started({ ...REMOTE, maxAttempts: 1 });
    for (let free = 1; free <= LIMITS.freeLeases; free += 1) {
      on.pass(UNHEARD_MS);
      await on.sweep();
      expect(await on.job(id)).toMatchObject({ status: "retrying", lostLeases: 0, attempt: free });
      await on.again(id, REMOTE);
    }
    on.pass(UNHEARD_MS);
    await on.sweep({ maxLostLeases: 2 });
    expect(await on.job(id)).toMatchObject({ status: "retrying", lostLeases: 1 });
    await on.again(id, REMOTE);
    on.pass(UNHEARD_MS);
    await on.sweep({ maxLostLeases: 2 });
    expect(await on.last(id)).toMatchObject({ kind: "job.failed" });
  });

  check("that was heard of has its whole lease again, and is lost when that runs out", async (on) => {
    for (const sign of [hold, (store: Drive, one: HeldRun) => deliver(store, one, 0, letters("a"))]) {
      const run = await on.started(REMOTE);
      on.pass(UNHEARD_MS - 1);
      await sign(on, run);
      on.pass(LEASE_MS - 1);
      await on.sweep();
      expect(await on.job(run.id)).toMatchObject({ status: "running", unheard: false });
      on.pass(1);
      await on.sweep();
      expect(await on.job(run.id)).toMatchObject({ status: "retrying", lostLeases: 1 });
    }
  });

  check("keeps progress that is news, and a checkpoint for the next run", async (on) => {
    const run = await on.started(REMOTE);
    const progress = '{"ratio":0.5}';
    for (const checkpoint of ["1", "2"]) {
      expect(await hold(on, run, { progress, checkpoint })).toEqual({ kind: "ok" });
    }
    expect((await on.kinds(run.id)).slice(2)).toEqual(["job.progress"]);
    expect(await on.job(run.id)).toMatchObject({ progress });
    await on.release(run);
    const [next] = (await on.tryClaim({ ...REMOTE, types: [{ type: (await on.job(run.id)).type, most: 1 }] }))
      .jobs;
    expect(next?.checkpoint).toBe("2");
  });

  check("hears of a cancel, may end it, and is fenced after its grace", async (on) => {
    const [heeding, deaf] = [await on.started(REMOTE), await on.started(REMOTE)];
    for (const run of [heeding, deaf]) {
      await hold(on, run);
      await on.cancel(run.id, "admin");
      const cancelBy = on.now().steadyMs + LIMITS.cancelGraceMs;
      expect(await hold(on, run)).toEqual({ kind: "cancel", reason: "admin", cancelBy });
    }
    expect(await on.release(heeding)).toBe("canceled");
    on.pass(LIMITS.cancelGraceMs);
    await on.sweep();
    expect(await on.job(deaf.id)).toMatchObject({ status: "canceled" });
    expect(await deliver(on, deaf, 0, letters("x"))).toBe(LOST);
  });

  check("is over time without a process that watches", async (on) => {
    const options = { ...REMOTE, timeoutMs: 10_000, firstOutputMs: 1000, idleMs: 2000 };
    const codeOf = async (run: HeldRun) => (await on.last(run.id)).data as { error: { code: string } };
    const silent = await on.started(options);
    on.pass(1000);
    await on.sweep();
    // Not its own end: nothing that it could say again.
    expect(await end(on, silent, FAILED)).toBe(LOST);
    expect(await codeOf(silent)).toMatchObject({
      error: { code: "first_output_timeout", origin: "timeout" },
    });

    const idle = await on.started(options);
    await deliver(on, idle, 0, letters("a"));
    on.pass(1999);
    // Progress is no output.
    await deliver(on, idle, 1, [[{ kind: "job.progress", data: "{}" }]]);
    await on.sweep();
    expect(await on.job(idle.id)).toMatchObject({ status: "running" });
    on.pass(1);
    await on.sweep();
    expect(await codeOf(idle)).toMatchObject({ error: { code: "idle_timeout" } });

    const long = await on.started(options);
    for (let n = 0; n < 10; n += 1) {
      await deliver(on, long, n, letters("a"));
      await hold(on, long);
      on.pass(1000);
      await on.sweep();
    }
    expect(await codeOf(long)).toMatchObject({ error: { code: "timeout" } });
    expect(await on.job(long.id)).toMatchObject({ errors: 1, lostLeases: 0, runBy: null, quietBy: null });
  });

  check("may say its end again: the answer was lost, not the end", async (on) => {
    const done = await on.started(REMOTE);
    expect(await end(on, done, SUCCEEDED, "worker:t:gpu-2")).toBe(LOST);
    for (const _ of [1, 2]) expect(await end(on, done, SUCCEEDED)).toBe("succeeded");
    expect(await end(on, done, SUCCEEDED, "worker:t:gpu-2")).toBe(LOST);
    expect(await end(on, done, FAILED)).toBe(LOST);
    expect(await on.kinds(done.id)).toEqual(["job.queued", "job.started", "job.succeeded"]);

    const failed = await on.started({ ...REMOTE, maxAttempts: 2 });
    for (const _ of [1, 2]) expect(await end(on, failed, FAILED)).toBe("retrying");
    expect(await on.job(failed.id)).toMatchObject({ errors: 1 });
    on.pass(60_000);
    const next = await on.again(failed.id, REMOTE);
    expect(await end(on, failed, FAILED)).toBe("running");
    expect(await end(on, next, FAILED)).toBe("failed");
    expect(await end(on, failed, FAILED)).toBe(LOST);
  });

  check("that writes more than a log holds fails, and what it wrote before stands", async (on) => {
    const run = await on.started(REMOTE);
    expect(await deliver(on, run, 0, letters("a"), { jobBytes: 100 })).toMatchObject({ next: 1 });
    expect(await deliver(on, run, 1, [[textItem("b".repeat(100))]], { jobBytes: 100 })).toBe(
      "output_too_large",
    );
    expect(await on.last(run.id)).toMatchObject({
      kind: "job.failed",
      data: { error: { code: "output_too_large" } },
    });
    expect(await textOf(on, run)).toBe("a");
    expect(await deliver(on, run, 1, letters("b"))).toBe(LOST);
  });

  check("stays its worker's over a restart of the server, with its time granted anew", async (on) => {
    const run = await on.started({ ...REMOTE, timeoutMs: 1000, idleMs: 10 });
    await deliver(on, run, 0, letters("a"));
    on.pass(3 * LEASE_MS);
    const { recovered } = await on.recover({ owner: "boot:node:next" });
    expect(recovered).toBe(0);
    expect(await on.execute("grant", { leaseMs: LEASE_MS })).toBe(1);
    await on.sweep({ owner: "boot:node:next" });
    const by = on.now().steadyMs + LEASE_MS;
    expect(await on.job(run.id)).toMatchObject({
      status: "running",
      items: 1,
      leaseBy: by,
      runBy: by,
      quietBy: by,
    });
    expect(await deliver(on, run, 1, letters("b"))).toEqual({ kind: "ok", next: 2 });
  });

  check("grants nothing to runs of processes", async (on) => {
    const run = await on.started({ owner: "boot:node:before", leaseMs: 1000 });
    const { leaseBy } = await on.job(run.id);
    expect(await on.execute("grant", { leaseMs: LEASE_MS })).toBe(0);
    expect(await on.job(run.id)).toMatchObject({ leaseBy });
  });
}
