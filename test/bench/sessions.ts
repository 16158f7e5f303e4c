/** What the calls of a session store cost on each driver, in one run: `bun test/bench/sessions.ts`. */
import { createSystemClock } from "../../src/lib/clock.ts";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import { percentile } from "../../src/lib/percentile.ts";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { lastingSessions } from "../../src/sessions/redis/lasting.ts";
import { createRedisSessionStore } from "../../src/sessions/redis/store.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import type { SessionStore } from "../../src/sessions/store.ts";
import { openStorage } from "../../src/storage.ts";
import { openThreaded, temporaryFolder } from "../conformance/storages.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { openClient } from "../sessions/redis-client.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRedis } from "../support/redis.ts";

const SESSIONS = 5000;
const SERIAL = 300;
const IN_FLIGHT = 64;

interface Opened {
  readonly store: SessionStore;
  close(): Promise<void>;
}

const DRIVERS: Readonly<Record<string, () => Promise<Opened>>> = {
  async SQLite() {
    const folder = await temporaryFolder();
    const storage = await openThreaded(folder, "power");
    return { store: storage.sessions, close: () => storage.stop().then(() => folder.remove()) };
  },
  async PostgreSQL() {
    const [server, folder] = await Promise.all([startPostgres(), temporaryFolder()]);
    const databaseUrl = await server.database();
    const storage = await openStorage({ databaseUrl, dataDir: folder.path, durability: "power" });
    const close = () =>
      storage
        .stop()
        .then(() => server.remove())
        .then(() => folder.remove());
    return { store: storage.sessions, close };
  },
  async Redis() {
    const server = await startRedis({ settings: () => ["appendonly yes", "appendfsync everysec"] });
    const redis = await openClient(server);
    const { store } = lastingSessions({
      store: createRedisSessionStore({ redis, name: "bench", newEpoch: () => Bun.randomUUIDv7() }),
      revocations: createMemoryRevocationStore(),
      clock: createSystemClock(),
      logger: recordingLogger().logger,
      resumeMs: 300_000,
    });
    const close = async (): Promise<void> => {
      redis.close();
      await server.remove();
    };
    return { store, close };
  },
};

function sessionOf(number: number): SessionRecord {
  const at = Date.now();
  return {
    id: Bun.randomUUIDv7() as SessionId,
    userId: `user-${number % 1000}` as UserId,
    nodeId: "node",
    createdAt: at,
    connectedAt: at,
    lastSeenAt: at,
    presence: "online",
    presenceAt: at,
    chosenPresence: "online",
    rooms: [],
    binding: {
      tokenHash: "h".repeat(43),
      tokenId: Bun.randomUUIDv7(),
      issuedAt: at,
      expiresAt: at + 3_600_000,
      types: null,
      rooms: null,
    },
    awayBy: null,
    expiresBy: null,
    endedAt: null,
  };
}

/** Calls with several in flight: how many a second. */
async function rateOf(count: number, call: (number: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await call(next - 1);
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return Math.round((count / (performance.now() - startedMs)) * 1000);
}

/** Calls one after the other: how long each takes. */
async function latencyOf(call: (number: number) => Promise<unknown>): Promise<string> {
  const tookMs: number[] = [];
  for (let number = 0; number < SERIAL; number += 1) {
    const startedMs = performance.now();
    await call(number);
    tookMs.push(performance.now() - startedMs);
  }
  return [0.5, 0.99].map((share) => percentile(tookMs, share)?.toFixed(2)).join(" / ");
}

function say(...cells: readonly string[]): void {
  process.stdout.write(`${cells.join("\t")}\n`);
}

async function onceMs(call: () => Promise<unknown>): Promise<string> {
  const startedMs = performance.now();
  await call();
  return `${(performance.now() - startedMs).toFixed(0)} ms`;
}

async function measure(name: string, store: SessionStore): Promise<void> {
  const sessions = Array.from({ length: SESSIONS }, (_, number) => sessionOf(number));
  const at = (number: number): SessionRecord => sessions[number] ?? sessionOf(number);
  const now = Date.now();
  const expiresBy = now + 300_000;
  const calls: Readonly<Record<string, (number: number) => Promise<unknown>>> = {
    create: (number) => store.create(at(number)),
    find: (number) => store.find(at(number).id),
    "enter a room": (number) => store.enter({ id: at(number).id, room: `room-${number % 50}`, most: 64 }),
    away: (number) => store.away({ id: at(number).id, nodeId: "node", awayBy: now, expiresBy, at: now }),
    connected: (number) => store.connected({ id: at(number).id, nodeId: "node", at: now, binding: null }),
    "list of a user": (number) => store.listOf(at(number).userId, 20),
  };
  for (const [what, call] of Object.entries(calls)) {
    const rate = await rateOf(SESSIONS, call);
    const offset = what === "create" ? SESSIONS : 0;
    say(name, what, `${rate}/s`, `${await latencyOf((number) => call(offset + number))} ms`);
  }
  const touches = sessions.map(({ id }) => ({ id, at: now, expiresBy }));
  say(name, `touch of ${SESSIONS}`, await onceMs(() => store.touch(touches)));
  const recovery = { nodeId: "node", awayBy: now, expiresBy, at: now };
  say(name, `recover of ${SESSIONS}`, await onceMs(() => store.recover(recovery)));
}

for (const [name, open] of Object.entries(DRIVERS)) {
  const opened = await open();
  await measure(name, opened.store);
  await opened.close();
}
