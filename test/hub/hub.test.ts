/** This node's connections: who sits where, who is asked whether it is still there, and how all of them go. */
import { describe, expect, test } from "bun:test";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { TokenObject } from "../../src/protocol/sessions.ts";
import { SESSION, USER } from "../conformance/drive.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { createFakeSocket } from "./fake-socket.ts";
import { createSetup } from "./setup.ts";

const OTHER = "session-2" as SessionId;

describe("a session", () => {
  test("that connects again takes the place of its older connection", async () => {
    const { on, hub, seated, left } = createSetup();
    const older = seated();
    const newer = seated();
    expect(older.socket.frames()).toMatchObject([
      { type: "goodbye", code: 4503, reason: "replaced", reconnect: false },
    ]);
    expect(older.socket.closes).toEqual([{ code: 4503, reason: "replaced" }]);
    expect(hub.connectionOf(SESSION)).toBe(newer.connection);
    // The older socket's close comes later, and is no leave.
    hub.remove(older.connection);
    expect(left).toEqual([]);
    const run = await on.started({ sessionId: SESSION });
    expect(newer.socket.seqs(run.id)).toBe("1 2");
    expect(older.socket.events()).toEqual([]);
    hub.remove(newer.connection);
    expect(left).toEqual([SESSION]);
    expect(hub.connectionOf(SESSION)).toBeNull();
    expect(hub.size).toBe(0);
  });

  test("that left gets nothing more, and what it followed is let go", async () => {
    const { on, hub, seated } = createSetup();
    const { connection, socket } = seated();
    const run = await on.started({ sessionId: SESSION });
    hub.remove(connection);
    await on.text(run, "x");
    await on.submit({ sessionId: SESSION });
    await settle();
    expect(socket.seqs(run.id)).toBe("1 2");
    expect(connection.attachments.size).toBe(0);
  });

  test("has its new jobs attached by themselves, and nobody else's", async () => {
    const { on, seated } = createSetup();
    const [mine, other] = [seated(), seated(OTHER)];
    const own = await on.submit({ sessionId: SESSION });
    await on.submit({ sessionId: null });
    await on.submit({ sessionId: SESSION, userId: "user-2" as UserId });
    expect(mine.socket.events().map((event) => event.job)).toEqual([own]);
    expect(other.socket.events()).toEqual([]);
  });

  test("may follow so many jobs and no more; a finished one makes room", async () => {
    const { on, hub, seated } = createSetup({ attachments: 2 });
    const { connection, socket } = seated();
    const first = await on.started({ sessionId: SESSION });
    const second = await on.started({ sessionId: SESSION });
    const third = await on.started({ sessionId: SESSION });
    expect(socket.seqs(third.id)).toBe("");
    expect(hub.follow(connection, third.id)).toBeNull();
    // Following again what is followed already takes no place.
    expect(hub.follow(connection, second.id)).not.toBeNull();
    await on.succeed(first);
    expect(hub.follow(connection, third.id)).not.toBeNull();
  });

  test("can be closed by name, and so can all of one user", () => {
    const { hub, seated } = createSetup();
    const [first, second] = [seated(), seated(OTHER)];
    const stranger = seated("session-3" as SessionId, "user-2" as UserId);
    hub.closeSession(SESSION, "revoked");
    hub.closeSession("unknown" as SessionId, "revoked");
    expect(first.socket.closes).toEqual([{ code: 4502, reason: "revoked" }]);
    hub.closeUser(USER, "revoked");
    expect(second.socket.closes).toEqual([{ code: 4502, reason: "revoked" }]);
    expect(first.socket.closes).toHaveLength(1);
    expect(stranger.socket.closes).toEqual([]);
  });
});

describe("a connection that is silent", () => {
  test("is asked every pingMs, and closed pingMs + timeoutMs after it was last heard", async () => {
    const { hub, clock, seated } = createSetup();
    hub.start();
    const { connection, socket } = seated();
    await clock.advance(24_999);
    expect(socket.taken).toEqual([]);
    await clock.advance(1001);
    expect(socket.frames()).toEqual([{ type: "ping", at: expect.any(Number) as number }]);
    hub.heard(connection);
    await clock.advance(34_000);
    expect(socket.closes).toEqual([]);
    expect(socket.frames()).toHaveLength(2);
    await clock.advance(3000);
    expect(socket.frames().at(-1)).toMatchObject({
      type: "goodbye",
      code: 4002,
      reason: "heartbeat_timeout",
      reconnect: true,
    });
    expect(socket.closes).toEqual([{ code: 4002, reason: "heartbeat_timeout" }]);
    await clock.advance(100_000);
    expect(socket.closes).toHaveLength(1);
    await hub.stop();
    expect(clock.waiting).toBe(0);
  });
});

describe("a socket that is slow", () => {
  test("is closed once it took no byte for 30 s, and not while it takes some", async () => {
    const { on, hub, clock, seated } = createSetup({ pingMs: 1e9, pingTimeoutMs: 4000 });
    hub.start();
    const { socket } = seated();
    const run = await on.started({ sessionId: SESSION });
    socket.buffered = 5000;
    socket.answers.push(-1);
    await on.text(run, "x");
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(LIMITS.stalledMs - 2000);
      socket.buffered -= 10;
    }
    expect(socket.closes).toEqual([]);
    await clock.advance(LIMITS.stalledMs + 2000);
    expect(socket.closes).toEqual([{ code: 4001, reason: "slow_consumer" }]);
    expect(socket.frames().at(-1)).toMatchObject({ type: "goodbye", reconnect: true });
    await hub.stop();
  });

  test("and has drained is no longer watched for it", async () => {
    const { on, hub, clock, seated } = createSetup({ pingMs: 1e9, pingTimeoutMs: 4000 });
    hub.start();
    const { connection, socket } = seated();
    const run = await on.started({ sessionId: SESSION });
    socket.answers.push(-1);
    await on.text(run, "x");
    await clock.advance(LIMITS.stalledMs - 5000);
    connection.drained();
    socket.answers.push(-1);
    await on.text(run, "y");
    await clock.advance(LIMITS.stalledMs - 5000);
    expect(socket.closes).toEqual([]);
    await hub.stop();
  });
});

describe("a token", () => {
  const token = (at: number): TokenObject => ({ token: `token until ${at}`, tokenExpiresAt: at });

  test("is renewed at two thirds of its life, as long as the new one lives longer", async () => {
    let endsAt = 0;
    let asked = 0;
    const { hub, clock, seated } = createSetup({
      pingMs: 1e9,
      pingTimeoutMs: 4000,
      issueToken: () => {
        asked += 1;
        return Promise.resolve(token(endsAt));
      },
    });
    hub.start();
    const { connection, socket } = seated();
    const first = clock.wallMs() + 90_000;
    hub.holds(connection, token(first), null);
    endsAt = first + 90_000;
    await clock.advance(59_000);
    expect(asked).toBe(0);
    await clock.advance(2000);
    expect(socket.frames()).toEqual([{ type: "token", ...token(endsAt) }]);
    await clock.advance(200_000);
    // The last one it was offered ended no later than what it had: that is no renewal.
    expect(socket.frames()).toHaveLength(1);
    expect(asked).toBe(2);
    await hub.stop();
  });

  test("of a user that is over ends the connection after its grace", async () => {
    const { hub, clock, seated } = createSetup({ pingMs: 1e9, pingTimeoutMs: 4000 });
    hub.start();
    const { connection, socket } = seated();
    hub.holds(connection, token(clock.wallMs() + 1e9), clock.wallMs() + 5000);
    await clock.advance(5000 + LIMITS.userTokenGraceMs - 1000);
    expect(socket.closes).toEqual([]);
    await clock.advance(2000);
    expect(socket.closes).toEqual([{ code: 4005, reason: "token_expired" }]);
    await hub.stop();
  });
});

describe("a push", () => {
  const frame = { type: "message", id: "1", from: null, data: "hello", at: 1, to: "user" } as const;

  test("goes to the open connections of its audience, and is counted", () => {
    const { hub, seated } = createSetup();
    const [first, second] = [seated(), seated(OTHER)];
    const stranger = seated("session-3" as SessionId, "user-2" as UserId);
    const opening = createFakeSocket();
    hub.seat(hub.add(opening), { id: "session-4" as SessionId, userId: USER });
    expect(hub.push({ to: "user", userId: USER }, frame)).toBe(2);
    expect(hub.push({ to: "session", sessionId: OTHER }, frame)).toBe(1);
    expect(hub.push({ to: "session", sessionId: "nobody" as SessionId }, frame)).toBe(0);
    expect(hub.push({ to: "all" }, frame)).toBe(3);
    expect([first, second, stranger].map(({ socket }) => socket.frames().length)).toEqual([2, 3, 1]);
    expect(opening.taken).toEqual([]);
  });

  test("is not pressed on a connection that has its most waiting", () => {
    const { hub, seated } = createSetup({ queueBytes: 1000 });
    const { socket } = seated();
    socket.buffered = 1000;
    expect(hub.push({ to: "all" }, frame)).toBe(0);
    expect(socket.taken).toEqual([]);
  });
});

test("stopping says goodbye to everybody, and spreads when they come back", async () => {
  const { hub, seated } = createSetup();
  const all = Array.from({ length: 450 }, (_none, n) => seated(`session-${n}` as SessionId, USER));
  await hub.stop();
  const waits = all.map(({ socket }) => {
    expect(socket.closes).toEqual([{ code: 4000, reason: "draining" }]);
    const [goodbye] = socket.frames();
    expect(goodbye).toMatchObject({ type: "goodbye", code: 4000, reconnect: true });
    return goodbye?.type === "goodbye" ? goodbye.reconnectAfterMs : -1;
  });
  expect(Math.min(...waits)).toBe(500);
  expect(Math.max(...waits)).toBeGreaterThan(1900);
  expect(new Set(waits).size).toBeGreaterThan(400);
});

test("a closed connection is told nothing more", async () => {
  const { on, hub, seated } = createSetup();
  const { connection, socket } = seated();
  connection.close("overloaded", 700);
  expect(socket.frames()).toEqual([
    { type: "goodbye", code: 4003, reason: "overloaded", reconnect: true, reconnectAfterMs: 700 },
  ]);
  connection.close("revoked");
  connection.send({ type: "ping", at: 1 });
  await on.submit({ sessionId: SESSION, id: "01890000-0000-7000-8000-00000000ffff" as JobId });
  await hub.stop();
  expect(socket.taken).toHaveLength(1);
  expect(socket.closes).toHaveLength(1);
});
