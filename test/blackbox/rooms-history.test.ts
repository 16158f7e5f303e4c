/** Rooms that keep their last messages: nothing is missed over a reconnect, or the client is told (PROTOCOL section 5). */
import { describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { apiOf, newSession } from "../support/http.ts";
import { freshRoom, heard, join } from "../support/rooms.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { Frame } from "../support/wire.ts";

const FILE = `
[rooms."kept/*"]
history = 20
[rooms."kept/few/*"]
history = 3
[rooms."kept/long"]
history = 1000
[rooms."kept/not"]
history = 0
`;
const server = sharedServer({ file: FILE });

const keptRoom = (): string => `kept/${freshRoom()}`;

async function say(client: Client, room: string, ...numbers: number[]): Promise<void> {
  for (const n of numbers)
    expect(await client.ask({ type: "say", room, data: n })).toMatchObject({ type: "ok" });
}

/** Joins after that message; what it is told, when all that it missed has come. */
async function joinAfter(client: Client, room: string, after: string): Promise<Frame> {
  const told = await client.ask({ type: "join", room, after });
  expect(told.type).toBe("history");
  // Frames are answered one after the other, and this one is answered when its messages were sent.
  await client.settle();
  return told;
}

/** Id of the message with this data. */
const idOf = (client: Client, room: string, n: number): string =>
  client.frames("message").find((frame) => frame.room === room && (frame.data as unknown) === n)?.id ?? "";

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** Messages behind the answer to a join: what came before it belongs to no place in the history. */
function sinceAnswer(client: Client): Frame[] {
  const frames = client.frames();
  const answered = frames.findIndex(({ type }) => type === "history");
  return frames.slice(answered).filter(({ type }) => type === "message");
}

describe("join with after", () => {
  test("brings what was said since, in order, as it was", async () => {
    const room = keptRoom();
    await using ann = await connect(server());
    await join(ann, room);
    await say(ann, room, ...range(1, 5));
    await using ben = await connect(server());
    const told = await joinAfter(ben, room, idOf(ann, room, 2));
    expect(told).toMatchObject({ room, after: idOf(ann, room, 2), recovered: true });
    expect(told.reason).toBeUndefined();
    expect(heard(ben, room)).toEqual([3, 4, 5]);
    expect(ben.frames("message")).toEqual(ann.frames("message").slice(2));
    await say(ann, room, 6);
    await until("what is new", () => heard(ben, room).length === 4);
    expect(heard(ben, room)).toEqual([3, 4, 5, 6]);
  });

  test("with an empty after brings what is kept, without it nothing", async () => {
    const room = `kept/few/${freshRoom()}`;
    await using ann = await connect(server());
    await join(ann, room);
    await say(ann, room, ...range(1, 7));
    await using ben = await connect(server());
    expect(await joinAfter(ben, room, "")).toMatchObject({ recovered: true });
    expect(heard(ben, room)).toEqual([5, 6, 7]);
    await using cid = await connect(server());
    await join(cid, room);
    await cid.settle();
    expect([heard(cid, room), cid.frames("history")]).toEqual([[], []]);
  });

  test("tells when it cannot: what was seen is no longer kept, was never there, or nothing is", async () => {
    const room = `kept/few/${freshRoom()}`;
    await using ann = await connect(server());
    await join(ann, room);
    await say(ann, room, ...range(1, 3));
    await using ben = await connect(server());
    // Three were said since the first: exactly as many as are kept, so that nothing is missing.
    await say(ann, room, 4);
    expect(await joinAfter(ben, room, idOf(ann, room, 1))).toMatchObject({ recovered: true });
    expect(heard(ben, room)).toEqual([2, 3, 4]);
    await say(ann, room, 5);
    await using cid = await connect(server());
    const trimmed = { recovered: false, reason: "trimmed" };
    expect(await joinAfter(cid, room, idOf(ann, room, 1))).toMatchObject(trimmed);
    expect(heard(cid, room)).toEqual([3, 4, 5]);
    await using dot = await connect(server());
    expect(await joinAfter(dot, room, "no id of anything")).toMatchObject(trimmed);
    for (const plain of [freshRoom(), "kept/not"]) {
      expect(await joinAfter(dot, plain, "")).toMatchObject({ recovered: false, reason: "none" });
    }
  });

  test("is not for who may not enter", async () => {
    await using ann = await connect(server());
    const answer = await ann.ask({ type: "join", room: "not a room", after: "" });
    expect(answer).toMatchObject({ code: "invalid_request" });
    expect(ann.frames("history")).toEqual([]);
  });
});

test("over cuts, while others speak without a pause, nothing is missed, doubled or out of order", async () => {
  const room = "kept/long";
  await using speaker = await connect(server());
  await join(speaker, room);
  const total = 600;
  let said = 0;
  const speaking = (async () => {
    while (said < total) {
      said += 1;
      speaker.send({ type: "say", room, data: said });
      if (said % 20 === 0) await speaker.settle();
    }
  })().catch((error: unknown) => error);
  let listener = await connect(server());
  await joinAfter(listener, room, "");
  const got: unknown[] = [];
  let last = "";
  for (let cuts = 0; cuts < 8; cuts += 1) {
    const reader = listener;
    await until("something new", () => sinceAnswer(reader).length > 20 || said === total);
    await reader.close();
    const frames = sinceAnswer(reader);
    got.push(...frames.map(({ data }) => data));
    last = frames.at(-1)?.id ?? last;
    listener = await connect(server(), { token: reader.token });
    expect(await joinAfter(listener, room, last)).toMatchObject({ recovered: true });
  }
  expect(await speaking).toBeUndefined();
  const rest = listener;
  await until("the last message", () =>
    [...got, ...sinceAnswer(rest).map(({ data }) => data)].includes(total),
  );
  expect([...got, ...sinceAnswer(rest).map(({ data }) => data as unknown)]).toEqual(range(1, total));
  await rest.close();
});

test("what was acknowledged survives a kill of the server", async () => {
  await using mortal = await startServer({ file: FILE });
  const room = keptRoom();
  const ann = await connect(mortal);
  await join(ann, room);
  const acknowledged: number[] = [];
  const speaking = (async () => {
    for (let n = 1; n <= 15; n += 1) {
      await say(ann, room, n);
      acknowledged.push(n);
    }
  })().catch(() => undefined);
  await until("some of it", () => acknowledged.length >= 10);
  await mortal.restart();
  await speaking;
  await using ben = await connect(mortal);
  expect(await joinAfter(ben, room, "")).toMatchObject({ recovered: true });
  expect(heard(ben, room).slice(0, acknowledged.length)).toEqual(acknowledged);
  expect(
    (
      await apiOf(mortal, ben.token).call("POST", `/v1/rooms/${encodeURIComponent(room)}/messages`, {
        json: { data: 99 },
      })
    ).status,
  ).toBe(202);
  await until("it to be live", () => heard(ben, room).at(-1) === 99);
});

test("a long history comes at the pace of who reads it, whole, and is bounded on the way", async () => {
  await using small = await startServer({ file: FILE, env: { HOLDLINE_QUEUE_BYTES: "65536" } });
  const room = "kept/long";
  await using ann = await connect(small);
  await join(ann, room);
  const count = 300;
  for (let n = 1; n <= count; n += 1) {
    ann.send({ type: "say", room, data: [n, "x".repeat(30_000)] });
    if (n % 10 === 0) await until("it to be said", () => heard(ann, room).length === n);
  }
  const socket = await openRawWebSocket(small.port, (await newSession(small)).token);
  await socket.waitFor("welcome", ({ type }) => type === "welcome");
  socket.pause();
  socket.send({ type: "join", id: "j", room, after: "" });
  await ann.settle();
  expect(socket.closeCode()).toBeNull();
  socket.resume();
  await socket.waitFor(
    "the last message",
    ({ type, data }) => type === "message" && (data as unknown as [number])[0] === count,
    30_000,
  );
  const got = socket.frames.flatMap(({ type, data }) =>
    type === "message" ? [(data as unknown as [number])[0]] : [],
  );
  expect(got).toEqual(range(1, count));
  socket.destroy();
}, 60_000);
