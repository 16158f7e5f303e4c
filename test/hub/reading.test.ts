/** Who is told that a log grows: nodes at which somebody reads it, at once and as long as they do, and no other node. */
import { describe, expect, test } from "bun:test";
import type { Signal } from "../../src/backplane/backplane.ts";
import { attach } from "../../src/hub/attach.ts";
import { createReadingNodes } from "../../src/hub/reading-nodes.ts";
import { followLog, waitForEnd } from "../../src/jobs/follow.ts";
import type { JobSummary } from "../../src/jobs/job.ts";
import type { JobId, UserId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, nextJobId, type HeldRun } from "../conformance/drive.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";
import { lost, well } from "./lossy-network.ts";
import { createShared, pass, startNode, type Seat } from "./nodes.ts";

type Node = Awaited<ReturnType<typeof startNode>>;

/** Three nodes that have been up for a while: a reader sits at one, another one commits, the third has no part in it. */
async function scene() {
  const shared = createShared();
  const [here, there, third] = [
    await startNode(shared, "here"),
    await startNode(shared, "there"),
    await startNode(shared, "third"),
  ];
  const heads: number[] = [];
  third.backplane.onSignal((signal) => {
    if (signal.kind === "jobs") heads.push(...signal.jobs.map(({ head }) => head));
  });
  const seat = await here.open();
  const on = drive(there.jobs, shared.clock);
  await pass(shared, LIMITS.readingMs);
  let agoMs = shared.clock.elapsedMs();
  /** Until whoever reads a run that has just begun has said so, and is the only one who is told. */
  const grownUp = async (): Promise<void> => {
    await pass(shared, LIMITS.youngRunMs);
    agoMs = shared.clock.elapsedMs();
  };
  return {
    shared,
    here,
    there,
    seat,
    on,
    /** Heads of jobs, as the third node was told of them. */
    heads,
    grownUp,
    /** A job of the user at `here`, of no session: nothing is followed by itself. Its run has lasted for a while. */
    started: async (): Promise<HeldRun> => {
      const run = await on.started({ userId: seat.session.userId, sessionId: null });
      await grownUp();
      return run;
    },
    /** Since a run was grown up last. */
    waitedMs: () => shared.clock.elapsedMs() - agoMs,
  };
}

async function ask(
  { hub, jobs }: Node,
  { connection }: Seat,
  { id: job }: HeldRun,
  after = 0,
): Promise<void> {
  await attach(hub, jobs, connection, { job, after });
  await settle();
}

/** Reads the log over HTTP, as pages `1-3`. */
function follow({ jobs: store, feed }: Node, clock: Parameters<typeof followLog>[0]["clock"], id: JobId) {
  const seen: string[] = [];
  const gone = new AbortController();
  const pages = followLog({
    store,
    feed,
    clock,
    id,
    after: 0,
    signal: gone.signal,
    quietMs: LIMITS.sseCommentMs,
    pageBytes: LIMITS.replayPageBytes,
  });
  const read = async (): Promise<void> => {
    for await (const page of pages) seen.push(`${page[0]?.seq}-${page.at(-1)?.seq}`);
  };
  void read();
  return { seen, stop: () => gone.abort() };
}

describe("an entry that another node commits", () => {
  test("is told to the node that reads the log, and to no other; what becomes of the job to all", async () => {
    const { here, seat, on, heads, grownUp, waitedMs } = await scene();
    const run = await on.started({ userId: seat.session.userId, sessionId: seat.session.id });
    await grownUp();
    for (const text of ["a", "b", "c"]) {
      await on.text(run, text);
      await settle();
    }
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4 5");
    await on.succeed(run);
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4 5 6");
    expect(heads).toEqual([1, 2, 6]);
    expect(waitedMs()).toBe(0);
    expect(here.backplane.counts.dropped).toBe(0);
  });

  test("is told to nobody while nobody reads", async () => {
    const { there, here, on, started, seat, waitedMs } = await scene();
    const run = await started();
    const { sent } = there.backplane.counts;
    await on.text(run, "a");
    await settle();
    expect(there.backplane.counts.sent).toBe(sent);
    await ask(here, seat, run);
    await on.text(run, "b");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4");
    expect(waitedMs()).toBe(0);
  });

  test("is not missed when it is committed while the attach is being answered", async () => {
    const { there, here, on, started, seat, waitedMs } = await scene();
    const run = await started();
    const store = { ...here.jobs };
    Object.assign(here.jobs, {
      async findOwn(userId: UserId, id: JobId) {
        const found = await store.findOwn(userId, id);
        // The other node has not heard yet that somebody reads.
        await on.text(run, "meanwhile");
        return found;
      },
    });
    // There is nothing to catch up with, which would bring it along.
    await ask(here, seat, run, 2);
    expect(seat.socket.seqs(run.id)).toBe("3");
    expect(waitedMs()).toBe(0);
    expect(there.lines).toEqual([]);
  });

  test("reaches who follows over HTTP, and costs who only waits for the end nothing", async () => {
    const { shared, there, here, on, started, waitedMs } = await scene();
    const [run, unread] = [await started(), await started()];
    const reader = follow(here, shared.clock, run.id);
    const { clock } = shared;
    const { signal } = new AbortController();
    const { jobs: store, feed } = here;
    const ended = waitForEnd({ store, feed, clock, id: unread.id, waitMs: LIMITS.waitMs, signal });
    await settle();
    await on.text(run, "a");
    await settle();
    expect(reader.seen).toEqual(["1-2", "3-3"]);
    const { sent } = there.backplane.counts;
    await on.text(unread, "a");
    await settle();
    expect(there.backplane.counts.sent).toBe(sent);
    await on.succeed(unread);
    expect(await ended).toBe(true);
    expect(waitedMs()).toBe(0);
    reader.stop();
  });

  test("comes at once from a node that has just come, and in the next run", async () => {
    const { shared, here, on, started, seat, waitedMs } = await scene();
    const run = await started();
    await ask(here, seat, run);
    // It has not heard who reads, until everybody has said it again.
    const late = await startNode(shared, "late");
    const onLate = drive(late.jobs, shared.clock);
    await onLate.text(run, "a");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    expect(waitedMs()).toBe(0);
    await pass(shared, 2 * LIMITS.readingMs);
    const atMs = shared.clock.elapsedMs();
    await onLate.text(run, "b");
    await on.release(run);
    const next = await on.again(run.id);
    await settle();
    await onLate.text(next, "c");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4 5 6 7 8");
    expect(shared.clock.elapsedMs()).toBe(atMs);
  });

  test("is told to all in the first moments of a run, of which nobody says anything if it ends in them", async () => {
    const { shared, there, seat, on, heads, waitedMs } = await scene();
    const said: Signal[] = [];
    there.backplane.onSignal((signal) => said.push(signal));
    const run = await on.started({ userId: seat.session.userId, sessionId: seat.session.id });
    await on.text(run, "a");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    expect(heads).toEqual([1, 2, 3]);
    expect(waitedMs()).toBe(0);
    await pass(shared, LIMITS.readingAfterMs - 1);
    await on.succeed(run);
    await pass(shared, LIMITS.lookMs);
    expect(said).toEqual([]);
    const longer = await on.started({ userId: seat.session.userId, sessionId: seat.session.id });
    await pass(shared, LIMITS.readingAfterMs);
    expect(said).toEqual([{ kind: "reading", node: "here", jobs: [longer.id] }]);
  });

  test("and what becomes of its job in the same commit are told as one", async () => {
    const { there, here, on, started, seat } = await scene();
    const run = await started();
    await ask(here, seat, run);
    const { sent } = there.backplane.counts;
    await Promise.all([on.text(run, "a"), on.succeed(run)]);
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4");
    expect(there.backplane.counts.sent).toBe(sent + 1);
  });

  test("is waited for at a node that says so as long as a run is under way, and not while the job waits", async () => {
    const { shared, here, there, on, started, seat } = await scene();
    const said: (readonly JobId[])[] = [];
    there.backplane.onSignal((signal) => {
      if (signal.kind === "reading") said.push(signal.jobs);
    });
    const run = await started();
    await ask(here, seat, run);
    await pass(shared, LIMITS.lookMs);
    expect(said.splice(0)).toEqual([[run.id], [run.id]]);
    await on.fail(run, { retryAfterMs: 20 * LIMITS.lookMs });
    await pass(shared, 3 * LIMITS.lookMs);
    expect(said.splice(0)).toEqual([]);
  });

  test("comes at once though the run began where the socket is", async () => {
    const { shared, here, on, seat, grownUp, waitedMs } = await scene();
    const { id: sessionId, userId } = seat.session;
    // As of a worker, that takes its lease at one node and writes at another.
    const run = await drive(here.jobs, shared.clock).started({ sessionId, userId });
    await grownUp();
    await on.text(run, "a");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    expect(waitedMs()).toBe(0);
  });
});

describe("faults/R43 what a node said of its readers", () => {
  test("and was lost is made good for within two seconds, and said again", async () => {
    const { shared, here, on, started, seat } = await scene();
    const run = await started();
    shared.network.fate = (signal) => (signal.kind === "reading" ? lost(signal) : well(signal));
    await ask(here, seat, run);
    await on.text(run, "a");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2");
    await pass(shared, LIMITS.lookMs);
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    shared.network.fate = well;
    await pass(shared, LIMITS.lookMs);
    const atMs = shared.clock.elapsedMs();
    await on.text(run, "b");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3 4");
    expect(shared.clock.elapsedMs()).toBe(atMs);
  });

  test("holds as long as they read, also while its store answers no look", async () => {
    const { shared, here, there, on, started, seat } = await scene();
    const run = await started();
    await ask(here, seat, run);
    Object.assign(here.jobs, { newJobsOf: () => new Promise(() => {}) });
    // Up to the moment before it is said again.
    const sinceLookMs = shared.clock.elapsedMs() % LIMITS.lookMs;
    await pass(shared, 2 * LIMITS.readingMs + LIMITS.lookMs - 1 - sinceLookMs);
    await on.text(run, "a");
    await settle();
    expect(seat.socket.seqs(run.id)).toBe("1 2 3");
    seat.connection.close("internal");
    here.hub.remove(seat.connection);
    await pass(shared, LIMITS.readingMs + LIMITS.lookMs);
    const { sent } = there.backplane.counts;
    await on.text(run, "b");
    await settle();
    expect(there.backplane.counts.sent).toBe(sent);
  });

  test("is forgotten when the node has died", async () => {
    const { shared, here, there, on, started, seat } = await scene();
    const run = await started();
    await ask(here, seat, run);
    const { sent } = there.backplane.counts;
    await on.text(run, "a");
    expect(there.backplane.counts.sent).toBe(sent + 1);
    await here.crash();
    await pass(shared, LIMITS.readingMs);
    await on.text(run, "b");
    expect(there.backplane.counts.sent).toBe(sent + 1);
  });

  test("may not have been heard where signals were lost: then all are told for a while", async () => {
    const { shared, on, started, heads } = await scene();
    const run = await started();
    await on.text(run, "a");
    shared.network.lose();
    await on.text(run, "b");
    await settle();
    expect(heads).toEqual([1, 2, 4]);
    await pass(shared, LIMITS.readingMs);
    await on.text(run, "c");
    await settle();
    expect(heads).toEqual([1, 2, 4]);
  });
});

describe("of readers elsewhere is remembered", () => {
  function setup() {
    const clock = createVirtualClock();
    const told: { readonly to: string; readonly jobs: readonly JobId[] }[] = [];
    const nodes = createReadingNodes({
      clock,
      tell(signal: Signal, to) {
        if (signal.kind !== "jobs") throw new Error(`nobody asked for ${signal.kind}`);
        told.push({ to: JSON.stringify(to), jobs: signal.jobs.map(({ id }) => id) });
      },
    });
    const grew = (...ids: readonly JobId[]): void =>
      nodes.grew(
        ids.map((id): JobSummary => ({
          id,
          userId: "user" as UserId,
          sessionId: null,
          type: "work",
          status: "running",
          attempt: 1,
          head: 3,
        })),
      );
    return { clock, told, nodes, grew };
  }
  const some = (count: number): JobId[] => Array.from({ length: count }, nextJobId);

  test("as much as there is room for; who finds none is told with all others, until it is free again", async () => {
    const { clock, told, nodes, grew } = setup();
    await clock.advance(LIMITS.readingMs);
    const jobs = some(LIMITS.readJobs);
    nodes.read("a", jobs);
    const [one = "" as JobId, more] = [jobs[0], nextJobId()];
    grew(one);
    expect(told.splice(0)).toEqual([{ to: '{"node":"a"}', jobs: [one] }]);
    nodes.read("b", [more]);
    grew(one, more);
    expect(told.splice(0)).toEqual([{ to: '"all"', jobs: [one, more] }]);
    await clock.advance(LIMITS.readingMs);
    nodes.read("b", [more]);
    expect(told.splice(0)).toEqual([{ to: '{"node":"b"}', jobs: [more] }]);
    grew(one, more);
    expect(told.splice(0)).toEqual([{ to: '{"node":"b"}', jobs: [more] }]);
  });

  test("each of several nodes, until its own time is over", async () => {
    const { clock, told, nodes, grew } = setup();
    await clock.advance(LIMITS.readingMs);
    const [one = "" as JobId, other = "" as JobId] = some(2);
    nodes.read("a", [one, other]);
    await clock.advance(LIMITS.readingMs - 1);
    nodes.read("b", [one]);
    grew(one, other);
    expect(told.splice(0)).toEqual([
      { to: '{"node":"a"}', jobs: [one, other] },
      { to: '{"node":"b"}', jobs: [one] },
    ]);
    await clock.advance(1);
    grew(one, other);
    expect(told.splice(0)).toEqual([{ to: '{"node":"b"}', jobs: [one] }]);
  });

  test("what grew here last, for who begins to read; not what is long past, and once", async () => {
    const { clock, told, nodes, grew } = setup();
    await clock.advance(LIMITS.readingMs);
    const jobs = some(LIMITS.grownJobs + 1);
    grew(...jobs);
    const [first = "" as JobId, second = "" as JobId] = jobs;
    nodes.read("a", [first, second]);
    nodes.read("a", [first, second]);
    expect(told).toEqual([{ to: '{"node":"a"}', jobs: [second] }]);
  });
});
