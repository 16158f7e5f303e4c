/** Rooms of the client: entered once for each session, told who is there, and ended when they are over. */
import { expect, test } from "bun:test";
import { createClient } from "../../src/client/client.ts";
import type { ClientError } from "../../src/client/errors.ts";
import type { PresenceFrame } from "../../src/protocol/frames.ts";
import type { RoomMember } from "../../src/protocol/rooms.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { createScene, failure } from "./setup.ts";

const member = (sessionId: string, status: RoomMember["status"] = "online"): RoomMember => ({
  userId: `user of ${sessionId}`,
  sessionId,
  status,
  since: "2026-01-01T00:00:00.000Z",
});

const presence = (change: Partial<PresenceFrame>): PresenceFrame => ({
  type: "presence",
  room: "lobby",
  joined: [],
  left: [],
  changed: [],
  count: 0,
  ...change,
});

test("a room that is joined before the connection is entered with it, once", async () => {
  await using scene = createScene();
  const room = scene.client.join("lobby");
  expect(scene.client.join("lobby")).toBe(room);
  const peer = await scene.online();
  const ask = await peer.next("join");
  expect(ask).toMatchObject({ room: "lobby" });
  peer.send({ type: "ok", re: ask.id ?? "" });
  await room.joined;
  expect(peer.count("join")).toBe(0);
});

test("a resumed session is in it still; a new one enters it again", async () => {
  await using scene = createScene();
  const room = scene.client.join("lobby");
  let peer = await scene.online();
  peer.send({ type: "ok", re: (await peer.next("join")).id ?? "" });
  await room.joined;
  peer.kill();
  peer = await scene.reconnect();
  peer.welcome("s1", true, ["lobby"]);
  await scene.phase("online");
  peer.send(presence({ whole: true, joined: [member("s1")], count: 1 }));
  await until("who is there", () => room.count === 1);
  expect(peer.count("join")).toBe(0);
  peer.kill();
  peer = await scene.reconnect();
  peer.welcome("s2");
  expect(await peer.next("join")).toMatchObject({ room: "lobby" });
});

test("members are what the server told, change by change", async () => {
  await using scene = createScene();
  const room = scene.client.join("lobby");
  const heard: number[] = [];
  room.on("presence", () => heard.push(room.members.size));
  const peer = await scene.online();
  peer.send(presence({ whole: true, joined: [member("s1"), member("a"), member("b")], count: 3 }));
  peer.send(presence({ left: [member("a", "offline")], changed: [member("b", "busy")], count: 2 }));
  peer.send(presence({ joined: [member("c")], count: 3 }));
  await until("three changes", () => heard.length === 3);
  expect(heard).toEqual([3, 2, 3]);
  expect([...room.members.values()]).toEqual([member("s1"), member("b", "busy"), member("c")]);
  // Too many to be told: only how many.
  peer.send(presence({ count: 1001 }));
  await until("the count", () => room.count === 1001);
  expect(room.members.size).toBe(0);
  peer.send(presence({ whole: true, joined: [member("s1")], count: 1 }));
  await until("everybody again", () => room.members.size === 1);
});

test("messages go to their room, and speaking waits for the server", async () => {
  await using scene = createScene();
  const [room, other] = [scene.client.join("lobby"), scene.client.join("other")];
  const heard: unknown[] = [];
  room.on("message", ({ data }) => heard.push(data));
  other.on("message", () => heard.push("in the wrong room"));
  const peer = await scene.online();
  const said = room.say({ text: "hi" });
  const ask = await peer.next("say");
  expect(ask).toMatchObject({ room: "lobby", data: { text: "hi" } });
  peer.send({ type: "message", room: "lobby", id: "m1", from: null, data: 1, at: 0 });
  peer.send({ type: "message", to: "all", id: "m2", from: null, data: 2, at: 0 });
  peer.send({ type: "ok", re: ask.id ?? "" });
  await said;
  expect(heard).toEqual([1]);
  const refused = failure(room.say(2));
  const second = await peer.next("say");
  peer.send({
    type: "error",
    re: second.id ?? "",
    code: "not_found",
    detail: "No such room.",
    retryable: false,
  });
  expect(await refused).toMatchObject({ code: "not_found" });
});

test("a refusal ends it; one that may pass is tried again", async () => {
  await using scene = createScene();
  const room = scene.client.join("lobby");
  const ended: ClientError[] = [];
  room.on("ended", (error) => ended.push(error));
  const peer = await scene.online();
  const first = await peer.next("join");
  peer.send({ type: "error", re: first.id ?? "", code: "rate_limited", detail: "", retryable: true });
  await until("it to wait", () => {
    scene.clock.advance(1000);
    return peer.count("join") === 1;
  });
  const second = await peer.next("join");
  peer.send({ type: "error", re: second.id ?? "", code: "forbidden", detail: "Not here.", retryable: false });
  expect(await failure(room.joined)).toMatchObject({ code: "forbidden", message: "Not here." });
  expect(ended).toHaveLength(1);
  // What ended may be tried anew.
  const again = scene.client.join("lobby");
  expect(again).not.toBe(room);
  expect(await peer.next("join")).toMatchObject({ room: "lobby" });
});

test("being told of one's own leaving ends it; leaving offline is made up for", async () => {
  await using scene = createScene();
  const [lost, left] = [scene.client.join("lobby"), scene.client.join("left")];
  const peer = await scene.online();
  const codes: string[] = [];
  lost.on("ended", ({ code }) => codes.push(code));
  peer.send(presence({ left: [member("s1", "offline")] }));
  await until("it to end", () => codes.length === 1);
  expect(codes).toEqual(["forbidden"]);
  peer.kill();
  await scene.phase("offline");
  await left.leave();
  const next = await scene.reconnect();
  next.welcome("s1", true, ["left"]);
  expect(await next.next("leave")).toMatchObject({ room: "left" });
  expect(next.count("join")).toBe(0);
});

test("a room with its history: what was missed is asked for, what comes twice is let go, a gap is told", async () => {
  await using scene = createScene();
  const room = scene.client.join("lobby", { history: true });
  const heard: unknown[] = [];
  room.on("message", ({ data }) => heard.push(data));
  room.on("gap", ({ after }) => heard.push(`gap after ${after}`));
  const say = (to: typeof peer, n: number): void =>
    to.send({ type: "message", room: "lobby", id: `m${n}`, from: null, data: n, at: 0 });
  let peer = await scene.online();
  let ask = await peer.next("join");
  expect(ask.after).toBe("");
  say(peer, 1);
  peer.send({ type: "history", re: ask.id ?? "", room: "lobby", after: "", recovered: true });
  for (const n of [1, 2]) say(peer, n);
  await until("what is kept", () => heard.length === 2);
  peer.kill();
  peer = await scene.reconnect();
  peer.welcome("s1", true, ["lobby"]);
  say(peer, 4);
  ask = await peer.next("join");
  expect(ask.after).toBe("m2");
  peer.send({ type: "history", re: ask.id ?? "", room: "lobby", after: "m2", recovered: true });
  for (const n of [3, 4]) say(peer, n);
  await until("what was missed", () => heard.length === 4);
  peer.kill();
  peer = await scene.reconnect();
  peer.welcome("s2");
  ask = await peer.next("join");
  const lost = { recovered: false, reason: "trimmed" } as const;
  peer.send({ type: "history", re: ask.id ?? "", room: "lobby", after: "m4", ...lost });
  say(peer, 9);
  await until("what is left", () => heard.length === 6);
  expect(heard).toEqual([1, 2, 3, 4, "gap after m4", 9]);
});

test("in front of a real server: two clients see and hear each other, over cuts and a restart", async () => {
  await using server = await startServer({ env: { HOLDLINE_PRESENCE_GRACE_MS: "200" } });
  const [one, two] = [0, 1].map(() => createClient({ url: server.url, storage: null }));
  if (one === undefined || two === undefined) throw new Error("two clients were made");
  const [here, there] = [one.join("lobby"), two.join("lobby")];
  const heard: unknown[] = [];
  there.on("message", ({ data, from }) => heard.push([data, from?.sessionId === one.sessionId]));
  one.connect();
  two.connect();
  await Promise.all([here.joined, there.joined]);
  const seen = (): string[] =>
    [here, there].map(({ members }) => [...members.values()].map(({ status }) => status).join());
  const bothSeeBoth = (): boolean => seen().every((statuses) => statuses === "online,online");
  await until("both to see both", bothSeeBoth);
  await here.say("before");
  await until("the first message", () => heard.length === 1);
  one.dropConnection();
  await server.restart();
  const areOnline = (): boolean => [one, two].every(({ state }) => state.phase === "online");
  await until("both to be back", () => areOnline() && bothSeeBoth(), 30_000);
  await until("to speak", () =>
    here.say("after").then(
      () => true,
      () => false,
    ),
  );
  await until("both messages", () => heard.length === 2);
  expect(heard).toEqual([
    ["before", true],
    ["after", true],
  ]);
  await here.leave();
  await until("to be alone", () => there.members.size === 1);
  one.close();
  two.close();
});
