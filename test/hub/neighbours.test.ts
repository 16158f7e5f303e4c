/** Two nodes on one set of stores: what one does reaches the sockets of the other, by hints that are looked up. */
import { describe, expect, test } from "bun:test";
import { summarize } from "../../src/jobs/job.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, SESSION } from "../conformance/drive.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { heard, pass, seen, startNode, twoNodes } from "./nodes.ts";

describe("a room over two nodes", () => {
  test("its members see and hear each other, once", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await there.open()];
    await here.join(ann, "lobby");
    await there.join(ben, "lobby");
    await pass(shared);
    const both = { [ann.session.id]: "online", [ben.session.id]: "online" };
    expect([seen(ann, "lobby"), seen(ben, "lobby")]).toEqual([both, both]);
    await here.rooms.say(ann.connection, "lobby", "from here");
    await there.rooms.say(ben.connection, "lobby", "from there");
    await pass(shared);
    expect(heard(ann)).toEqual(["from here", "from there"]);
    expect(new Set(heard(ben))).toEqual(new Set(["from here", "from there"]));
    expect(heard(ben)).toHaveLength(2);
    await there.rooms.leave(ben.connection, "lobby");
    await pass(shared);
    expect(seen(ann, "lobby")).toEqual({ [ann.session.id]: "online" });
  });

  test("somebody whose socket is gone is away after the grace, and gone when the session is, on every node", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await there.open()];
    await here.join(ann, "lobby");
    await there.join(ben, "lobby");
    await pass(shared);
    there.hub.remove(ben.connection);
    await settle();
    expect(seen(ann, "lobby")[ben.session.id]).toBe("online");
    await pass(shared, 2500);
    expect(seen(ann, "lobby")[ben.session.id]).toBe("away");
    await there.sessions.end(ben.session.id);
    await pass(shared);
    expect(seen(ann, "lobby")).toEqual({ [ann.session.id]: "online" });
  });

  test("one that keeps a history is caught up with on any node, and live afterwards", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await there.open()];
    await here.join(ann, "kept");
    for (const n of [1, 2, 3]) await here.rooms.say(ann.connection, "kept", n);
    await there.join(ben, "kept", "");
    await here.rooms.say(ann.connection, "kept", 4);
    await pass(shared);
    expect(heard(ben)).toEqual([1, 2, 3, 4]);
  });

  test("what somebody says right after it came in is heard at the other node, in its order", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await there.open()];
    await there.join(ben, "lobby");
    await pass(shared);
    // The other node still looks up who she is when the first words are there.
    shared.latency = () => 3;
    await here.join(ann, "lobby");
    for (const n of [1, 2, 3]) await here.rooms.say(ann.connection, "lobby", n);
    await pass(shared);
    await here.rooms.say(ann.connection, "lobby", 4);
    await pass(shared);
    expect(heard(ben)).toEqual([1, 2, 3, 4]);
  });

  test("so much of that waits while nobody can be looked up, and no more", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await there.open()];
    await there.join(ben, "lobby");
    await pass(shared);
    await here.join(ann, "lobby");
    shared.latency = () => 100;
    for (let n = 0; n < LIMITS.heldMessages + 5; n += 1) await here.rooms.say(ann.connection, "lobby", n);
    await settle();
    shared.latency = () => 0;
    for (let turn = 0; turn < 20; turn += 1) await settle();
    await here.rooms.say(ann.connection, "lobby", "last");
    await settle();
    const all = Array.from({ length: LIMITS.heldMessages }, (_, n) => n);
    expect(heard(ben)).toEqual([...all, "last"]);
  });

  test("a speaker that the store does not know as a member is not heard", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, stranger] = [await here.open(), await there.open()];
    await here.join(ann, "lobby");
    const from = { userId: stranger.session.userId, sessionId: stranger.session.id };
    const frame = { type: "message", room: "lobby", id: "forged", from, data: "forged", at: 0 } as const;
    there.backplane.publish({ kind: "message", room: "lobby", frame, place: null });
    there.backplane.publish({
      kind: "message",
      room: "lobby",
      frame: { ...frame, from: null, data: "an operator's" },
      place: null,
    });
    await pass(shared);
    expect(heard(ann)).toEqual(["an operator's"]);
  });
});

test("a node hears what is said in rooms of those who sit there, and in no other", async () => {
  const { shared, here, there } = await twoNodes();
  const [ann, ben] = [await here.open(), await there.open()];
  let messages = 0;
  there.backplane.onSignal(({ kind }) => (messages += kind === "message" ? 1 : 0));
  const say = async (): Promise<number> => {
    await here.rooms.say(ann.connection, "lobby", "?");
    await pass(shared);
    return messages;
  };
  await here.join(ann, "lobby");
  await pass(shared);
  expect(await say()).toBe(0);
  await there.join(ben, "lobby");
  await pass(shared);
  expect(await say()).toBe(1);
  there.hub.remove(ben.connection);
  await pass(shared);
  expect(await say()).toBe(1);
  const again = await there.resume(ben.session.id);
  await pass(shared);
  expect(await say()).toBe(2);
  await there.rooms.leave(again.connection, "lobby");
  await pass(shared);
  expect(await say()).toBe(2);
});

describe("a session over two nodes", () => {
  test("that sits down there is replaced here; its leaving here is no leaving", async () => {
    const { shared, here, there } = await twoNodes();
    const ann = await here.open();
    const again = await there.resume(ann.session.id);
    await pass(shared);
    expect(ann.socket.closes).toEqual([{ code: 4503, reason: "replaced" }]);
    expect(again.socket.closes).toEqual([]);
  });

  test("that is sitting down here is not closed for where it sat before, and closed if it goes on elsewhere", async () => {
    const { shared, here, there } = await twoNodes();
    const ann = await there.open();
    const { id } = ann.session;
    // Its seat is taken, and the store does not say so yet, when the other node tells that its socket is gone.
    const again = here.sitDown(ann.session);
    there.hub.remove(ann.connection);
    await pass(shared);
    await here.sessions.connected(id, null);
    again.welcome();
    await pass(shared);
    expect(again.socket.closes).toEqual([]);
    const late = here.sitDown(await here.sessions.open(null, { connected: true }));
    await there.resume(late.session.id);
    await pass(shared);
    expect(late.socket.closes).toEqual([]);
    late.welcome();
    await pass(shared);
    expect(late.socket.closes).toEqual([{ code: 4503, reason: "replaced" }]);
  });

  test("that came back while it was looked up keeps its seat", async () => {
    const { shared, here, there } = await twoNodes();
    const ann = await here.open();
    const { id } = ann.session;
    const read = Promise.withResolvers<void>();
    const find = here.sessions.findChanged.bind(here.sessions);
    Object.assign(here.sessions, {
      findChanged: async (asked: SessionId) => {
        const found = await find(asked);
        await read.promise;
        return found;
      },
    });
    await there.resume(id);
    await pass(shared);
    const back = await here.resume(id);
    read.resolve();
    await pass(shared);
    expect(ann.socket.closes).toEqual([{ code: 4503, reason: "replaced" }]);
    expect(back.socket.closes).toEqual([]);
  });

  test("that is logged out there is closed here, though it was looked up here a moment before", async () => {
    const { shared, here, there } = await twoNodes();
    const ann = await here.open();
    expect((await here.sessions.find(ann.session.id))?.endedAt).toBeNull();
    await there.sessions.end(ann.session.id);
    await pass(shared);
    expect(ann.socket.closes).toEqual([{ code: 4502, reason: "revoked" }]);
  });

  test("whose user is revoked there is closed here, and nobody else's", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await here.open()];
    await there.revocations.revoke("user", ann.session.userId, shared.clock.wallMs());
    await pass(shared);
    expect(ann.socket.closes).toEqual([{ code: 4502, reason: "revoked" }]);
    expect(ben.socket.closes).toEqual([]);
    expect(here.revocations.isRevoked(ann.session.userId, null, ann.session.createdAt)).toBe(true);
  });

  test("a hint about a session that nothing happened to changes nothing", async () => {
    const { shared, here, there } = await twoNodes();
    const ann = await here.open();
    there.backplane.publish({ kind: "session", id: ann.session.id });
    there.backplane.publish({ kind: "session", id: "nobody" as SessionId });
    there.backplane.publish({ kind: "revocations" });
    await pass(shared);
    expect(ann.socket.closes).toEqual([]);
    expect(here.lines).toEqual([]);
  });
});

describe("jobs and pushes over two nodes", () => {
  test("a log that grows there is read on here", async () => {
    const { shared, here, there } = await twoNodes();
    const on = drive(there.jobs, shared.clock);
    const seat = await here.open();
    const run = await on.started({ sessionId: SESSION, userId: seat.session.userId });
    here.hub.follow(seat.connection, run.id);
    seat.connection.attach(run.id, 0, 2);
    seat.connection.wake();
    await settle();
    await on.text(run, "a", "b");
    await pass(shared);
    expect(seat.socket.seqs(run.id)).toBe("1 2 3-4");
    // A hint of what is not there costs a read.
    const stands = summarize(await on.job(run.id));
    there.backplane.publish({ kind: "jobs", jobs: [{ ...stands, head: 999, status: "canceled" }] });
    await pass(shared);
    expect(seat.socket.seqs(run.id)).toBe("1 2 3-4");
    expect(seat.connection.attachments.size).toBe(1);
  });

  test("a job that gave way on the other node falls silent on this one", async () => {
    const { shared, here, there } = await twoNodes();
    const on = drive(there.jobs, shared.clock);
    const seat = await here.open();
    const lane = { sessionId: SESSION, userId: seat.session.userId, lane: "voice" };
    const run = await on.started(lane);
    here.hub.follow(seat.connection, run.id);
    seat.connection.attach(run.id, 0, 2);
    const say = () =>
      on.execute("append", {
        id: run.id,
        lease: run.lease,
        items: [{ kind: "output.audio", data: new Uint8Array(4) }],
        jobBytes: LIMITS.jobBytes,
      });
    await say();
    await pass(shared);
    await on.submit(lane);
    await say();
    await pass(shared);
    const sound = seat.socket.events().filter(({ kind }) => kind === "output.audio");
    expect(sound.map(({ data }) => (data as Uint8Array).byteLength)).toEqual([4, 0]);
  });

  test("a push reaches whom it is for on both", async () => {
    const { shared, here, there } = await twoNodes();
    const [ann, ben] = [await here.open(), await there.open()];
    const frame = { type: "message", to: "all", id: "1", from: null, data: "to all", at: 0 } as const;
    expect(here.neighbours.push({ to: "all" }, frame)).toBe(1);
    const audience = { to: "user", userId: ben.session.userId } as const;
    expect(here.neighbours.push(audience, { ...frame, to: "user", data: "to ben" })).toBe(0);
    await pass(shared);
    expect([heard(ann), heard(ben)]).toEqual([["to all"], ["to all", "to ben"]]);
  });

  test("a push to a session goes to the node that has its socket, in order, and to no other", async () => {
    const { shared, here, there } = await twoNodes();
    const ben = await there.open();
    const elsewhere = await startNode(shared, "elsewhere");
    let heardElsewhere = 0;
    elsewhere.backplane.onSignal(({ kind }) => (heardElsewhere += kind === "push" ? 1 : 0));
    const audience = { to: "session", sessionId: ben.session.id } as const;
    const frame = { type: "message", to: "session", id: "1", from: null, at: 0 } as const;
    for (const data of [1, 2, 3]) expect(here.neighbours.push(audience, { ...frame, data })).toBe(0);
    await pass(shared);
    there.hub.remove(ben.connection);
    await pass(shared);
    here.neighbours.push(audience, { ...frame, data: "too late" });
    await pass(shared);
    expect(heard(ben)).toEqual([1, 2, 3]);
    expect(heardElsewhere).toBe(0);
  });
});
