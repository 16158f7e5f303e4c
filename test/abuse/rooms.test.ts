/** Rooms by those who are not in them, by those who want too many, and by those who do not read (docs/security.md, S10, S49). */
import { describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf, call, type CallOptions, expectProblem, newSession } from "../support/http.ts";
import { issueToken } from "../support/operator.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { freshRoom, heard, join, presences, together } from "../support/rooms.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { tokenOf, WITH_SECRET } from "./identity-provider.ts";
import { median } from "./timing.ts";

const server = sharedServer({ env: WITH_SECRET });

const without = (text: string, room: string): string =>
  text.replaceAll(room, "ROOM").replaceAll(/"(?:traceId|re)":"[^"]*"/g, "");

/** A room that alice is in, and mallory, who is not. */
async function setUp(): Promise<{ room: string; alice: Client; mallory: Client }> {
  const room = freshRoom();
  const alice = await connect(server(), { token: tokenOf("alice") });
  await join(alice, room);
  return { room, alice, mallory: await connect(server(), { token: tokenOf("mallory") }) };
}

describe("S10 a room one is not in", () => {
  const CALLS: [what: string, method: string, path: string, options: CallOptions][] = [
    ["reading presence", "GET", "presence", {}],
    ["its head", "HEAD", "presence", {}],
    ["a message", "POST", "messages", { json: { data: 1 } }],
    ["a bad message", "POST", "messages", { json: { nonsense: 1 } }],
    ["no JSON", "POST", "messages", { body: "{", headers: { "content-type": "application/json" } }],
    ["a large message", "POST", "messages", { json: { data: "x".repeat(100_000) } }],
    ["a wrong method", "DELETE", "presence", {}],
  ];
  test.each(CALLS)(
    "S10 by %s → exactly as a room that there is not",
    async (_what, method, path, options) => {
      const { room, alice, mallory } = await setUp();
      const unknownRoom = freshRoom();
      // Alice by her user token alone is no member either: sessions are.
      for (const token of [mallory.token, tokenOf("mallory"), tokenOf("alice")]) {
        const api = apiOf(server(), token);
        const foreign = await api.call(method, `/v1/rooms/${room}/${path}`, options);
        const unknown = await api.call(method, `/v1/rooms/${unknownRoom}/${path}`, options);
        expect([404, 405]).toContain(foreign.status);
        expect(foreign.status).toBe(unknown.status);
        expect(without(foreign.text, room)).toBe(without(unknown.text, unknownRoom));
        expect([...foreign.headers.keys()].toSorted()).toEqual([...unknown.headers.keys()].toSorted());
      }
      await alice.settle();
      expect(heard(alice, room)).toEqual([]);
      await Promise.all([alice.close(), mallory.close()]);
    },
  );

  test("S10 by say and leave → exactly as a room that there is not, and nothing of it arrives", async () => {
    const { room, alice, mallory } = await setUp();
    const unknownRoom = freshRoom();
    for (const frame of [{ type: "say", data: 1 }, { type: "leave" }]) {
      const foreign = await mallory.ask({ ...frame, room });
      const unknown = await mallory.ask({ ...frame, room: unknownRoom });
      expect(without(JSON.stringify(foreign), room)).toBe(without(JSON.stringify(unknown), unknownRoom));
    }
    await alice.ask({ type: "say", room, data: "among us" });
    await mallory.ask({ type: "presence", status: "busy" });
    await Promise.all([alice.settle(), mallory.settle()]);
    expect(heard(alice, room)).toEqual(["among us"]);
    expect(together(alice, room).size).toBe(1);
    expect([heard(mallory, room), presences(mallory, room)]).toEqual([[], []]);
    await Promise.all([alice.close(), mallory.close()]);
  });

  test("S10 by its time → as a room that there is not", async () => {
    const { room, alice, mallory } = await setUp();
    const api = apiOf(server(), mallory.token);
    const [foreignMs, unknownMs]: [number[], number[]] = [[], []];
    for (let n = 0; n < 150; n += 1) {
      for (const [name, tookMs] of [
        [room, foreignMs],
        [freshRoom(), unknownMs],
      ] as const) {
        const startedMs = performance.now();
        await api.call("GET", `/v1/rooms/${name}/presence`);
        tookMs.push(performance.now() - startedMs);
      }
    }
    expect(median(foreignMs) / median(unknownMs)).toBeWithin(0.5, 2);
    await Promise.all([alice.close(), mallory.close()]);
  });

  test("S10 presence over HTTP without a credential, and with one of a session that is over", async () => {
    const { room, alice, mallory } = await setUp();
    expectProblem(await call("GET", `${server().url}/v1/rooms/${room}/presence`), 401, "unauthenticated");
    await mallory.ask({ type: "join", room });
    await apiOf(server(), mallory.token).call("DELETE", "/v1/sessions/current");
    const answer = await apiOf(server(), mallory.token).call("GET", `/v1/rooms/${room}/presence`);
    expectProblem(answer, 401, "token_revoked");
    await until("mallory to be gone", () => together(alice, room).size === 1);
    await Promise.all([alice.close(), mallory.close()]);
  });
});

describe("S49 rooms in masses", () => {
  test("S49 ten thousand rooms of one session → the limit is named, and those it has stay", async () => {
    await using greedy = await connect(server(), { token: tokenOf("greedy") });
    const rooms = Array.from({ length: 10_000 }, () => freshRoom());
    let answered = 0;
    // As fast as it can, but for what may wait at the server's door.
    for (let n = 0; n < rooms.length; n += 400) {
      for (const room of rooms.slice(n, n + 400)) greedy.send({ type: "join", id: room, room });
      answered += 400;
      await until(
        "the answers",
        () => greedy.frames().filter(({ re }) => re !== undefined).length === answered,
        30_000,
      );
    }
    const refused = greedy.frames("error");
    expect(refused).toHaveLength(10_000 - 64);
    for (const frame of refused) expect(frame).toMatchObject({ code: "rate_limited" });
    expect(refused[0]?.detail).toContain("64");
    expect(refused[0]?.detail).toContain("roomsMax");
    const { body } = await apiOf(server(), greedy.token).call<{ rooms: string[] }>(
      "GET",
      "/v1/sessions/current",
    );
    expect(body.rooms).toEqual(rooms.slice(0, 64));
    // One that is left makes room for one.
    await greedy.ask({ type: "leave", room: rooms[0] });
    expect(await greedy.ask({ type: "join", room: rooms[9999] })).toMatchObject({ type: "ok" });
    expect(await greedy.ask({ type: "join", room: rooms[9998] })).toMatchObject({ code: "rate_limited" });
  }, 60_000);

  test("S49 a setting moves the limit", async () => {
    await using narrow = await startServer({ env: { HOLDLINE_ROOMS_MAX: "2" } });
    await using client = await connect(narrow);
    expect(client.welcome.limits?.rooms).toBe(2);
    for (const room of ["a", "b"])
      expect(await client.ask({ type: "join", room })).toMatchObject({ type: "ok" });
    expect(await client.ask({ type: "join", room: "c" })).toMatchObject({ code: "rate_limited" });
    expect(await client.ask({ type: "join", room: "a" })).toMatchObject({ type: "ok" });
  });

  test("S49 names that are none are malformed frames, and end in 4504", async () => {
    const names = ["", " ", "a b", "*", "a*", "\u0000", "..", "/a", "\u{1F600}", "x".repeat(129)];
    const client = await connect(server(), { token: tokenOf("odd") });
    for (const room of names) client.send({ type: "join", room });
    expect((await client.waitForClose()).code).toBe(4504);
    expect(client.frames("error").map(({ code }) => code)).toEqual(names.map(() => "invalid_request"));
  });
});

describe("a member that does not read", () => {
  test("is closed when its share is full; the others hear everything meanwhile", async () => {
    await using small = await startServer({
      env: { HOLDLINE_QUEUE_BYTES: "131072", HOLDLINE_PRESENCE_GRACE_MS: "0" },
    });
    const room = freshRoom();
    await using quick = await connect(small);
    await join(quick, room);
    const stalled = await openRawWebSocket(small.port, (await newSession(small)).token);
    await stalled.waitFor("welcome", ({ type }) => type === "welcome");
    stalled.send({ type: "join", id: "j", room });
    await stalled.waitFor("ok", ({ re }) => re === "j");
    await until("both", () => together(quick, room).size === 2);
    stalled.pause();
    // What the kernels of both sides take comes on top. Its being away shows that it was closed.
    const isHeard = (): boolean =>
      [...together(quick, room).values()].every(({ status }) => status === "online");
    let said = 0;
    while (said < 2000 && isHeard()) {
      for (let n = 0; n < 20; n += 1)
        quick.send({ type: "say", room, data: [(said += 1), "x".repeat(16_000)] });
      await until("its own words", () => heard(quick, room).length === said);
    }
    stalled.resume();
    const goodbye = await stalled.waitFor("goodbye", ({ type }) => type === "goodbye", 20_000);
    expect(goodbye).toMatchObject({ code: 4001, reason: "slow_consumer", reconnect: true });
    // What it was given has no hole: the first so many, in order.
    const got = stalled.frames.flatMap(({ type, data }) =>
      type === "message" ? [(data as unknown as [number])[0]] : [],
    );
    expect(got).toEqual(got.map((_, index) => index + 1));
    expect(got.length).toBeLessThan(said);
    expect(heard(quick, room).length).toBe(said);
    stalled.destroy();
  }, 60_000);
});

test("S37 calls with one admin or publish token → 429 that says when, and other tokens are served", async () => {
  await using slow = await startServer({ env: { HOLDLINE_TOKEN_RATE_PER_MINUTE: "5" } });
  const [publish, other, admin] = [
    await issueToken(slow, "publish"),
    await issueToken(slow, "publish"),
    await issueToken(slow, "admin"),
  ];
  const say = (token: string) =>
    apiOf(slow, token).call("POST", "/v1/rooms/lobby/messages", { json: { data: 1 } });
  for (let n = 4; n >= 0; n -= 1) {
    const answer = await say(publish.token);
    expect(answer.status).toBe(202);
    expect(answer.headers.get("ratelimit")).toMatch(new RegExp(`^"default";r=${n};t=1[0-2]$`));
  }
  const refused = await say(publish.token);
  expectProblem(refused, 429, "rate_limited");
  expect(refused.body).toMatchObject({ limit: "tokenRatePerMinute" });
  expect(refused.headers.get("ratelimit-policy")).toBe('"default";q=5;w=60');
  expect(Number(refused.headers.get("retry-after"))).toBeWithin(1, 13);
  expect((await say(other.token)).status).toBe(202);
  const nodes = () => apiOf(slow, admin.token).call("GET", "/v1/admin/nodes");
  for (let n = 0; n < 5; n += 1) expect((await nodes()).status).toBe(200);
  expectProblem(await nodes(), 429, "rate_limited");
});
