/** Jobs of other nodes: sockets and HTTP calls of this one miss nothing of them, whatever becomes of the hints. */
import { describe, expect, test } from "bun:test";
import { waitForEnd } from "../../src/jobs/follow.ts";
import type { NewJobsQuery } from "../../src/jobs/store.ts";
import { idAt, type JobId, type UserId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, type SubmitOptions } from "../conformance/drive.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { lost, well } from "./lossy-network.ts";
import { pass, twoNodes, type Seat } from "./nodes.ts";

let made = 0;

async function scene() {
  const { shared, here, there } = await twoNodes();
  const on = drive(there.jobs, shared.clock);
  /** Ids age by the clock of this scene. */
  const freshId = (): JobId => {
    made += 1;
    return `${idAt(shared.clock.steadyMs()).slice(0, 14)}7000-8000-${made.toString(16).padStart(12, "0")}` as JobId;
  };
  const of = ({ session }: Seat): SubmitOptions => ({
    id: freshId(),
    sessionId: session.id,
    userId: session.userId,
  });
  /** A job of the seat's session that begins to run on the other node. */
  const start = (seat: Seat, options: SubmitOptions = {}) =>
    on.started({ ...of(seat), id: freshId(), ...options });
  return {
    shared,
    here,
    there,
    on,
    of,
    start,
    seat: await here.open(),
    look: () => pass(shared, LIMITS.lookMs),
  };
}

describe("a job that another node accepts", () => {
  test("is followed by the socket of its session from its first entry on, without a look", async () => {
    const { shared, start, on, seat } = await scene();
    const run = await start(seat);
    await on.text(run, "a", "b");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3-4");
    await on.succeed(run);
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3-4 5");
    expect(seat.socket.frames().map(({ type }) => type)).not.toContain("attached");
    expect(seat.connection.attachments.size).toBe(0);
    expect(shared.clock.elapsedMs()).toBe(0);
  });

  test("does not flow by itself when the welcome listed it, or lists only what is newer", async () => {
    const { shared, here, on, start, seat } = await scene();
    const run = await start(seat);
    const older = await start(seat);
    await settle();
    const again = await here.resume(seat.session.id, new Set([run.id]));
    again.connection.newAfter = older.id;
    await on.text(run, "a");
    await on.text(older, "a");
    await pass(shared, LIMITS.lookMs);
    expect(again.socket.events()).toEqual([]);
    const newer = await start(seat);
    await settle();
    expect(again.socket.seqs(newer.id)).toBe("1 2");
  });

  test("is not begun anew by a hint that comes late or again", async () => {
    const { shared, there, start, on, seat, look } = await scene();
    const run = await start(seat);
    await on.text(run, "a");
    await on.succeed(run);
    await look();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4");
    const [stands] = await there.jobs.heads([run.id]);
    if (stands === undefined) throw new Error("the job is gone");
    for (let n = 0; n < 40; n += 1) {
      there.backplane.publish({ kind: "jobs", jobs: [stands, { ...stands, head: 99 }] });
      await look();
    }
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4");
    expect(shared.clock.elapsedMs()).toBeGreaterThan(LIMITS.newJobMs);
    expect(seat.connection.known.size).toBe(0);
  });

  test("is not begun anew by an answer of the store from before the welcome, when it was receipted in between", async () => {
    const { here, on, start, seat } = await scene();
    const run = await start(seat);
    await on.text(run, "a");
    await settle();
    const heads = here.jobs.heads.bind(here.jobs);
    const late = Promise.withResolvers<void>();
    Object.assign(here.jobs, {
      heads: async (ids: readonly JobId[]) => {
        const found = await heads(ids);
        await late.promise;
        return found;
      },
    });
    await on.succeed(run);
    await settle();
    const { head } = await on.job(run.id);
    await on.execute("acknowledge", { id: run.id, sessionId: seat.session.id, seq: head });
    const again = await here.resume(seat.session.id);
    late.resolve();
    await settle();
    expect(again.socket.events()).toEqual([]);
    const newer = await start(seat);
    await settle();
    expect(again.socket.seqs(newer.id)).toBe("1 2");
  });

  test("is not followed when its session receipted it, nor by a session or a user that it is not of", async () => {
    const { here, there, on, start, seat, look } = await scene();
    const stranger = await here.open();
    const run = await start(seat);
    await on.succeed(run);
    await settle();
    const again = await here.resume(seat.session.id);
    const { head } = await on.job(run.id);
    await on.execute("acknowledge", { id: run.id, sessionId: seat.session.id, seq: head });
    const [stands] = await there.jobs.heads([run.id]);
    if (stands === undefined) throw new Error("the job is gone");
    const { id: sessionId, userId } = stranger.session;
    there.backplane.publish({ kind: "jobs", jobs: [stands, { ...stands, sessionId, userId }] });
    const foreign = await start(seat, { userId: "somebody else" as UserId });
    await on.text(foreign, "secret");
    await look();
    expect(again.socket.events()).toEqual([]);
    expect(stranger.socket.events()).toEqual([]);
  });

  test("finds no place beside as many as one connection may follow, and none later", async () => {
    const { here, on, start, seat, look } = await scene();
    const taken = await Promise.all(Array.from({ length: LIMITS.attachments }, () => start(seat)));
    const late = await start(seat);
    await settle();
    await on.text(late, "unheard");
    for (const run of taken) await on.succeed(run);
    await look();
    expect(seat.socket.seqs(taken.at(-1)?.id ?? "")).toStartWith("1 2 3");
    expect(seat.socket.seqs(late.id)).toBe("");
    expect(here.hub.size).toBe(1);
  });
});

test("jobs of a connection that has had more of them lately than are remembered do not come again", async () => {
  const { shared, on, start, seat, look } = await scene();
  const ids: JobId[] = [];
  for (let n = 0; n < LIMITS.knownJobs + LIMITS.attachments + 1; n += 1) {
    const run = await start(seat);
    await on.succeed(run);
    ids.push(run.id);
    if (n % 100 === 0) await settle();
  }
  await settle();
  await look();
  const late = await start(seat);
  await settle();
  expect(seat.socket.seqs(late.id)).toBe("1 2");
  const heads = Map.groupBy(
    seat.socket.events().filter(({ seq }) => seq === 1),
    ({ job }) => job,
  );
  expect(ids.filter((id) => heads.get(id)?.length !== 1)).toEqual([]);
  expect(shared.clock.elapsedMs()).toBeLessThan(LIMITS.newJobMs);
});

describe("faults/R43 hints that are lost", () => {
  test("are made good for within two seconds: new jobs, and logs that grow", async () => {
    const { shared, start, on, seat } = await scene();
    shared.network.fate = lost;
    const run = await start(seat);
    await on.text(run, "a");
    await settle();
    expect(seat.socket.events()).toEqual([]);
    await pass(shared, LIMITS.lookMs);
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    await on.text(run, "b");
    await on.succeed(run);
    await pass(shared, LIMITS.lookMs);
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4 5");
  });

  test("are made good for at once when it is known that some were", async () => {
    const { shared, start, on, seat } = await scene();
    shared.network.fate = lost;
    const run = await start(seat);
    await on.text(run, "a");
    shared.network.lose();
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    expect(shared.clock.elapsedMs()).toBe(0);
  });

  test("of more sessions and jobs than one read takes are made good for as well", async () => {
    const { shared, here, on, of, seat, look } = await scene();
    shared.network.fate = lost;
    const seats = [seat];
    while (seats.length < LIMITS.lookJobs + 2) seats.push(await here.open());
    const jobs = await Promise.all(seats.map((one) => on.submit(of(one))));
    const more = await Promise.all(Array.from({ length: LIMITS.attachments - 1 }, () => on.submit(of(seat))));
    await look();
    expect(seats.map(({ socket }, n) => socket.seqs(jobs[n] ?? ""))).toEqual(seats.map(() => "1"));
    expect(more.map((id) => seat.socket.seqs(id))).toEqual(more.map(() => "1"));
    const run = await on.claim({ most: 1 });
    await on.text(run[0] ?? { id: "" as JobId, lease: "" as never, attempt: 1 }, "x");
    await look();
    const told = seats.flatMap(({ socket }) => socket.events()).filter(({ kind }) => kind === "output.text");
    expect(told).toHaveLength(1);
  });

  test("of an end wake those who wait for it over HTTP", async () => {
    const { shared, here, start, on, seat } = await scene();
    const wait = (id: JobId) =>
      waitForEnd({
        store: here.jobs,
        feed: here.feed,
        clock: shared.clock,
        id,
        waitMs: 60_000,
        signal: new AbortController().signal,
      });
    const heard = await start(seat);
    const waiting = wait(heard.id);
    await settle();
    await on.succeed(heard);
    expect(await waiting).toBe(true);
    expect(shared.clock.elapsedMs()).toBe(0);
    shared.network.fate = lost;
    const unheard = await start(seat);
    const missing = wait(unheard.id);
    await settle();
    await on.succeed(unheard);
    await pass(shared, LIMITS.lookMs);
    expect(await missing).toBe(true);
  });
});

test("a job that may run wakes whoever runs its type, once for all that one commit brings", async () => {
  const { here, there, on, of, seat } = await scene();
  await Promise.all([on.submit(of(seat)), on.submit(of(seat)), on.submit({ ...of(seat), type: "other" })]);
  await settle();
  expect(here.ready.toSorted()).toEqual(["other", "work"]);
  expect(there.ready).toEqual([]);
});

test("a node that is alone reads nothing, and learns that it is not alone any more", async () => {
  const { shared, here, there, start, on, seat, look } = await scene();
  const reads: string[] = [];
  const store = { ...here.jobs };
  Object.assign(here.jobs, {
    heads: (ids: readonly JobId[]) => (reads.push("heads"), store.heads(ids)),
    newJobsOf: (query: NewJobsQuery) => (reads.push("new"), store.newJobsOf(query)),
  });
  await there.backplane.stop();
  const run = await start(seat);
  await look();
  expect(reads).toEqual([]);
  await there.backplane.start();
  await look();
  expect(reads.length).toBeGreaterThan(0);
  expect(seat.socket.seqs(run.id)).toBe("1 2");
  shared.network.fate = well;
  await on.text(run, "x");
  await settle();
  expect(seat.socket.seqs(run.id)).toBe("1 2 3");
});

test("a store that cannot be read is asked again, and nothing is missed", async () => {
  const { shared, here, start, on, seat, look } = await scene();
  const store = { ...here.jobs };
  const fail = () => Promise.reject(new Error("the store is away"));
  Object.assign(here.jobs, { heads: fail, newJobsOf: fail });
  const run = await start(seat);
  await look();
  expect(seat.socket.events()).toEqual([]);
  expect(here.lines.map(({ message }) => message)).toContain(
    "what other nodes did to jobs could not be looked up",
  );
  // Longer than a job is new: the look that fails settles nothing.
  await pass(shared, 2 * LIMITS.newJobMs);
  Object.assign(here.jobs, store);
  await on.text(run, "a");
  await look();
  expect(seat.socket.seqs(run.id)).toBe("1 2 3");
});
