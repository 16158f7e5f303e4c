/** Conformance of the reads over many jobs: a user's list, a session's open jobs, places in the queue, receipts. */
import { expect } from "bun:test";
import type { CancelableQuery, JobQuery } from "../../../src/jobs/store.ts";
import type { JobId, SessionId, UserId } from "../../../src/lib/ids.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { nextJobId, SESSION, USER, type Check, type Drive } from "../drive.ts";

const OTHER_SESSION = "session-2" as SessionId;

async function listed(on: Drive, query: Partial<JobQuery> = {}): Promise<JobId[]> {
  const asked = { userId: USER, status: null, type: null, before: null, limit: 100, ...query };
  return (await on.store.list(asked)).map(({ job }) => job.id);
}

async function open(on: Drive, session: SessionId = SESSION, limit = 100): Promise<JobId[]> {
  return (await on.store.openJobs(session, limit)).map(({ id }) => id);
}

function acknowledge(on: Drive, id: JobId, sessionId: SessionId, seq: number): Promise<boolean> {
  return on.execute("acknowledge", { id, sessionId, seq });
}

export function listing(check: Check): void {
  check("lists the user's own jobs, newest first, with their results", async (on) => {
    const run = await on.started();
    await on.submit({ userId: "user-2" as UserId });
    const newest = await on.submit();
    await on.succeed(run, { n: 1 });
    const query = { userId: USER, status: null, type: null, before: null, limit: 10 };
    expect(await on.store.list(query)).toEqual([
      { job: await on.job(newest), result: null },
      { job: await on.job(run.id), result: '{"n":1}' },
    ]);
    expect(await listed(on, { userId: "nobody" as UserId })).toEqual([]);
  });

  check("lists the jobs of all users when no user is named", async (on) => {
    const mine = await on.submit();
    const theirs = await on.submit({ userId: "user-2" as UserId });
    const last = await on.submit({ type: "b" });
    expect(await listed(on, { userId: null })).toEqual([last, theirs, mine]);
    expect(await listed(on, { userId: null, type: "work", before: theirs })).toEqual([mine]);
  });

  check("filters by status and by type", async (on) => {
    const running = await on.started({ type: "a" });
    const queuedA = await on.submit({ type: "a" });
    const queuedB = await on.submit({ type: "b" });
    expect(await listed(on, { status: "queued" })).toEqual([queuedB, queuedA]);
    expect(await listed(on, { type: "a" })).toEqual([queuedA, running.id]);
    expect(await listed(on, { type: "a", status: "queued" })).toEqual([queuedA]);
    expect(await listed(on, { status: "failed" })).toEqual([]);
    expect(await listed(on, { type: "c" })).toEqual([]);
  });

  check("pages the list by the id before, without gap or repeat", async (on) => {
    const ids: JobId[] = [];
    for (let n = 0; n < 7; n += 1) ids.unshift(await on.submit());
    const pages: JobId[][] = [];
    for (let before: JobId | null = null; ;) {
      const page: JobId[] = await listed(on, { before, limit: 3 });
      pages.push(page);
      before = page.at(-1) ?? null;
      if (before === null) break;
    }
    expect(pages).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6), []]);
  });

  check("lists a session's unfinished and unreceipted jobs, newest first", async (on) => {
    const finished = await on.started({ sessionId: SESSION });
    await on.succeed(finished);
    const receipted = await on.started({ sessionId: SESSION });
    await on.succeed(receipted);
    const running = await on.started({ sessionId: SESSION });
    await on.submit({ sessionId: OTHER_SESSION });
    await on.submit();
    const queued = await on.submit({ sessionId: SESSION });
    await acknowledge(on, receipted.id, SESSION, 3);
    expect(await open(on)).toEqual([queued, running.id, finished.id]);
    expect(await open(on, SESSION, 2)).toEqual([queued, running.id]);
    expect((await on.store.openJobs(SESSION, 2))[1]).toEqual({
      id: running.id,
      userId: USER,
      sessionId: SESSION,
      type: (await on.job(running.id)).type,
      status: "running",
      attempt: 1,
      head: 2,
    });
  });

  check("takes a receipt for the terminal entry only, and dates the first", async (on) => {
    const run = await on.started({ sessionId: SESSION });
    expect(await acknowledge(on, run.id, SESSION, 2)).toBe(false);
    await on.succeed(run);
    expect(await acknowledge(on, run.id, SESSION, 2)).toBe(false);
    expect(await acknowledge(on, nextJobId(), SESSION, 3)).toBe(false);
    expect(await on.job(run.id)).toMatchObject({ deliveredAt: null, acknowledged: false });
    const { wallMs } = on.now();
    expect(await acknowledge(on, run.id, SESSION, 3)).toBe(true);
    on.pass(1000);
    expect(await acknowledge(on, run.id, SESSION, 3)).toBe(true);
    expect(await on.job(run.id)).toMatchObject({ deliveredAt: wallMs, acknowledged: true, head: 3 });
  });

  check("keeps a job open for its session though another session of the user receipted it", async (on) => {
    const run = await on.started({ sessionId: SESSION });
    await on.succeed(run);
    expect(await acknowledge(on, run.id, OTHER_SESSION, 3)).toBe(true);
    expect(await on.job(run.id)).toMatchObject({ deliveredAt: on.now().wallMs, acknowledged: false });
    expect(await open(on)).toEqual([run.id]);
    await acknowledge(on, run.id, SESSION, 3);
    expect(await open(on)).toEqual([]);
    // A later receipt of the other session does not open it again.
    await acknowledge(on, run.id, OTHER_SESSION, 3);
    expect(await open(on)).toEqual([]);
  });

  check("lists the unfinished jobs that a lost socket may cancel", async (on) => {
    const wanted = { sessionId: SESSION, cancelOnDisconnect: true };
    const queued = await on.submit({ ...wanted, orphanMs: 0 });
    const running = await on.started({ ...wanted, orphanMs: 5000 });
    const ended = await on.started(wanted);
    await on.succeed(ended);
    await on.submit({ sessionId: SESSION });
    const other = await on.submit({ ...wanted, sessionId: OTHER_SESSION });
    const all = { sessionId: null, after: null, limit: 10 };
    expect(await on.store.cancelable(all)).toEqual([
      { id: queued, sessionId: SESSION, orphanMs: 0 },
      { id: running.id, sessionId: SESSION, orphanMs: 5000 },
      { id: other, sessionId: OTHER_SESSION, orphanMs: LIMITS.orphanDefaultMs },
    ]);
    const idsOf = async (query: Partial<CancelableQuery>) =>
      (await on.store.cancelable({ ...all, ...query })).map(({ id }) => id);
    expect(await idsOf({ limit: 1 })).toEqual([queued]);
    expect(await idsOf({ after: queued, limit: 1 })).toEqual([running.id]);
    expect(await idsOf({ after: other })).toEqual([]);
    expect(await idsOf({ sessionId: OTHER_SESSION })).toEqual([other]);
    expect(await idsOf({ sessionId: SESSION, after: queued })).toEqual([running.id]);
  });

  check("counts the place of a waiting job among those of its type that go before it", async (on) => {
    const [a1, a2] = [await on.submit(), await on.submit()];
    const low = await on.submit({ priority: 1 });
    const b1 = await on.submit({ userId: "user-2" as UserId });
    const c1 = await on.submit({ userId: "user-3" as UserId });
    const high = await on.submit({ priority: 9 });
    await on.submit({ type: "another", priority: 9 });
    const [running] = await on.claim({ most: 1 });
    expect(running?.id).toBe(high);
    const places: number[] = [];
    for (const id of [a1, b1, c1, a2, low]) places.push(await on.store.position(id));
    expect(places).toEqual([1, 2, 3, 4, 5]);
  });

  check("counts the jobs that wait: queued, put off, and between two runs", async (on) => {
    expect(await on.store.waiting()).toBe(0);
    const first = await on.submit();
    await on.submit({ userId: "user-2" as UserId });
    await on.submit({ runAt: on.now().wallMs + 60_000 });
    expect(await on.store.waiting()).toBe(3);
    const [run] = await on.claim({ most: 1 });
    if (run === undefined) throw new Error("nothing was claimed");
    expect(run.id).toBe(first);
    expect(await on.store.waiting()).toBe(2);
    await on.fail(run);
    expect(await on.store.waiting()).toBe(3);
    await on.cancel(first);
    expect(await on.store.waiting()).toBe(2);
  });

  check("counts a place no further than a bound, wherever the job stands", async (on) => {
    await Promise.all(Array.from({ length: 1100 }, () => on.submit()));
    const last = await on.submit();
    const first = await on.submit({ priority: 9 });
    expect(await on.store.position(last)).toBe(1001);
    expect(await on.store.position(first)).toBe(1);
  });
}
