/** Who is seen in a room, when, and how often that is told (PROTOCOL section 5; FAULTS R32). */
import { expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf } from "../support/http.ts";
import { adminOf } from "../support/operator.ts";
import { freshRoom, join, presences, sees, together, whole } from "../support/rooms.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** Short times: what is tested is their order. */
const GRACE_MS = 700;
const RESUME_MS = 2500;
const env = {
  HOLDLINE_PING_MS: "300",
  HOLDLINE_PING_TIMEOUT_MS: "500",
  HOLDLINE_RESUME_MS: String(RESUME_MS),
  HOLDLINE_PRESENCE_GRACE_MS: String(GRACE_MS),
};
const server = sharedServer({ env });

interface Mention {
  readonly how: "joined" | "left" | "changed";
  readonly status: string;
}

/** Every mention of a session in what a client was told, in order. */
function mentions(client: Client, room: string, sessionId: string): Mention[] {
  return presences(client, room).flatMap((frame) =>
    (["joined", "left", "changed"] as const).flatMap((how) =>
      (frame[how] ?? [])
        .filter((member) => member.sessionId === sessionId)
        .map(({ status }) => ({ how, status })),
    ),
  );
}

const JOINED: Mention = { how: "joined", status: "online" };
const AWAY: Mention = { how: "changed", status: "away" };
const BACK: Mention = { how: "changed", status: "online" };
const LEFT: Mention = { how: "left", status: "offline" };

/** A watcher in the room, and a member that came after it. */
async function watched(room: string): Promise<{ watcher: Client; member: Client }> {
  const watcher = await connect(server());
  await join(watcher, room);
  const member = await connect(server());
  await join(member, room);
  await sees(watcher, room, member.sessionId, "online");
  return { watcher, member };
}

test("who joins is told everybody, the others are told who joined", async () => {
  const room = freshRoom();
  const { watcher, member } = await watched(room);
  const first = await whole(member, room);
  expect(first).toMatchObject({ count: 2, left: [], changed: [] });
  expect(first.joined?.map(({ sessionId }) => sessionId)).toEqual([watcher.sessionId, member.sessionId]);
  expect(mentions(watcher, room, member.sessionId)).toEqual([JOINED]);
  await Promise.all([watcher.close(), member.close()]);
});

test("a chosen status is told, kept over a reconnect, and one that was taken back is not told", async () => {
  const room = freshRoom();
  const { watcher, member } = await watched(room);
  await member.ask({ type: "presence", status: "busy" });
  await sees(watcher, room, member.sessionId, "busy");
  const { token } = member;
  await member.close();
  await using again = await connect(server(), { token });
  expect((await whole(again, room)).joined).toHaveLength(2);
  await sees(again, room, again.sessionId, "busy");
  // Away and busy again within one batch.
  for (const status of ["away", "busy"]) again.send({ type: "presence", status });
  await again.ask({ type: "presence", status: "online" });
  await sees(watcher, room, again.sessionId, "online");
  expect(mentions(watcher, room, again.sessionId)).toEqual([
    JOINED,
    { how: "changed", status: "busy" },
    BACK,
  ]);
  expect(await again.ask({ type: "presence", status: "offline" })).toMatchObject({ code: "invalid_request" });
  await watcher.close();
});

test("a reconnect within the grace is no change; a longer absence is away, and back", async () => {
  const room = freshRoom();
  const { watcher, member } = await watched(room);
  const { sessionId } = member;
  let { token } = member;
  await member.close();
  const soon = await connect(server(), { token });
  await whole(soon, room);
  token = soon.token;
  await soon.close();
  await sees(watcher, room, sessionId, "away");
  const late = await connect(server(), { token });
  await sees(watcher, room, sessionId, "online");
  expect(mentions(watcher, room, sessionId)).toEqual([JOINED, AWAY, BACK]);
  await Promise.all([watcher.close(), late.close()]);
});

test("R32 a client that went silent is noticed, is away once and leaves once", async () => {
  const room = freshRoom();
  const watcher = await connect(server());
  await join(watcher, room);
  const silent = await connect(server(), { pong: false });
  await join(silent, room);
  const { sessionId } = silent;
  const silentSinceMs = performance.now();
  await sees(watcher, room, sessionId, "away");
  expect(performance.now() - silentSinceMs).toBeLessThan(300 + 500 + GRACE_MS + 1500);
  expect((await silent.waitForClose()).code).toBe(4002);
  await sees(watcher, room, sessionId, undefined);
  // Whatever else there is to tell comes before what is told later.
  const other = await connect(server());
  await join(other, room);
  await sees(watcher, room, other.sessionId, "online");
  expect(mentions(watcher, room, sessionId)).toEqual([JOINED, AWAY, LEFT]);
  await Promise.all([watcher.close(), other.close()]);
});

test("who leaves, logs out or is revoked has left at once, and once", async () => {
  const room = freshRoom();
  const watcher = await connect(server());
  await join(watcher, room);
  const admin = await adminOf(server());
  const ways: ((member: Client) => Promise<unknown>)[] = [
    (member) => member.ask({ type: "leave", room }),
    (member) => apiOf(server(), member.token).call("DELETE", "/v1/sessions/current"),
    (member) => admin.call("POST", "/v1/admin/revocations", { json: { sessionId: member.sessionId } }),
    (member) =>
      admin.call("POST", "/v1/admin/revocations", { json: { userId: member.welcome.session?.userId } }),
  ];
  for (const leave of ways) {
    const member = await connect(server());
    await join(member, room);
    await sees(watcher, room, member.sessionId, "online");
    await leave(member);
    await sees(watcher, room, member.sessionId, undefined);
    expect(mentions(watcher, room, member.sessionId)).toEqual([JOINED, LEFT]);
    await member.close();
  }
  await watcher.close();
});

test("after a restart everybody is away, whoever comes back is seen, whoever does not leaves when its session ends", async () => {
  await using mortal = await startServer({ env });
  const room = freshRoom();
  const [ann, ben, cid] = await Promise.all([connect(mortal), connect(mortal), connect(mortal)]);
  for (const client of [ann, ben, cid]) await join(client, room);
  await sees(ann, room, cid.sessionId, "online");
  await mortal.restart();
  const back = await connect(mortal, { token: ann.token });
  expect((await whole(back, room)).count).toBe(3);
  await sees(back, room, ben.sessionId, "away");
  await sees(back, room, cid.sessionId, "away");
  const second = await connect(mortal, { token: ben.token });
  await sees(back, room, ben.sessionId, "online");
  await sees(back, room, cid.sessionId, undefined);
  expect(mentions(back, room, cid.sessionId).map(({ how }) => how)).toEqual(["joined", "left"]);
  expect(together(second, room)).toEqual(together(back, room));
  await Promise.all([back.close(), second.close()]);
});

test("many that come at one moment are told in a few frames, and all agree in the end", async () => {
  const room = freshRoom();
  const count = 150;
  const clients = await Promise.all(Array.from({ length: count }, () => connect(server())));
  await Promise.all(clients.map((client) => client.ask({ type: "join", room })));
  for (const client of clients)
    await until("everybody to be seen", () => together(client, room).size === count);
  const frames = clients.map((client) => presences(client, room).length);
  // One member each would be about 75 for everybody.
  expect(Math.max(...frames)).toBeLessThan(20);
  await Promise.all(clients.slice(1).map((client) => client.ask({ type: "leave", room })));
  const [last] = clients;
  if (last === undefined) throw new Error("nobody was asked for");
  await until("the last one to be alone", () => together(last, room).size === 1);
  await Promise.all(clients.map((client) => client.close()));
});
