/** Conformance of `purge` and `retain`: what is deleted, what stays, and in which steps. */
import { expect } from "bun:test";
import type { JobId } from "../../../src/lib/ids.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { nextJobId, SESSION, USER, type Check, type Drive } from "../drive.ts";

/** A job that succeeded with a log of `entries`. */
async function finished(on: Drive, entries: number): Promise<JobId> {
  const run = await on.started({ sessionId: SESSION });
  await on.text(run, ...Array.from({ length: entries - 3 }, (_none, n) => `${n}`));
  await on.succeed(run, { entries });
  return run.id;
}

/** Nothing of it can be read any more but that it was there. */
async function expectPurged(on: Drive, id: JobId): Promise<void> {
  expect(await on.log(id)).toEqual([]);
  expect(await on.store.audioChunks(id, 0)).toEqual([]);
  expect(await on.store.input(id)).toBeNull();
  expect(await on.store.findWithResult(id)).toMatchObject({ result: null });
  const list = await on.store.list({ userId: USER, status: null, type: null, before: null, limit: 10 });
  expect(list.map(({ job }) => job.id)).not.toContain(id);
  expect((await on.store.openJobs(SESSION, 10)).map((job) => job.id)).not.toContain(id);
}

const KEEP_ALL = { eventsBefore: 0, jobsBefore: 0, keysBefore: 0 };

export function retention(check: Check): void {
  check("purge refuses a job that has not ended, and one that is not there", async (on) => {
    const run = await on.started();
    expect(await on.execute("purge", { id: run.id })).toBe("not_terminal");
    await on.cancel(run.id);
    expect(await on.execute("purge", { id: run.id })).toBe("not_terminal");
    expect(await on.execute("purge", { id: nextJobId() })).toBe("unknown");
    expect(await on.text(run, "goes on")).toBe("ok");
    expect(await on.store.input(run.id)).toBe("{}");
  });

  check("purge takes log, input and result at once; that the job was there stays known", async (on) => {
    const [id, other] = [await finished(on, 5), await finished(on, 5)];
    const { wallMs } = on.now();
    expect(await on.execute("purge", { id })).toBe("purged");
    await expectPurged(on, id);
    on.pass(1000);
    expect(await on.execute("purge", { id })).toBe("purged");
    expect(await on.job(id)).toMatchObject({ status: "succeeded", head: 5, purgedAt: wallMs });
    expect(await on.log(other)).toHaveLength(5);
  });

  check("what was purged is deleted by retain whatever its age, whole", async (on) => {
    const [id, other] = [await finished(on, 30), await finished(on, 5)];
    await on.execute("purge", { id });
    expect(await on.retain({ ...KEEP_ALL, most: 7 })).toEqual({ steps: 6, rows: 30 });
    expect(await on.job(id)).toMatchObject({ oldest: 31 });
    await expectPurged(on, id);
    expect(await on.log(other)).toHaveLength(5);
  });

  check("what was purged after its log had been trimmed loses its last entry too", async (on) => {
    const id = await finished(on, 5);
    on.pass(1);
    await on.retain({ ...KEEP_ALL, eventsBefore: on.now().wallMs });
    await on.execute("purge", { id });
    await expectPurged(on, id);
    expect(await on.retain(KEEP_ALL)).toEqual({ steps: 2, rows: 1 });
    expect(await on.job(id)).toMatchObject({ oldest: 6 });
  });

  check("what was purged and is old is deleted once, and counted once", async (on) => {
    const id = await finished(on, 5);
    await on.execute("purge", { id });
    on.pass(1);
    expect(await on.retain({ ...KEEP_ALL, eventsBefore: on.now().wallMs })).toEqual({ steps: 2, rows: 5 });
  });

  check("retain trims logs of jobs that ended before, up to the terminal entry", async (on) => {
    const old = await finished(on, 10);
    on.pass(1);
    const { wallMs } = on.now();
    const young = await finished(on, 10);
    const running = await on.started();
    const last = (await on.log(old)).at(-1);
    on.pass(1);
    expect(await on.retain({ ...KEEP_ALL, eventsBefore: wallMs })).toEqual({ steps: 2, rows: 9 });
    expect(await on.log(old)).toEqual(last === undefined ? [] : [last]);
    expect(await on.job(old)).toMatchObject({ oldest: 10, head: 10 });
    // The result is in that last entry: the job stays answerable as long as it lasts.
    expect((await on.store.findWithResult(old))?.result).toBe('{"entries":10}');
    expect(await on.store.input(old)).toBe("{}");
    expect(await on.log(young)).toHaveLength(10);
    expect(await on.log(running.id)).toHaveLength(2);
  });

  check("retain trims in steps from the front, and says what is left at each", async (on) => {
    const id = await finished(on, 10);
    on.pass(1);
    const given = { ...KEEP_ALL, eventsBefore: on.now().wallMs, most: 4 };
    const seen: number[][] = [];
    for (let rows = 1; rows > 0;) {
      rows = await on.execute("retain", given);
      const { oldest } = await on.job(id);
      const log = await on.log(id);
      expect(log[0]?.seq).toBe(oldest);
      expect(log.at(-1)?.kind).toBe("job.succeeded");
      seen.push([rows, oldest]);
    }
    expect(seen).toEqual([
      [4, 5],
      [4, 9],
      [1, 10],
      [0, 10],
    ]);
  });

  check("retain forgets jobs that ended before, whole, and no others", async (on) => {
    const old = await finished(on, 10);
    const purged = await finished(on, 6);
    await on.execute("purge", { id: purged });
    on.pass(1);
    const { wallMs } = on.now();
    const young = await finished(on, 5);
    const queued = await on.submit();
    await on.retain({ ...KEEP_ALL, jobsBefore: wallMs });
    for (const id of [old, purged]) {
      expect(await on.store.find(id)).toBeNull();
      expect(await on.log(id)).toEqual([]);
      expect(await on.store.input(id)).toBeNull();
    }
    expect(await on.log(young)).toHaveLength(5);
    expect(await on.job(queued)).toMatchObject({ status: "queued" });
  });

  check("a job that is being forgotten in steps keeps its terminal entry until it goes", async (on) => {
    // Lengths for which a step ends just before, at and after a last entry.
    const jobs = [await finished(on, 8), await finished(on, 9), await finished(on, 11)];
    on.pass(1);
    const given = { ...KEEP_ALL, jobsBefore: on.now().wallMs, most: 4 };
    let steps = 0;
    for (let rows = 1; rows > 0; steps += 1) {
      rows = await on.execute("retain", given);
      for (const id of jobs) {
        const found = await on.store.findWithResult(id);
        if (found === null) continue;
        expect(found.result).not.toBeNull();
        expect(found.job.oldest).toBeLessThanOrEqual(found.job.head);
      }
    }
    for (const id of jobs) expect(await on.store.find(id)).toBeNull();
    expect(steps).toBeGreaterThan(1);
  });

  check("a new job never meets what a forgotten one left", async (on) => {
    const old = await finished(on, 200);
    on.pass(1);
    await on.retain();
    expect(await on.store.find(old)).toBeNull();
    const run = await on.started({ input: '"new"' });
    expect(await on.log(run.id)).toHaveLength(2);
    expect(await on.store.input(run.id)).toBe('"new"');
    await on.text(run, "x");
    expect(await on.kinds(run.id)).toEqual(["job.queued", "job.started", "output.text"]);
  });

  check("retain drops keys by their own age", async (on) => {
    const id = await on.submit({ key: "old" });
    on.pass(1);
    const keysBefore = on.now().wallMs;
    const young = await on.submit({ key: "young" });
    expect(await on.retain({ ...KEEP_ALL, keysBefore })).toEqual({ steps: 2, rows: 1 });
    const named = (key: string) => on.store.findByKey({ userId: USER, route: "POST /v1/jobs", key });
    expect(await named("old")).toBeNull();
    expect(await named("young")).toMatchObject({ id: young });
    expect(await on.job(id)).toMatchObject({ status: "queued" });
    expect(await on.trySubmit({ key: "old" })).toMatchObject({ kind: "accepted" });
  });

  check("retain drops many keys in steps", async (on) => {
    await Promise.all(Array.from({ length: 10 }, (_none, n) => on.submit({ key: `k${n}` })));
    on.pass(1);
    const given = { ...KEEP_ALL, keysBefore: on.now().wallMs, most: 4 };
    expect(await on.retain(given)).toEqual({ steps: 4, rows: 10 });
  });

  check("retain leaves the log of a job alone as long as that has not ended", async (on) => {
    const run = await on.started({ owner: "worker:w1", leaseMs: 10 });
    await on.text(run, "x");
    on.pass(LIMITS.jobsRetentionMs * 2);
    expect(await on.retain()).toEqual({ steps: 1, rows: 0 });
    await on.cancel(run.id);
    expect(await on.retain()).toEqual({ steps: 1, rows: 0 });
    expect(await on.log(run.id)).toHaveLength(4);
  });
}
