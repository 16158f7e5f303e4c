/** The client keeps its session connected, comes back when it may, and stops and says so when it may not. */
import { expect, test } from "bun:test";
import { CLOSE_CODES } from "../../src/protocol/codes.ts";
import type { ClientError } from "../../src/client/errors.ts";
import { closeName, verdictOf } from "../../src/client/verdict.ts";
import { acceptNext, BODY, createMapStorage, createScene, reaches } from "./setup.ts";
import { JOB } from "./scripted-server.ts";

test("open mode offers no token at first, and the session's token from then on", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  expect(peer.offered).toEqual(["holdline.v1"]);
  peer.kill();
  const second = await scene.reconnect();
  expect(second.offered).toEqual(["holdline.v1", "bearer.token-of-s1"]);
});

test("a token frame replaces the token", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  peer.send({ type: "token", token: "newer", tokenExpiresAt: Date.UTC(2026, 0, 1, 0, 30) });
  peer.kill();
  expect((await scene.reconnect()).offered).toEqual(["holdline.v1", "bearer.newer"]);
});

test("pings are answered with their own time", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  peer.send({ type: "ping", at: 1234 });
  expect(await peer.next("pong")).toEqual({ type: "pong", at: 1234 });
});

test("a server that says nothing for pingMs + timeoutMs is given up on", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  scene.clock.advance(34_999);
  expect(scene.client.state.phase).toBe("online");
  scene.clock.advance(1);
  expect(scene.client.state).toMatchObject({ phase: "offline", cause: "connection_lost" });
  await peer.closed;
  expect((await scene.reconnect()).offered).toContain("bearer.token-of-s1");
});

test("anything heard moves the silence on", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  scene.clock.advance(30_000);
  peer.send({ type: "ping", at: 1 });
  await peer.next("pong");
  scene.clock.advance(34_999);
  expect(scene.client.state.phase).toBe("online");
  scene.clock.advance(1);
  expect(scene.client.state.phase).toBe("offline");
});

test("a server that accepts the socket and never speaks is given up on after ten seconds", async () => {
  await using scene = createScene();
  scene.client.connect();
  await scene.server.connection();
  scene.clock.advance(10_000);
  expect(scene.client.state.phase).toBe("offline");
});

test("losses in a row wait longer each time, and a good connection starts over", async () => {
  await using scene = createScene();
  scene.client.connect();
  const waits: number[] = [];
  const lose = async (): Promise<void> => {
    const { retryAtMs } = await scene.phase("offline");
    waits.push(retryAtMs - scene.clock.steadyMs());
    scene.clock.advance(retryAtMs - scene.clock.steadyMs());
  };
  for (let loss = 0; loss < 4; loss += 1) {
    (await scene.server.connection()).close(CLOSE_CODES.overloaded);
    await lose();
  }
  const peer = await scene.server.connection();
  peer.welcome();
  await scene.phase("online");
  scene.clock.advance(6000);
  peer.kill();
  await lose();
  // Half of 500 ms × 2ⁿ, by the scene's fixed random number.
  expect(waits).toEqual([250, 500, 1000, 2000, 250]);
});

test("a server that cannot be reached is looked for at the pace of its absence: soon at first, rarely in the end", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  scene.clock.advance(6000);
  peer.kill();
  let awayMs = 0;
  let longestMs = 0;
  for (let look = 0; look < 96; look += 1) {
    const { retryAtMs } = await scene.phase("offline");
    const waitMs = retryAtMs - scene.clock.steadyMs();
    // Half of an eighth of its absence, by the scene's fixed random number: at least of 500 ms, at most of 30 s.
    expect(waitMs).toBeCloseTo(Math.min(30_000, Math.max(500, awayMs / 8)) / 2);
    awayMs += waitMs;
    longestMs = Math.max(longestMs, waitMs);
    scene.clock.advance(waitMs);
    (await scene.server.connection()).kill();
  }
  expect(longestMs).toBeCloseTo(15_000);
});

test("a kill every few seconds does not make the client slow, a cut right after each welcome does", async () => {
  await using scene = createScene();
  const waits: number[] = [];
  for (const lastsMs of [2000, 300, 2000, 10, 10, 10, 10, 2000]) {
    if (waits.length === 0) scene.client.connect();
    const peer = await (waits.length === 0 ? scene.server.connection() : scene.reconnect());
    peer.welcome();
    await scene.phase("online");
    scene.clock.advance(lastsMs);
    peer.kill();
    const { retryAtMs } = await scene.phase("offline");
    waits.push(retryAtMs - scene.clock.steadyMs());
  }
  expect(waits).toEqual([250, 250, 250, 250, 500, 1000, 2000, 250]);
});

test("a goodbye says when to come back", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  peer.send({ type: "goodbye", code: 4000, reason: "draining", reconnect: true, reconnectAfterMs: 4000 });
  peer.close(CLOSE_CODES.draining);
  const { retryAtMs, cause } = await scene.phase("offline");
  expect(cause).toBe("draining");
  // Never less than asked; a fifth more at most.
  expect(retryAtMs - scene.clock.steadyMs()).toBe(4400);
});

test("who is turned away again and again waits longer than asked in the end, and says how often it tried", async () => {
  await using scene = createScene();
  scene.client.connect();
  const seen: unknown[] = [];
  for (let loss = 0; loss < 5; loss += 1) {
    const peer = await scene.server.connection();
    peer.send({ type: "goodbye", code: 4003, reason: "overloaded", reconnect: true, reconnectAfterMs: 1000 });
    peer.close(CLOSE_CODES.overloaded);
    const { retryAtMs, failures } = await scene.phase("offline");
    seen.push([retryAtMs - scene.clock.steadyMs(), failures]);
    scene.clock.advance(retryAtMs - scene.clock.steadyMs());
  }
  // A tenth more than asked by the scene's random number, until half of 500 ms × 2ⁿ is more.
  expect(seen).toEqual([
    [1100, 1],
    [1100, 2],
    [1100, 3],
    [2000, 4],
    [4000, 5],
  ]);
});

for (const name of ["replaced", "revoked", "protocol_error", "too_many_sessions"] as const) {
  test(`${name} stops the client, which says so`, async () => {
    await using scene = createScene();
    const peer = await scene.online();
    peer.close(CLOSE_CODES[name]);
    expect(await scene.phase("closed")).toEqual({ phase: "closed", code: CLOSE_CODES[name], cause: name });
    expect(scene.clock.waiting).toBe(0);
  });
}

test("a session that is gone is replaced by a new one, which attaches to the unfinished jobs", async () => {
  await using scene = createScene({ credential: () => "user" });
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  await acceptNext(scene.server);
  peer.event(1, "job.queued", { position: 1 });
  await reaches(job, 1);
  peer.kill();
  const resumed = await scene.reconnect();
  expect(resumed.offered).toEqual(["holdline.v1", "bearer.token-of-s1"]);
  resumed.close(CLOSE_CODES.session_gone);
  // The session may live while its token is too old: a user token beside it is tried first.
  const second = await scene.reconnect();
  expect(second.offered).toEqual(["holdline.v1", "bearer.user", "session.token-of-s1"]);
  second.close(CLOSE_CODES.session_gone);
  const third = await scene.reconnect();
  expect(third.offered).toEqual(["holdline.v1", "bearer.user"]);
  third.welcome("s2");
  expect(await third.next("attach")).toMatchObject({ job: JOB, after: 1 });
  expect(scene.client.sessionId).toBe("s2");
});

test("in open mode a session that is gone is replaced at once", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  peer.close(CLOSE_CODES.session_gone);
  expect((await scene.reconnect()).offered).toEqual(["holdline.v1"]);
});

test("an expired user token is fetched anew and sent beside the session's", async () => {
  let fetched = 0;
  await using scene = createScene({
    credential: () => {
      fetched += 1;
      return `user${fetched}`;
    },
  });
  const peer = await scene.online();
  expect(peer.offered).toEqual(["holdline.v1", "bearer.user1"]);
  peer.close(CLOSE_CODES.token_expired);
  const second = await scene.reconnect();
  expect(second.offered).toEqual(["holdline.v1", "bearer.user2", "session.token-of-s1"]);
});

test("a cookie in place of a user token: the session's goes beside it when it has to be renewed", async () => {
  await using scene = createScene({ credential: () => null });
  const peer = await scene.online();
  expect(peer.offered).toEqual(["holdline.v1"]);
  peer.close(CLOSE_CODES.token_expired);
  const second = await scene.reconnect();
  expect(second.offered).toEqual(["holdline.v1", "session.token-of-s1"]);
});

test("strict binding: every connect and every call bears both tokens", async () => {
  await using scene = createScene({ credential: () => "user", strictBinding: true });
  const peer = await scene.online();
  peer.kill();
  const second = await scene.reconnect();
  expect(second.offered).toEqual(["holdline.v1", "bearer.user", "session.token-of-s1"]);
  second.welcome("s1", true);
  await scene.phase("online");
  scene.client.submit(BODY);
  const { headers } = await acceptNext(scene.server);
  expect(headers.get("Authorization")).toBe("Bearer token-of-s1");
  expect(headers.get("Holdline-User-Token")).toBe("user");
});

test("a credential that cannot be fetched is tried again later", async () => {
  let tries = 0;
  await using scene = createScene({
    credential: () => {
      tries += 1;
      if (tries === 1) throw new Error("the identity provider is away");
      return "user";
    },
  });
  scene.client.connect();
  const peer = await scene.reconnect();
  expect(peer.offered).toEqual(["holdline.v1", "bearer.user"]);
});

test("a reloaded page resumes the session and knows its unfinished jobs", async () => {
  const storage = createMapStorage();
  await using before = createScene({ storage });
  const peer = await before.online();
  const job = before.client.submit(BODY);
  await acceptNext(before.server);
  peer.event(1, "job.queued", { position: 1 });
  peer.event(2, "job.started", {});
  await reaches(job, 2);
  before.client.save();

  // The page after the reload: another client, the same storage, the same server.
  await using after = createScene({ storage, url: before.server.url });
  expect(after.client.remembered).toEqual([{ id: JOB, type: "chat", cursor: 2 }]);
  const resumed = after.client.job(JOB);
  after.client.connect();
  const second = await before.server.connection();
  expect(second.offered).toEqual(["holdline.v1", "bearer.token-of-s1"]);
  second.welcome("s1", true);
  const ask = await second.next("attach");
  expect(ask).toMatchObject({ job: JOB, after: 0 });
  second.attached(ask, { head: 3 });
  second.event(1, "job.queued", { position: 1 });
  second.event(2, "job.started", {});
  second.event(3, "job.succeeded", { result: "done" });
  expect(await resumed.result).toBe("done");
  after.client.save();
  await using later = createScene({ storage, url: before.server.url });
  expect(later.client.remembered).toEqual([]);
});

test("a stored token the server does not know leads to a new session, not to a locked page", async () => {
  const storage = createMapStorage();
  await using first = createScene({ storage });
  await first.online();
  await using second = createScene({ storage, url: first.server.url });
  second.client.connect();
  const peer = await first.server.connection();
  expect(peer.offered).toEqual(["holdline.v1", "bearer.token-of-s1"]);
  peer.close(CLOSE_CODES.unauthenticated);
  const { retryAtMs } = await second.phase("offline");
  second.clock.advance(retryAtMs);
  const fresh = await first.server.connection();
  expect(fresh.offered).toEqual(["holdline.v1"]);
  fresh.close(CLOSE_CODES.unauthenticated);
  expect(await second.phase("closed")).toMatchObject({ cause: "unauthenticated" });
});

test.each([
  ["{"],
  ["7"],
  ["null"],
  ['{"jobs":5,"token":{}}'],
  ['{"jobs":[null,7,{"id":"x"}],"sessionId":[]}'],
])("what others wrote into the storage counts as nothing: %s", async (text) => {
  await using scene = createScene({ storage: { ...createMapStorage(), getItem: () => text } });
  expect(scene.client.remembered).toEqual([]);
  expect((await scene.online()).offered).toEqual(["holdline.v1"]);
});

test("a storage that fails costs the resume and nothing else", async () => {
  const refuse = (): never => {
    throw new Error("storage is full");
  };
  await using scene = createScene({ storage: { getItem: refuse, setItem: refuse, removeItem: refuse } });
  const peer = await scene.online();
  peer.send({ type: "ping", at: 5 });
  expect(await peer.next("pong")).toMatchObject({ at: 5 });
});

test("dropConnection cuts the socket, stays away for as long as it says, and resumes", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  scene.client.dropConnection(2000);
  expect(scene.client.state).toEqual({ phase: "offline", retryAtMs: 2000, failures: 0, cause: "dropped" });
  await peer.closed;
  scene.clock.advance(1999);
  expect(scene.client.state.phase).toBe("offline");
  scene.clock.advance(1);
  const second = await scene.server.connection();
  second.welcome("s1", true);
  expect((await scene.phase("online")).welcome.session.resumed).toBe(true);
});

test("a request is answered, refused, or given up when the connection goes", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const join = (room: string): Promise<string> =>
    scene.client.request({ type: "join", room }).then(
      () => "joined",
      (error: ClientError) => error.code,
    );
  const outcomes = [join("lobby"), join("vault"), join("late")];
  const lobby = await peer.next("join");
  const vault = await peer.next("join");
  peer.send({ type: "ok", re: lobby.id ?? "" });
  peer.send({ type: "error", re: vault.id ?? "", code: "forbidden", detail: "No.", retryable: false });
  expect(await Promise.all(outcomes.slice(0, 2))).toEqual(["joined", "forbidden"]);
  peer.kill();
  expect(await outcomes[2]).toBe("offline");
  expect(await join("too late")).toBe("offline");
});

test("every close code of the protocol has a verdict that keeps to its table", () => {
  const facts = { offer: { session: true, user: false }, proved: true, credential: "none" } as const;
  const verdicts = Object.fromEntries(
    Object.entries(CLOSE_CODES).map(([name, code]) => [name, verdictOf({ ...facts, code })]),
  );
  expect(verdicts).toEqual({
    draining: "retry",
    slow_consumer: "retry",
    heartbeat_timeout: "retry",
    overloaded: "retry",
    internal: "retry",
    token_expired: "stop",
    unauthenticated: "stop",
    session_gone: "restart",
    revoked: "stop",
    replaced: "stop",
    protocol_error: "stop",
    too_many_sessions: "stop",
  });
  expect([1000, 1001, 1006, 1011, 4499].map((code) => verdictOf({ ...facts, code }))).toEqual(
    Array.from({ length: 5 }, () => "retry"),
  );
  expect([1009, 4506, 4999].map((code) => verdictOf({ ...facts, code }))).toEqual(["stop", "stop", "stop"]);
  expect([closeName(4503), closeName(1009), closeName(1006)]).toEqual([
    "replaced",
    "message_too_big",
    "connection_lost",
  ]);
});
