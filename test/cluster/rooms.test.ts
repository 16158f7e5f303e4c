/**
 * Rooms over three real nodes: whoever is in one cannot tell where the others sit, whoever is not gets at no node
 * anything of it, and nobody is told a thing twice.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { apiOf, expectProblem } from "../support/http.ts";
import { freshRoom, heard, join, presences, sees, together } from "../support/rooms.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { MemberBody } from "../support/wire.ts";

const GRACE_MS = 1500;
const FILE = '[rooms."kept/*"]\nhistory = 50\n';

let cluster: Cluster;
let nodes: readonly TestServer[];
let one: TestServer;
let two: TestServer;
let three: TestServer;

beforeAll(async () => {
  cluster = await startCluster();
  const env = { HOLDLINE_PRESENCE_GRACE_MS: String(GRACE_MS) };
  nodes = [await cluster.start({ env, file: FILE })];
  nodes = [
    ...nodes,
    ...(await Promise.all([cluster.start({ env, file: FILE }), cluster.start({ env, file: FILE })])),
  ];
  [one, two, three] = nodes as [TestServer, TestServer, TestServer];
  for (const { url } of nodes)
    await until("the nodes to hear each other", async () => {
      const ready = (await (await fetch(`${url}/readyz`)).json()) as object;
      return Bun.deepEquals(ready, { status: "ready" });
    });
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const visit = (server: TestServer, user: string, session?: string): Promise<Client> =>
  connect(server, { token: cluster.userToken(user), ...(session === undefined ? {} : { session }) });

async function say(client: Client, room: string, ...data: unknown[]): Promise<void> {
  for (const item of data)
    expect(await client.ask({ type: "say", room, data: item })).toMatchObject({ type: "ok" });
}

/** What each node answers, when they are of one mind. */
async function listed(room: string, token: string): Promise<readonly MemberBody[]> {
  const path = `/v1/rooms/${encodeURIComponent(room)}/presence`;
  return until("all nodes to be of one mind", async () => {
    const answers = await Promise.all(
      nodes.map((server) => apiOf(server, token).call<{ members: MemberBody[] }>("GET", path)),
    );
    const [first, ...others] = answers.map(({ status, body }) => ({ status, body }));
    return first?.status === 200 && others.every((other) => Bun.deepEquals(other, first))
      ? first.body.members
      : null;
  });
}

test("members at three nodes see and hear each other, from the first word on and in each speaker's order", async () => {
  const room = freshRoom();
  await using ann = await visit(one, "ann");
  await using ben = await visit(two, "ben");
  await using cem = await visit(three, "cem");
  await join(ann, room);
  await join(ben, room);
  // In one breath: at the other nodes his words are there before anybody there has looked up who he is.
  cem.send({ type: "join", room, id: "in" });
  for (let n = 0; n < 50; n += 1) cem.send({ type: "say", room, data: `cem ${n}` });
  await cem.waitFor("his being in", ({ re }) => re === "in");
  for (let n = 0; n < 50; n += 1) ben.send({ type: "say", room, data: `ben ${n}` });
  for (const client of [ann, ben, cem])
    await until("everybody to have heard everything", () => heard(client, room).length >= 100);
  // Over HTTP a session speaks at any node.
  const path = `/v1/rooms/${room}/messages`;
  const posted = await apiOf(two, ann.token).call("POST", path, { json: { data: "ann 0" } });
  expect(posted.status).toBe(202);
  for (const client of [ann, ben, cem]) {
    await until("the last words", () => heard(client, room).length >= 101);
    for (const speaker of ["ben", "cem"]) {
      const own = heard(client, room).filter((data) => String(data).startsWith(speaker));
      expect(own).toEqual(Array.from({ length: 50 }, (_, n) => `${speaker} ${n}`));
    }
    expect(heard(client, room)).toHaveLength(101);
  }
  const members = await listed(room, ann.token);
  expect(members.map(({ sessionId, status }) => [sessionId, status])).toEqual(
    [ann, ben, cem].map(({ sessionId }) => [sessionId, "online"]),
  );
  await cem.ask({ type: "presence", status: "busy" });
  for (const client of [ann, ben]) await sees(client, room, cem.sessionId, "busy");
  await cem.ask({ type: "leave", room });
  for (const client of [ann, ben]) await sees(client, room, cem.sessionId, undefined);
  await say(ann, room, "are you there?");
  await until("who is left to hear it", () => heard(ben, room).includes("are you there?"));
  await cem.settle();
  expect(heard(cem, room)).not.toContain("are you there?");
}, 30_000);

test("who moves to another node never left; who stays away is away once, and back once", async () => {
  const room = freshRoom();
  await using ann = await visit(one, "ann");
  await using watcher = await visit(three, "eve");
  await join(watcher, room);
  await join(ann, room);
  for (const client of [ann, watcher]) await sees(client, room, ann.sessionId, "online");
  const before = presences(watcher, room).length;
  // The socket is gone first, and there again, elsewhere, within the grace.
  await ann.close();
  await using moved = await visit(two, "ann", ann.token);
  await sees(moved, room, watcher.sessionId, "online");
  // Without a gap: the older socket is replaced.
  await using again = await visit(three, "ann", moved.token);
  expect((await moved.waitForClose()).code).toBe(4503);
  await say(again, room, "I was never gone");
  await until("the watcher to hear it", () => heard(watcher, room).length === 1);
  await again.close();
  await sees(watcher, room, ann.sessionId, "away");
  expect(presences(watcher, room)).toHaveLength(before + 1);
  await using back = await visit(one, "ann", again.token);
  await sees(watcher, room, ann.sessionId, "online");
  expect(presences(watcher, room)).toHaveLength(before + 2);
  await sees(back, room, ann.sessionId, "online");
  expect(together(back, room)).toEqual(together(watcher, room));
  expect((await apiOf(two, back.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
  await sees(watcher, room, ann.sessionId, undefined);
  expect((await listed(room, watcher.token)).map(({ sessionId }) => sessionId)).toEqual([watcher.sessionId]);
  // Together() throws where somebody leaves twice.
  expect(presences(watcher, room)).toHaveLength(before + 3);
}, 30_000);

test("faults/S10, S49: at no node does a stranger see, hear or say anything in a room", async () => {
  const room = freshRoom();
  await using ann = await visit(one, "ann");
  await join(ann, room);
  await using eve = await visit(two, "eve");
  for (const server of nodes) {
    const http = apiOf(server, eve.token);
    for (const name of [room, freshRoom()]) {
      expectProblem(await http.call("GET", `/v1/rooms/${name}/presence`), 404, "not_found");
      const said = await http.call("POST", `/v1/rooms/${name}/messages`, { json: { data: 1 } });
      expectProblem(said, 404, "not_found");
    }
  }
  expect(await eve.ask({ type: "say", room, data: 1 })).toMatchObject({ type: "error", code: "not_found" });
  // One that was in it, a moment ago, at another node.
  await join(eve, room);
  expect((await apiOf(three, eve.token).call("GET", `/v1/rooms/${room}/presence`)).status).toBe(200);
  await eve.ask({ type: "leave", room });
  for (const server of nodes)
    expectProblem(await apiOf(server, eve.token).call("GET", `/v1/rooms/${room}/presence`), 404, "not_found");
  await ann.settle();
  expect(heard(ann, room)).toEqual([]);
}, 30_000);

test("a push of the operator at any node reaches whom it is for, once", async () => {
  const room = freshRoom();
  const clients = await Promise.all([visit(one, "pia"), visit(two, "pia"), visit(three, "quy")]);
  const [first, second, third] = clients;
  for (const client of [first, third]) await join(client, room);
  const reached: [object, readonly Client[]][] = [
    [{ user: "pia" }, [first, second]],
    [{ session: third.sessionId }, [third]],
    [{ room }, [first, third]],
    [{ all: true }, clients],
  ];
  for (const [index, server] of nodes.entries()) {
    for (const [to, audience] of reached) {
      const data = `${index} ${Object.keys(to)[0]}`;
      const pushed = await cluster.adminAt(server).call("POST", "/v1/admin/push", { json: { to, data } });
      expect(pushed.status).toBe(202);
      for (const client of audience)
        await client.waitFor(`the push ${data}`, (frame) => frame["data"] === data);
    }
  }
  for (const client of clients) {
    await client.settle();
    const pushes = client.frames("message").map((frame) => frame["data"] as unknown as string);
    const due = reached.filter(([, audience]) => audience.includes(client)).length;
    expect(new Set(pushes).size).toBe(pushes.length);
    expect(pushes).toHaveLength(nodes.length * due);
    await client.close();
  }
}, 30_000);

test("a room's history is gone on with at another node, without a gap or a repeat", async () => {
  const room = `kept/${freshRoom()}`;
  await using ann = await visit(one, "ann");
  await using ben = await visit(two, "ben");
  await join(ann, room);
  await join(ben, room);
  const numbers: number[] = [];
  let token = ben.token;
  let last = "";
  const seen: unknown[] = [];
  let reader = ben;
  for (const server of [three, one, two]) {
    // It is spoken on while he moves.
    const talking = (async () => {
      for (let n = 0; n < 10; n += 1) {
        numbers.push(numbers.length);
        await say(ann, room, numbers.at(-1));
      }
    })();
    await until("some of it", () => heard(reader, room).length > 2);
    const got = reader.frames("message").filter((frame) => frame.room === room);
    await reader.close();
    for (const frame of got) {
      seen.push(frame["data"]);
      last = frame.id ?? "";
    }
    reader = await visit(server, "ben", token);
    ({ token } = reader);
    const answer = await reader.ask({ type: "join", room, after: last });
    expect(answer).toMatchObject({ type: "history", recovered: true });
    await talking;
    const moved = reader;
    // What came of the room ahead of the answer is told again behind it.
    const behind = (): unknown[] => {
      const frames = moved.frames();
      return frames
        .slice(frames.indexOf(answer))
        .flatMap((frame) => (frame.type === "message" ? [frame["data"]] : []));
    };
    await until("the rest", () => behind().at(-1) === numbers.at(-1));
    expect([...seen, ...behind()]).toEqual(numbers);
    seen.push(...behind());
    last = moved.frames("message").at(-1)?.id ?? "";
    // The next round begins with what is new.
    const fresh = await visit(server, "ben", token);
    ({ token } = fresh);
    await join(fresh, room);
    reader = fresh;
  }
  await reader.close();
}, 30_000);
