/** Two nodes on one Redis that loses what it held: whose sessions come back, and whose do not. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { lastingSessions, type LastingSessions } from "../../src/sessions/redis/lasting.ts";
import { createRedisSessionStore } from "../../src/sessions/redis/store.ts";
import type { RevocationStore } from "../../src/sessions/revocations/store.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { until } from "../support/wait.ts";
import { openClient, type OpenedClient } from "./redis-client.ts";

let server: RedisServer;
let clients: readonly OpenedClient[] = [];
beforeAll(async () => {
  server = await startRedis({ settings: () => ["appendonly yes", "appendfsync always"] });
  clients = [await openClient(server), await openClient(server)];
});
afterAll(async () => {
  for (const client of clients) client.close();
  await server.remove();
});

let here: LastingSessions;
let there: LastingSessions;
let revocations: RevocationStore;
beforeEach(async () => {
  await server.command("FLUSHALL");
  revocations = createMemoryRevocationStore();
  const nodes = clients.map((redis) =>
    lastingSessions({
      store: createRedisSessionStore({ redis, name: "test", newEpoch: () => Bun.randomUUIDv7() }),
      revocations,
      clock: createSystemClock(),
      logger: recordingLogger().logger,
      resumeMs: 60_000,
    }),
  );
  const [first, second] = nodes;
  if (first === undefined || second === undefined) throw new Error("there are two nodes");
  [here, there] = [first, second];
});

const NOW_MS = 1_800_000_000_000;

/** With a socket on the node "here". */
async function seatHere(): Promise<SessionRecord> {
  const session: SessionRecord = {
    id: Bun.randomUUIDv7() as SessionId,
    userId: "ada" as UserId,
    nodeId: "here",
    createdAt: NOW_MS,
    connectedAt: NOW_MS,
    lastSeenAt: NOW_MS,
    presence: "online",
    presenceAt: NOW_MS,
    chosenPresence: "online",
    rooms: ["lobby"],
    binding: null,
    awayBy: null,
    expiresBy: null,
    endedAt: null,
  };
  await here.store.create(session);
  return session;
}

const sitThere = (id: SessionId, at = NOW_MS + 10) =>
  there.store.connected({ id, nodeId: "there", at, binding: null });

async function awayFrom(redis: OpenedClient): Promise<void> {
  await until("the end of the connection", () => !redis.ready);
}

async function restart(how: "resume" | "resumeEmpty"): Promise<void> {
  await server[how]();
  for (const client of clients) await until("the client to be back", () => client.ready);
}

const refusedWith = async (call: Promise<unknown>): Promise<unknown> => {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof Refusal ? error.code : error;
};

/** The answer, as soon as there is one. */
const sayAtLast = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
  const { answer } = await until("an answer", () =>
    ask().then(
      (given) => ({ answer: given }),
      () => null,
    ),
  );
  return answer;
};

test("each node writes down its own, and another node finds it", async () => {
  const session = await seatHere();
  expect(await there.store.find(session.id)).toEqual(session);
  await server.command("FLUSHALL");
  // Nobody has said anything yet: there is nothing to be found, and nothing that would be wrong.
  expect(await there.store.listOf(session.userId, 10)).toEqual([]);
  expect(await here.store.find(session.id)).toEqual(session);
  expect(await there.store.listOf(session.userId, 10)).toEqual([session]);
  expect(await there.store.inRooms(null, 10)).toEqual([session]);
});

test("a session that was logged out elsewhere does not come back, though nobody said so here", async () => {
  const session = await seatHere();
  expect(await there.store.end(session.id, NOW_MS + 5, NOW_MS + 1000)).toBe(true);
  await server.command("FLUSHALL");
  expect(await here.store.listOf(session.userId, 10)).toEqual([]);
  expect(await sayAtLast(() => there.store.find(session.id))).toBeNull();
});

test("until every node has had its time to write, nobody says that a session is gone", async () => {
  const [mine, unknown] = [await seatHere(), Bun.randomUUIDv7() as SessionId];
  expect(await there.store.find(unknown)).toBeNull();
  await server.command("FLUSHALL");
  for (const id of [mine.id, unknown]) {
    expect(await refusedWith(there.store.find(id))).toBe("storage_unavailable");
    expect(await refusedWith(there.store.findOwn(mine.userId, id))).toBe("storage_unavailable");
    expect(await refusedWith(sitThere(id))).toBe("storage_unavailable");
  }
  expect(there.outage.away).toBe(false);
  expect(await here.store.find(mine.id)).toEqual(mine);
  expect(await there.store.find(mine.id)).toEqual(mine);
  expect(await sayAtLast(() => there.store.find(unknown))).toBeNull();
});

test("one that Redis knows as ended stays so, whatever is remembered here", async () => {
  const session = await seatHere();
  await there.store.end(session.id, NOW_MS + 5, NOW_MS + 1000);
  await server.halt("kill");
  await awayFrom(clients[0] as OpenedClient);
  expect(await refusedWith(here.store.count())).toBe("storage_unavailable");
  await restart("resume");
  expect(await here.store.count()).toEqual({ online: 0, away: 0 });
  expect(await there.store.find(session.id)).toMatchObject({ endedAt: NOW_MS + 5 });
  expect(await here.store.find(session.id)).toMatchObject({ endedAt: NOW_MS + 5 });
});

test("nor does one whose user was revoked", async () => {
  const session = await seatHere();
  await revocations.revoke({ kind: "user", subject: "ada", before: NOW_MS + 1, until: NOW_MS + 9e9 });
  await server.command("FLUSHALL");
  expect(await here.store.listOf(session.userId, 10)).toEqual([]);
});

test("one that has sat down on another node since is that node's", async () => {
  const session = await seatHere();
  const moved = await sitThere(session.id);
  await server.halt("kill");
  await awayFrom(clients[0] as OpenedClient);
  expect(await refusedWith(here.store.listOf(session.userId, 10))).toBe("storage_unavailable");
  await restart("resume");
  // Until then memory answers. Whoever is first, the newer one wins.
  await here.store.count();
  expect(await here.store.find(session.id)).toEqual(moved);
  expect(await there.store.listOf(session.userId, 10)).toEqual([moved as SessionRecord]);

  await server.command("FLUSHALL");
  expect(await there.store.listOf(session.userId, 10)).toEqual([moved as SessionRecord]);
  expect(await here.store.find(session.id)).toEqual(moved);
});

test("what changed while Redis was away is written down: left, come back, logged out", async () => {
  const [left, back, over] = [await seatHere(), await seatHere(), await seatHere()];
  const away = { nodeId: "here", awayBy: 1000, expiresBy: 61_000, at: NOW_MS + 20 };
  await server.halt("kill");
  await awayFrom(clients[0] as OpenedClient);
  const gone = await here.store.away({ ...away, id: left.id });
  expect(gone).toMatchObject({ presence: "away", expiresBy: 61_000 });
  await here.store.away({ ...away, id: back.id });
  const again = await here.store.connected({ id: back.id, nodeId: "here", at: NOW_MS + 30, binding: null });
  expect(again).toMatchObject({ connectedAt: NOW_MS + 30, presence: "online", expiresBy: null });
  expect(await here.store.end(over.id, NOW_MS + 40, NOW_MS + 9000)).toBe(true);
  expect(await here.store.find(over.id)).toMatchObject({ endedAt: NOW_MS + 40, presence: "offline" });
  expect(await here.store.end(over.id, NOW_MS + 41, NOW_MS + 9000)).toBe(false);

  await restart("resume");
  await here.store.count();
  expect(await there.store.find(left.id)).toEqual(gone);
  expect(await there.store.find(back.id)).toEqual(again);
  expect(await there.store.find(over.id)).toMatchObject({ endedAt: NOW_MS + 40 });
  // It expires as any other one does.
  expect(await there.store.sweep(61_000, NOW_MS, 10)).toEqual([left.id]);
});

test("the log-out in the database is forgotten with the session", async () => {
  const [first, second] = [await seatHere(), await seatHere()];
  await here.store.end(first.id, NOW_MS, NOW_MS + 1000);
  await here.store.end(second.id, NOW_MS, NOW_MS + 2000);
  const kept = async (wallMs: number): Promise<number> => {
    await here.store.sweep(0, wallMs, 10);
    return (await revocations.list(0)).length;
  };
  expect(await kept(NOW_MS + 999)).toBe(2);
  expect(await kept(NOW_MS + 1000)).toBe(1);
  // The rest goes with a later look, of which there is one a minute.
  expect(await kept(NOW_MS + 2000)).toBe(1);
  expect(await kept(NOW_MS + 61_000)).toBe(0);
});

test("memory has an age: a session that was not used here for as long as it can be resumed is not known", async () => {
  const session = await seatHere();
  const [redis] = clients as readonly [OpenedClient];
  let nowMs = 0;
  const clock = { ...createSystemClock(), steadyMs: () => nowMs };
  const parts = { revocations, clock, logger: recordingLogger().logger, resumeMs: 1000 };
  const store = createRedisSessionStore({ redis, name: "test", newEpoch: () => Bun.randomUUIDv7() });
  const forgetful = lastingSessions({ store, ...parts }).store;
  expect(await forgetful.find(session.id)).toEqual(session);
  await server.halt("kill");
  await awayFrom(redis);
  nowMs = 1000;
  expect(await forgetful.find(session.id)).toEqual(session);
  nowMs = 2001;
  expect(await refusedWith(forgetful.find(session.id))).toBe("storage_unavailable");
  await restart("resume");
});

test("faults/R42: who sits down while all is being written down is written down as sitting, in whichever moment", async () => {
  const session = await seatHere();
  const written: SessionRecord[] = [];
  for (let turns = 0; turns < 40; turns += 1) {
    let reachable = false;
    const away = (): Promise<never> => Promise.reject(new Refusal("storage_unavailable", "away"));
    const held = Promise.withResolvers<void>();
    const store = {
      begin: async () => (reachable ? undefined : away()),
      create: async () => {},
      async connected({ at }: { readonly at: number }) {
        const stored = { ...session, connectedAt: at };
        written.push(stored);
        return stored;
      },
      away,
      find: async () => null,
      async restore(remembered: SessionRecord) {
        if (remembered.id !== session.id) await held.promise;
        else written.push(remembered);
        return remembered;
      },
    };
    const node = lastingSessions({
      store: store as unknown as ReturnType<typeof createRedisSessionStore>,
      revocations,
      clock: createSystemClock(),
      logger: recordingLogger().logger,
      resumeMs: 60_000,
    });
    const { id } = session;
    reachable = true;
    await node.store.create(session);
    await node.store.create({ ...session, id: Bun.randomUUIDv7() as SessionId });
    reachable = false;
    const leave = { id, nodeId: "here", awayBy: NOW_MS, expiresBy: NOW_MS + 60_000, at: NOW_MS + 5 };
    // Redis is away from here on, as the first question shows.
    await node.store.count().catch(() => null);
    await node.store.away(leave);
    reachable = true;
    const writing = node.store.find(Bun.randomUUIDv7() as SessionId);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    held.resolve();
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    const back = await node.store.connected({ id, nodeId: "here", at: NOW_MS + 10, binding: null });
    await writing;
    expect({ turns, written: written.at(-1)?.connectedAt }).toEqual({ turns, written: back?.connectedAt });
  }
});
