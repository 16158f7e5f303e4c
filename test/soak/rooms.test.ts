/**
 * A room over three real nodes through a bad day: a node is killed, one is stopped until it is given up and goes on,
 * Redis is killed, emptied and frozen, PostgreSQL is away. After each of these every node lists the same members, every
 * client sees the same, and nobody was told of anybody twice.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { apiOf } from "../support/http.ts";
import { freshRoom, heard, join, presences, together, whole } from "../support/rooms.ts";
import type { TestServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";
import type { MemberBody } from "../support/wire.ts";

const GRACE_MS = 2000;
const HEAL_MS = 45_000;
const LIMIT_MS = 180_000;
const USERS = 9;

let cluster: Cluster;
let nodes: TestServer[];
beforeAll(async () => {
  cluster = await startCluster();
  const env = { HOLDLINE_PRESENCE_GRACE_MS: String(GRACE_MS) };
  nodes = [await cluster.start({ env })];
  nodes.push(...(await Promise.all([cluster.start({ env }), cluster.start({ env })])));
  await allReady();
}, LIMIT_MS);
afterAll(() => cluster[Symbol.asyncDispose]());

const nodeAt = (index: number): TestServer => {
  const server = nodes[index % nodes.length];
  if (server === undefined) throw new Error("there are no nodes");
  return server;
};

async function allReady(): Promise<void> {
  for (const { url } of nodes)
    await until(
      "the nodes to hear each other",
      async () => {
        const ready = await fetch(`${url}/readyz`).then((answer) => answer.json() as Promise<object>);
        return Bun.deepEquals(ready, { status: "ready" });
      },
      HEAL_MS,
    );
}

/** A user whose client comes back as the real one does: with its session, to the next node. */
interface Visitor {
  readonly user: string;
  at: number;
  client: Client;
  /** Its earlier clients: what those were told has to hold as well. */
  readonly before: Client[];
}

async function visit(user: string, at: number): Promise<Visitor> {
  // A node that cannot open new sessions yet says so, and its client comes again.
  const client = await until(
    "a node to take it",
    () => connect(nodeAt(at), { token: cluster.userToken(user) }).catch(() => null),
    HEAL_MS,
  );
  return { user, at, client, before: [] };
}

/** As soon as a node takes it; to a new session when the old one is lost. */
async function comeBack(visitor: Visitor, at: number, room: string): Promise<void> {
  const old = visitor.client;
  visitor.before.push(old);
  visitor.at = at;
  const again = (more: { session?: string }) =>
    connect(nodeAt(at), { token: cluster.userToken(visitor.user), ...more }).catch(() => null);
  visitor.client = await until(
    "a node to take it",
    async () => (await again({ session: old.token })) ?? (await again({})),
    HEAL_MS,
  );
  if (visitor.client.sessionId === old.sessionId) await whole(visitor.client, room);
  else await join(visitor.client, room);
}

const statuses = (members: Iterable<MemberBody>): Record<string, string> =>
  Object.fromEntries([...members].map(({ sessionId, status }) => [sessionId, status]));

/** Every node and every client sees exactly this. */
async function expectAll(
  room: string,
  visitors: readonly Visitor[],
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  const [first] = visitors;
  if (first === undefined) throw new Error("nobody is there");
  const expected = Object.fromEntries([...wanted].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  for (const [index, server] of nodes.entries()) {
    let seen: Record<string, string> = {};
    await until(
      "the node to list who is there",
      async () => {
        const answer = await apiOf(server, first.client.token).call<{ members: MemberBody[] }>(
          "GET",
          `/v1/rooms/${room}/presence`,
        );
        seen = answer.status === 200 ? statuses(answer.body.members) : {};
        return Bun.deepEquals(seen, expected);
      },
      HEAL_MS,
    ).catch(() => expect({ index, seen }).toEqual({ index, seen: expected }));
  }
  for (const { client, user } of visitors) {
    if (client.closed !== null) continue;
    await until(
      "the client to see who is there",
      () => Bun.deepEquals(statuses(together(client, room).values()), Object.fromEntries(wanted)),
      HEAL_MS,
    ).catch(() =>
      expect({ user, seen: statuses(together(client, room).values()) }).toEqual({ user, seen: expected }),
    );
  }
  // together() throws where somebody is told of twice.
  for (const { before } of visitors) for (const client of before) together(client, room);
}

async function gather(room: string): Promise<{ visitors: Visitor[]; wanted: Map<string, string> }> {
  const visitors: Visitor[] = [];
  for (let n = 0; n < USERS; n += 1) visitors.push(await visit(`user-${n}-${room}`, n));
  for (const { client } of visitors) await join(client, room);
  const wanted = new Map(visitors.map(({ client }) => [client.sessionId, "online"]));
  await expectAll(room, visitors, wanted);
  return { visitors, wanted };
}

async function expectHeard(room: string, visitors: readonly Visitor[], said: string): Promise<void> {
  const there = visitors.filter(({ client }) => client.closed === null);
  for (const { client, user } of there)
    expect(await client.ask({ type: "say", room, data: `${said} ${user}` })).toMatchObject({ type: "ok" });
  for (const { client } of there)
    await until("everybody to be heard once", () => {
      const data = heard(client, room).filter((text) => String(text).startsWith(said));
      expect(new Set(data).size).toBe(data.length);
      return data.length === there.length;
    });
}

async function leaveAll(visitors: readonly Visitor[]): Promise<void> {
  for (const { client } of visitors) if (client.closed === null) await client.close();
}

test(
  "a node is killed: who sits down elsewhere was never gone, who does not is away once",
  async () => {
    const room = freshRoom();
    const { visitors, wanted } = await gather(room);
    const dead = nodeAt(2);
    const watchers = visitors.filter(({ at }) => at % 3 !== 2);
    const told = new Map(watchers.map(({ client }) => [client, presences(client, room).length]));
    await dead.kill("SIGKILL");
    const [moves, stays, late] = visitors.filter(({ at }) => at % 3 === 2);
    if (moves === undefined || stays === undefined || late === undefined) throw new Error("three sat there");
    await comeBack(moves, 0, room);
    nodes = nodes.filter((server) => server !== dead);
    for (const { client } of [stays, late]) wanted.set(client.sessionId, "away");
    await expectAll(room, visitors, wanted);
    for (const { client } of watchers) {
      const changes = presences(client, room).slice(told.get(client));
      expect(
        changes.flatMap(({ changed = [] }) => changed.map(({ sessionId }) => sessionId)).toSorted(),
      ).toEqual([stays, late].map(({ client: { sessionId } }) => sessionId).toSorted());
      expect(changes.flatMap(({ left = [], joined = [] }) => left.concat(joined))).toEqual([]);
    }
    await comeBack(late, 1, room);
    wanted.set(late.client.sessionId, "online");
    await dead.restart();
    nodes.push(dead);
    await allReady();
    await expectAll(room, visitors, wanted);
    await expectHeard(room, visitors, "after the death");
    await leaveAll(visitors);
  },
  LIMIT_MS,
);

test(
  "a node is killed and back before anybody gives it up: whoever sat there is away, everywhere",
  async () => {
    const room = freshRoom();
    const { visitors, wanted } = await gather(room);
    await nodeAt(1).restart();
    await allReady();
    const sat = visitors.filter(({ at }) => at % 3 === 1);
    for (const { client } of sat) wanted.set(client.sessionId, "away");
    await expectAll(room, visitors, wanted);
    for (const visitor of sat) {
      await comeBack(visitor, visitor.at + 1, room);
      wanted.set(visitor.client.sessionId, "online");
    }
    await expectAll(room, visitors, wanted);
    await expectHeard(room, visitors, "after the restart");
    await leaveAll(visitors);
  },
  LIMIT_MS,
);

test(
  "a node is stopped until it is given up, and goes on",
  async () => {
    const room = freshRoom();
    const { visitors, wanted } = await gather(room);
    const stopped = nodeAt(0);
    await stopped.kill("SIGSTOP");
    const sat = visitors.filter(({ at }) => at % 3 === 0);
    const [moves, ...stay] = sat;
    if (moves === undefined) throw new Error("three sat there");
    await comeBack(moves, 1, room);
    const witness = visitors.find(({ at }) => at % 3 === 2);
    if (witness === undefined) throw new Error("three sat there");
    await until(
      "the others to give it up",
      () =>
        stay.every(({ client }) => together(witness.client, room).get(client.sessionId)?.status === "away"),
      HEAL_MS,
    );
    // Meanwhile somebody comes and somebody goes.
    await witness.client.ask({ type: "leave", room });
    wanted.delete(witness.client.sessionId);
    const newcomer = await visit(`new-${room}`, 1);
    await join(newcomer.client, room);
    wanted.set(newcomer.client.sessionId, "online");
    await stopped.kill("SIGCONT");
    const others = [...visitors.filter((visitor) => visitor !== witness), newcomer];
    for (const { client } of stay) {
      await client.waitForClose(HEAL_MS);
      wanted.set(client.sessionId, "away");
    }
    others.sort((one, other) => Number(other === newcomer) - Number(one === newcomer));
    await expectAll(room, others, wanted);
    for (const visitor of stay) {
      await comeBack(visitor, 0, room);
      wanted.set(visitor.client.sessionId, "online");
    }
    await allReady();
    await expectAll(room, others, wanted);
    await expectHeard(room, others, "after the stop");
    await leaveAll([...others, witness]);
  },
  LIMIT_MS,
);

const outages: readonly [string, () => Promise<void>][] = [
  [
    "is killed and back empty",
    async () => {
      await cluster.redis.halt("kill");
      await letTimePass(5000);
      await cluster.redis.resumeEmpty();
    },
  ],
  ["is emptied under everybody", async () => void (await cluster.redis.command("FLUSHALL"))],
  [
    "is frozen",
    async () => {
      cluster.redis.freeze();
      await letTimePass(8000);
      cluster.redis.wake();
    },
  ],
];

for (const [how, outage] of outages) {
  test(
    `Redis ${how}: who has a socket is there all the time, for everybody`,
    async () => {
      const room = freshRoom();
      const { visitors, wanted } = await gather(room);
      const told = visitors.map(({ client }) => presences(client, room).length);
      await outage();
      await allReady();
      await expectHeard(room, visitors, "after the outage");
      await expectAll(room, visitors, wanted);
      expect(visitors.map(({ client }) => presences(client, room).length)).toEqual(told);
      // All of them are stored again: what is changed now is what they were.
      for (const { client } of visitors) {
        const choose = (): Promise<{ type: string }> => client.ask({ type: "presence", status: "busy" });
        await until("the sessions to be there", async () => (await choose()).type === "ok");
        wanted.set(client.sessionId, "busy");
      }
      await expectAll(room, visitors, wanted);
      await leaveAll(visitors);
    },
    LIMIT_MS,
  );
}

test(
  "PostgreSQL is away until everybody is sent away: all come back to where they were",
  async () => {
    const room = freshRoom();
    const { visitors, wanted } = await gather(room);
    await cluster.postgres.halt();
    for (const { client } of visitors) await client.waitForClose(HEAL_MS);
    await cluster.postgres.resume();
    await allReady();
    for (const visitor of visitors) await comeBack(visitor, visitor.at + 1, room);
    expect(new Set(visitors.map(({ client }) => client.sessionId))).toEqual(new Set(wanted.keys()));
    await expectAll(room, visitors, wanted);
    await expectHeard(room, visitors, "after the database");
    await leaveAll(visitors);
  },
  LIMIT_MS,
);
