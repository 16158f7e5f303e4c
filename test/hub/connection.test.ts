/** One socket and its cursors: what is sent when, what waits, and that the stream of a job never has a hole. */
import { describe, expect, test } from "bun:test";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { SESSION, textItem, type Drive, type HeldRun } from "../conformance/drive.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { createFakeSocket } from "./fake-socket.ts";
import { createSetup } from "./setup.ts";

/** A running job of the session: its log holds the entries 1 and 2. */
function runningJob(on: Drive, sessionId: SessionId | null = SESSION): Promise<HeldRun> {
  return on.started({ sessionId });
}

async function write(on: Drive, run: HeldRun, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await on.text(run, `${n}`);
}

describe("in step", () => {
  test("a commit is sent as it is, and the log is not read for it", async () => {
    const { on, seated, reads } = createSetup();
    const { socket } = seated();
    const run = await runningJob(on);
    await on.text(run, "a", "b");
    await on.execute("append", {
      id: run.id,
      lease: run.lease,
      items: [{ kind: "output.audio", data: new Uint8Array([7, 8]) }],
      jobBytes: 1000,
    });
    await on.succeed(run, "done");
    expect(socket.seqs(run.id)).toBe("1 2 3 4 5 6");
    expect(socket.events().map(({ kind, data }) => [kind, data])).toEqual([
      ["job.queued", { position: 1 }],
      ["job.started", {}],
      ["output.text", { delta: "a", index: 0 }],
      ["output.text", { delta: "b", index: 0 }],
      ["output.audio", new Uint8Array([7, 8])],
      ["job.succeeded", { result: "done" }],
    ]);
    expect(reads).toEqual([]);
  });

  test("what one commit brings goes out in one write", async () => {
    const { on, seated } = createSetup();
    const { socket } = seated();
    const [one, two] = [await runningJob(on), await runningJob(on)];
    const before = socket.corks.length;
    await Promise.all([on.text(one, "a", "b"), on.text(two, "c"), on.text(one, "d")]);
    expect(socket.corks.slice(before)).toEqual([4]);
  });

  test("the terminal entry ends the attachment", async () => {
    const { on, seated } = createSetup();
    const { connection, socket } = seated();
    const run = await runningJob(on);
    expect([...connection.attachments.keys()]).toEqual([run.id]);
    await on.cancel(run.id);
    await on.release(run);
    expect(socket.seqs(run.id)).toBe("1 2 3 4");
    expect(connection.attachments.size).toBe(0);
  });

  test("each of several watchers has its own cursor", async () => {
    const { on, seated, follow, reads } = createSetup();
    const first = seated();
    const run = await runningJob(on);
    await write(on, run, 3);
    const second = seated("session-2" as SessionId);
    await follow(second.connection, run.id, 4);
    await settle();
    expect(second.socket.seqs(run.id)).toBe("5");
    await write(on, run, 1);
    expect(first.socket.seqs(run.id)).toBe("1 2 3 4 5 6");
    expect(second.socket.seqs(run.id)).toBe("5 6");
    expect(reads).toEqual([{ id: run.id, after: 4 }]);
  });

  test("a job of another user is never sent, whoever asked for it", async () => {
    const { on, hub, seated } = createSetup();
    const { connection, socket } = seated();
    const foreign = await on.started({ userId: "user-2" as UserId });
    hub.follow(connection, foreign.id);
    connection.attach(foreign.id, 2, 2);
    await write(on, foreign, 2);
    await settle();
    expect(socket.events()).toEqual([]);
  });
});

describe("a socket that takes no more", () => {
  test("is not sent to until it has drained, then goes on where it stopped", async () => {
    const { on, seated, reads } = createSetup();
    const { connection, socket } = seated();
    const run = await runningJob(on);
    socket.answers.push(-1);
    await write(on, run, 5);
    await settle();
    // What the socket queued counts as sent; nothing was pressed on it afterwards, and no log was read.
    expect(socket.seqs(run.id)).toBe("1 2 3");
    expect(connection.paused).toBe(true);
    expect(reads).toEqual([]);
    connection.drained();
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3 4-7");
    await write(on, run, 1);
    expect(socket.seqs(run.id)).toBe("1 2 3 4-7 8");
    expect(reads).toEqual([{ id: run.id, after: 3 }]);
  });

  test("in the middle of one write keeps the rest for later", async () => {
    const { on, seated } = createSetup();
    const { connection, socket } = seated();
    const run = await runningJob(on);
    socket.answers.push(100, -1);
    await on.execute("append", {
      id: run.id,
      lease: run.lease,
      items: [textItem("a"), textItem("b", 1), textItem("c", 2), textItem("d", 3)],
      jobBytes: 1000,
    });
    expect(socket.seqs(run.id)).toBe("1 2 3 4");
    await on.succeed(run);
    connection.drained();
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3 4 5 6 7");
    expect(connection.attachments.size).toBe(0);
  });

  test("in the middle of a page goes on in the middle of it", async () => {
    const { on, seated, follow } = createSetup();
    const run = await runningJob(on);
    for (let n = 0; n < 6; n += 1) {
      await on.execute("append", { id: run.id, lease: run.lease, items: [textItem("x", n)], jobBytes: 1000 });
    }
    const { connection, socket } = seated("session-2" as SessionId);
    socket.answers.push(10, 10, 10, -1);
    await follow(connection, run.id);
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3 4");
    connection.drained();
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3 4 5 6 7 8");
  });

  test("that holds anything after a write is waited for", async () => {
    const { on, seated } = createSetup();
    const { connection, socket } = seated();
    const run = await runningJob(on);
    socket.buffered = 1;
    await write(on, run, 3);
    expect(socket.seqs(run.id)).toBe("1 2 3");
    socket.buffered = 0;
    connection.drained();
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3 4-5");
  });

  test("never has more than queueBytes waiting", async () => {
    const { on, seated, follow } = createSetup({ queueBytes: 1000 });
    const run = await runningJob(on);
    await write(on, run, 3);
    const { connection, socket } = seated("session-2" as SessionId);
    socket.buffered = 1000;
    await follow(connection, run.id);
    await settle();
    expect(socket.seqs(run.id)).toBe("");
    socket.buffered = 999;
    connection.drained();
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3-5");
    expect(connection.paused).toBe(true);
  });

  test("and drops a frame is closed: what it holds has a hole", async () => {
    const { on, seated } = createSetup();
    const { connection, socket } = seated();
    const run = await runningJob(on);
    socket.answers.push(0);
    await write(on, run, 3);
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2");
    expect(socket.closes).toEqual([{ code: 4001, reason: "slow_consumer" }]);
    expect(connection.closed).toBe(true);
    connection.drained();
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2");
  });
});

describe("catching up", () => {
  test("reads the log in pages and ends in step", async () => {
    const { on, seated, follow, reads } = createSetup();
    const run = await runningJob(on);
    const entries = LIMITS.replayPageEvents + 100;
    await on.text(run, ...Array.from({ length: entries }, () => "x"));
    const { connection, socket } = seated("session-2" as SessionId);
    await follow(connection, run.id, 1);
    await settle();
    expect(reads.map(({ after }) => after)).toEqual([1, 1 + LIMITS.replayPageEvents]);
    await write(on, run, 1);
    const seen = socket.events();
    expect(seen.map(({ first, seq }) => [first, seq])).toEqual([
      [2, 2],
      [3, 1 + LIMITS.replayPageEvents],
      [2 + LIMITS.replayPageEvents, 2 + entries],
      [3 + entries, 3 + entries],
    ]);
  });

  test("sends nothing twice when a commit comes while a page is read", async () => {
    const setup = createSetup();
    const { on, seated, follow, reads } = setup;
    const run = await runningJob(on);
    await write(on, run, 2);
    const { connection, socket } = seated("session-2" as SessionId);
    const gate = Promise.withResolvers<void>();
    setup.gate = gate.promise;
    await follow(connection, run.id);
    await settle();
    await write(on, run, 2); // while the page with 1 to 4 is on its way
    await settle();
    expect(socket.seqs(run.id)).toBe("");
    expect(reads).toHaveLength(1);
    gate.resolve();
    setup.gate = null;
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3-4 5-6");
    await write(on, run, 1);
    expect(socket.seqs(run.id)).toBe("1 2 3-4 5-6 7");
  });

  test("with the end of the job in the page ends the attachment", async () => {
    const { on, seated, follow } = createSetup();
    const run = await runningJob(on);
    await on.succeed(run);
    const { connection, socket } = seated("session-2" as SessionId);
    await follow(connection, run.id);
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2 3");
    expect(connection.attachments.size).toBe(0);
  });

  test("serves the attachments in turn: a long log does not hold up a short one", async () => {
    const { on, seated, follow, reads } = createSetup();
    const [long, short, third] = [await runningJob(on), await runningJob(on), await runningJob(on)];
    const pages = LIMITS.replayPageEvents * 3;
    await on.text(long, ...Array.from({ length: pages }, () => "x"));
    await write(on, short, 2);
    const { connection, socket } = seated("session-2" as SessionId);
    for (const { id } of [long, short, third]) await follow(connection, id);
    await settle();
    const order = reads.map(({ id }) => [long, short, third].findIndex((run) => run.id === id));
    expect(order.slice(0, 4)).toEqual([0, 1, 2, 0]);
    expect(socket.seqs(short.id)).toBe("1 2 3-4");
    expect(socket.events().at(-1)).toMatchObject({ job: long.id, seq: pages + 2 });
  });

  test("of what was let go meanwhile sends nothing", async () => {
    const setup = createSetup();
    const { on, seated, follow } = setup;
    const run = await runningJob(on);
    const { connection, socket } = seated("session-2" as SessionId);
    const gate = Promise.withResolvers<void>();
    setup.gate = gate.promise;
    await follow(connection, run.id);
    await settle();
    const attachment = connection.attachments.get(run.id);
    if (attachment !== undefined) connection.detach(attachment);
    gate.resolve();
    setup.gate = null;
    await settle();
    await write(on, run, 1);
    expect(socket.events()).toEqual([]);
  });

  test("begins anew when the client attaches again, at once and while a page is read", async () => {
    const setup = createSetup();
    const { on, seated, follow } = setup;
    const run = await runningJob(on);
    await write(on, run, 2);
    const { connection, socket } = seated("session-2" as SessionId);
    await follow(connection, run.id, 3);
    await settle();
    expect(socket.seqs(run.id)).toBe("4");
    const gate = Promise.withResolvers<void>();
    setup.gate = gate.promise;
    await follow(connection, run.id, 0);
    await settle();
    await follow(connection, run.id, 2);
    gate.resolve();
    setup.gate = null;
    await settle();
    expect(socket.seqs(run.id)).toBe("4 3-4");
  });

  test("finds a log that is no longer whole behind the cursor: somebody has to answer anew", async () => {
    const { on, clock, seated, follow, gaps } = createSetup();
    const run = await runningJob(on);
    await write(on, run, 3);
    await on.succeed(run);
    await clock.advance(10);
    const before = on.now().wallMs;
    await on.retain({ eventsBefore: before, jobsBefore: 0, keysBefore: 0 });
    const { connection, socket } = seated("session-2" as SessionId);
    await follow(connection, run.id, 2);
    await settle();
    expect(gaps).toEqual([{ connection, job: run.id, cursor: 2 }]);
    expect(socket.events()).toEqual([]);
    expect(connection.attachments.size).toBe(0);
    await follow(connection, run.id, 5);
    await settle();
    expect(socket.seqs(run.id)).toBe("6");
  });

  test("that fails closes the socket, for the client to come again", async () => {
    const { on, hub, store, clock, lines, follow } = createSetup();
    const run = await runningJob(on);
    store.events = () => Promise.reject(new Error("no disk"));
    const socket = createFakeSocket();
    const connection = hub.add(socket);
    hub.seat(connection, { id: "session-2" as SessionId, userId: "user-1" as UserId });
    hub.opened(connection, new Set());
    await follow(connection, run.id);
    await settle();
    expect(socket.frames()).toMatchObject([{ type: "goodbye", code: 4004, reconnect: true }]);
    expect(socket.closes).toEqual([{ code: 4004, reason: "internal" }]);
    expect(lines).toMatchObject([{ level: "error", fields: { error: { message: "no disk" } } }]);
    expect(clock.waiting).toBe(0);
  });
});

describe("while it opens", () => {
  test("nothing flows; afterwards what came later does, and what the welcome listed does not", async () => {
    const { on, hub } = createSetup();
    const socket = createFakeSocket();
    const connection = hub.add(socket);
    const before = await runningJob(on);
    hub.seat(connection, { id: SESSION, userId: "user-1" as UserId });
    const [listed, later] = [await runningJob(on), await runningJob(on)];
    await write(on, listed, 1);
    await write(on, later, 1);
    expect(socket.taken).toEqual([]);
    hub.opened(connection, new Set([before.id, listed.id] as JobId[]));
    await settle();
    expect(socket.seqs(later.id)).toBe("1 2 3");
    await write(on, listed, 1);
    await write(on, before, 1);
    await write(on, later, 1);
    expect(socket.seqs(later.id)).toBe("1 2 3 4");
    expect(socket.seqs(listed.id) + socket.seqs(before.id)).toBe("");
    expect([...connection.attachments.keys()]).toEqual([later.id]);
  });
});
