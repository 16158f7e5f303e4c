/** Rooms over real sockets: entering, speaking, leaving, and what of it outlives a connection and the server (PROTOCOL sections 3 and 5). */
import { describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf, expectProblem } from "../support/http.ts";
import { adminOf, issueToken } from "../support/operator.ts";
import { freshRoom, heard, join, presences, together, whole } from "../support/rooms.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";
import { userToken } from "../support/tokens.ts";
import { until } from "../support/wait.ts";
import type { EventData, MemberBody, SessionBody } from "../support/wire.ts";

const server = sharedServer();
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** So many members of one room. */
async function members(room: string, count: number): Promise<Client[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => connect(server())));
  await Promise.all(clients.map((client) => join(client, room)));
  return clients;
}

async function closeAll(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
}

describe("a message", () => {
  test("reaches every member, the speaker too, once and in one form", async () => {
    const room = freshRoom();
    const [ann, ben, cid] = await members(room, 3);
    await using outside = await connect(server());
    if (ann === undefined || ben === undefined || cid === undefined) throw new Error("three were asked for");
    const data = { text: "hi \u{1F600}", list: [1, null, true] };
    expect(await ann.ask({ type: "say", room, data })).toMatchObject({ type: "ok" });
    for (const client of [ann, ben, cid]) {
      const frame = await client.waitFor("the message", ({ type }) => type === "message");
      expect(frame).toEqual({
        type: "message",
        room,
        id: frame.id ?? "",
        from: { userId: ann.welcome.session?.userId ?? "", sessionId: ann.sessionId },
        data: data as EventData,
        at: frame.at ?? 0,
      });
      expect(frame.id).toMatch(UUID_V7);
      expect(Math.abs((frame.at ?? 0) - Date.now())).toBeLessThan(60_000);
    }
    await Promise.all([ann, ben, cid, outside].map((client) => client.settle()));
    expect([ann, ben, cid, outside].map((client) => heard(client, room).length)).toEqual([1, 1, 1, 0]);
    await closeAll([ann, ben, cid]);
  });

  test("comes in the same order to all, whoever speaks at once", async () => {
    const room = freshRoom();
    const clients = await members(room, 6);
    for (let n = 0; n < 40; n += 1) {
      for (const [who, client] of clients.entries()) client.send({ type: "say", room, data: [who, n] });
    }
    for (const client of clients) await until("all messages", () => heard(client, room).length === 240);
    const [first, ...others] = clients.map((client) => client.frames("message").map(({ id }) => id));
    for (const other of others) expect(other).toEqual(first ?? []);
    expect(first?.toSorted()).toEqual(first ?? []);
    // And of one speaker in the order in which it spoke.
    const ofThird = heard(clients[0] as Client, room).filter((data) => (data as number[])[0] === 2);
    expect(ofThird).toEqual(Array.from({ length: 40 }, (_, n) => [2, n]));
    await closeAll(clients);
  });

  test("may be any JSON, and is needed", async () => {
    const room = freshRoom();
    await using ann = await connect(server());
    await join(ann, room);
    const all = [null, 0, "", false, [], {}, "x".repeat(60_000)];
    for (const data of all) expect(await ann.ask({ type: "say", room, data })).toMatchObject({ type: "ok" });
    expect(heard(ann, room)).toEqual(all);
    expect(await ann.ask({ type: "say", room })).toMatchObject({ type: "error", code: "invalid_request" });
  });

  test("is not for who has left, and not from one", async () => {
    const room = freshRoom();
    const [ann, ben] = await members(room, 2);
    if (ann === undefined || ben === undefined) throw new Error("two were asked for");
    expect(await ben.ask({ type: "leave", room })).toMatchObject({ type: "ok" });
    expect(await ben.ask({ type: "leave", room })).toMatchObject({ type: "ok" });
    expect(await ben.ask({ type: "say", room, data: 1 })).toMatchObject({ code: "not_found" });
    await ann.ask({ type: "say", room, data: 2 });
    await ben.settle();
    expect([heard(ann, room), heard(ben, room)]).toEqual([[2], []]);
    // It asked to leave: there is nothing to tell it.
    expect(presences(ben, room).every(({ left }) => left?.length === 0)).toBe(true);
    await closeAll([ann, ben]);
  });
});

describe("membership", () => {
  test("is the session's: it survives a cut, a resume and a kill of the server", async () => {
    await using mortal = await startServer();
    const room = freshRoom();
    const first = await connect(mortal);
    await join(first, room);
    const { token, sessionId } = first;
    await first.close();
    const second = await connect(mortal, { token });
    expect(second.welcome).toMatchObject({ rooms: [room], session: { id: sessionId, resumed: true } });
    await whole(second, room);
    expect([...together(second, room).keys()]).toEqual([sessionId]);
    await mortal.restart();
    await using third = await connect(mortal, { token: second.token });
    expect(third.welcome.rooms).toEqual([room]);
    await whole(third, room);
    expect(await third.ask({ type: "say", room, data: "still here" })).toMatchObject({ type: "ok" });
    await third.waitFor("its own words", ({ type }) => type === "message");
    expect(
      (await apiOf(mortal, third.token).call<SessionBody>("GET", "/v1/sessions/current")).body.rooms,
    ).toEqual([room]);
  });

  test("of a room one is in already is asked for again: everybody is told once more, to who asked", async () => {
    const room = freshRoom();
    const [ann, ben] = await members(room, 2);
    if (ann === undefined || ben === undefined) throw new Error("two were asked for");
    await until("both to see both", () => together(ann, room).size + together(ben, room).size === 4);
    const before = presences(ben, room).length;
    await ann.ask({ type: "join", room });
    await until(
      "ann to be told again",
      () => presences(ann, room).filter((frame) => frame.whole).length === 2,
    );
    await ben.settle();
    expect(presences(ben, room).length).toBe(before);
    await closeAll([ann, ben]);
  });

  test("frames sent before the welcome are answered after it", async () => {
    const room = freshRoom();
    await using early = await connect(server(), {
      firstFrames: [
        { type: "join", id: "j", room },
        { type: "say", id: "s", room, data: "early" },
      ],
    });
    await early.waitFor("the answer", ({ re }) => re === "s");
    expect(early.frames().map(({ type, re }) => re ?? type)).toEqual(
      expect.arrayContaining(["welcome", "j", "s", "message"]),
    );
    expect(heard(early, room)).toEqual(["early"]);
  });
});

describe("over HTTP", () => {
  test("members see who is there, and speak", async () => {
    const room = freshRoom();
    const [ann, ben] = await members(room, 2);
    if (ann === undefined || ben === undefined) throw new Error("two were asked for");
    const path = `/v1/rooms/${encodeURIComponent(room)}`;
    const list = await apiOf(server(), ben.token).call<{ members: MemberBody[]; count: number }>(
      "GET",
      `${path}/presence`,
    );
    expect(list.status).toBe(200);
    expect(list.body.count).toBe(2);
    expect(new Set(list.body.members.map(({ sessionId }) => sessionId))).toEqual(
      new Set([ann.sessionId, ben.sessionId]),
    );
    for (const { status, since } of list.body.members) {
      expect({ status, age: Math.abs(Date.now() - Date.parse(since)) < 60_000 }).toEqual({
        status: "online",
        age: true,
      });
    }
    const said = await apiOf(server(), ben.token).call<{ id: string }>("POST", `${path}/messages`, {
      json: { data: { n: 1 } },
    });
    expect(said.status).toBe(202);
    const frame = await ann.waitFor("the message", ({ type }) => type === "message");
    expect(frame).toMatchObject({
      id: said.body.id,
      room,
      data: { n: 1 },
      from: { sessionId: ben.sessionId },
    });
    await closeAll([ann, ben]);
  });

  test("a name with a slash is written %2F; one that is none is no room", async () => {
    const room = `team/${freshRoom()}`;
    await using ann = await connect(server());
    await join(ann, room);
    const api = apiOf(server(), ann.token);
    expect((await api.call("GET", `/v1/rooms/${encodeURIComponent(room)}/presence`)).status).toBe(200);
    for (const name of ["%2E%2E", "a%20b", "*", "%00", "%F0%9F%98%80", "x".repeat(129)]) {
      expectProblem(await api.call("GET", `/v1/rooms/${name}/presence`), 404, "not_found");
    }
  });

  test("what is said is bounded by frameBytes, the body by its schema", async () => {
    const room = freshRoom();
    await using ann = await connect(server());
    await join(ann, room);
    const say = (json: unknown) =>
      apiOf(server(), ann.token).call("POST", `/v1/rooms/${room}/messages`, { json });
    expect((await say({ data: "x".repeat(65_534) })).status).toBe(202);
    const large = await say({ data: "x".repeat(65_535) });
    expectProblem(large, 413, "payload_too_large");
    expect(large.body).toMatchObject({ limit: "frameBytes", limitBytes: 65_536 });
    for (const body of [{}, { data: 1, more: 2 }, 7, null]) {
      expectProblem(await say(body), 400, "invalid_request");
    }
    await ann.settle();
    expect(heard(ann, room)).toHaveLength(1);
  });

  test("an operator pushes to a room; a publish token speaks where it may", async () => {
    const room = `scores/${freshRoom()}`;
    await using ann = await connect(server());
    await join(ann, room);
    const admin = await adminOf(server());
    const pushed = await admin.call<{ id: string; delivered: number }>("POST", "/v1/admin/push", {
      json: { to: { room }, data: "from the operator" },
    });
    expect(pushed).toMatchObject({ status: 202, body: { delivered: 1 } });
    const { token } = await issueToken(server(), "publish", "--rooms", "scores/*,lobby");
    const publish = (to: string) =>
      apiOf(server(), token).call<{ id: string }>("POST", `/v1/rooms/${encodeURIComponent(to)}/messages`, {
        json: { data: "from a program" },
      });
    const said = await publish(room);
    expect(said.status).toBe(202);
    await until("both messages", () => heard(ann, room).length === 2);
    expectShape(ann.frames("message"), [
      { room, id: pushed.body.id, from: null, data: "from the operator" },
      { room, id: said.body.id, from: null, data: "from a program" },
    ]);
    // A room where nobody is may be spoken in; one that the token does not name may not.
    expect((await publish(`scores/${freshRoom()}`)).status).toBe(202);
    expectProblem(await publish("scores"), 403, "forbidden");
    expectProblem(await publish("not a room"), 400, "invalid_request");
    expectProblem(
      await apiOf(server(), token).call("GET", `/v1/rooms/${encodeURIComponent(room)}/presence`),
      403,
      "forbidden",
    );
    expectProblem(
      await admin.call("POST", `/v1/rooms/${encodeURIComponent(room)}/messages`, { json: { data: 1 } }),
      403,
      "forbidden",
    );
  });
});

describe("a user token that names rooms", () => {
  const SECRET = "a secret of the operator that is long enough";
  const closed = sharedServer({ env: { HOLDLINE_AUTH_SECRET: SECRET } });
  const tokenFor = (rooms?: string[]): string =>
    userToken(SECRET, {
      sub: "mara",
      jti: Bun.randomUUIDv7(),
      ...(rooms === undefined ? {} : { holdline: { rooms } }),
    });

  test("lets its user into these and no other, whether or not they exist", async () => {
    await using wide = await connect(closed(), { token: tokenFor() });
    await using narrow = await connect(closed(), { token: tokenFor(["team/*", "lobby"]) });
    await join(wide, "secret");
    await join(narrow, "team/7");
    await join(narrow, "lobby");
    const refused = await narrow.ask({ type: "join", room: "secret" });
    expect(refused).toMatchObject({ type: "error", code: "forbidden", retryable: false });
    const unknown = await narrow.ask({ type: "join", room: "nobody-there" });
    expect({ ...unknown, re: "" }).toEqual({ ...refused, re: "" });
    expect(await narrow.ask({ type: "join", room: "team" })).toMatchObject({ code: "forbidden" });
    await using none = await connect(closed(), { token: tokenFor([]) });
    expect(await none.ask({ type: "join", room: "lobby" })).toMatchObject({ code: "forbidden" });
  });

  test("and is narrowed by a refresh ends the other memberships, and says so", async () => {
    const [kept, lost] = [freshRoom(), freshRoom()];
    await using ann = await connect(closed(), { token: tokenFor() });
    await using ben = await connect(closed(), { token: tokenFor() });
    for (const client of [ann, ben]) for (const room of [kept, lost]) await join(client, room);
    expect(await ann.ask({ type: "refresh", token: tokenFor([kept]) })).toMatchObject({ type: "ok" });
    const told = presences(ann, lost).at(-1);
    expectShape(told?.left, [{ sessionId: ann.sessionId, status: "offline" }]);
    await until("the others to be told", () => !together(ben, lost).has(ann.sessionId));
    await ben.ask({ type: "say", room: lost, data: "without her" });
    await ben.ask({ type: "say", room: kept, data: "with her" });
    await until("what is hers", () => heard(ann, kept).length === 1);
    expect(heard(ann, lost)).toEqual([]);
    expect(await ann.ask({ type: "say", room: lost, data: 1 })).toMatchObject({ code: "not_found" });
    expectProblem(
      await apiOf(closed(), ann.token).call("GET", `/v1/rooms/${lost}/presence`),
      404,
      "not_found",
    );
  });

  test("and is narrowed by a connect with both tokens: the welcome no longer lists it", async () => {
    const [kept, lost] = [freshRoom(), freshRoom()];
    const ann = await connect(closed(), { token: tokenFor() });
    await join(ann, kept);
    await join(ann, lost);
    await ann.close();
    await using again = await connect(closed(), { token: tokenFor([kept]), session: ann.token });
    expect(again.welcome).toMatchObject({ session: { resumed: true }, rooms: [kept] });
  });
});
