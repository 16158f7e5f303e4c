/** The contract of sessions on a real Redis server: the driver, and the same with what makes it outlive an outage. */
import { afterAll, beforeAll } from "bun:test";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { lastingSessions } from "../../src/sessions/redis/lasting.ts";
import { createRedisSessionStore, type RedisSessionStore } from "../../src/sessions/redis/store.ts";
import { describeSessionStore } from "../conformance/session-store.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";
import { openClient, type OpenedClient } from "./redis-client.ts";

let server: RedisServer;
let redis: OpenedClient;
beforeAll(async () => {
  server = await startRedis();
  redis = await openClient(server);
});
afterAll(async () => {
  redis.close();
  await server.remove();
});

const empty = async (): Promise<void> => void (await redis.client.flushall());

function open(): RedisSessionStore {
  return createRedisSessionStore({ redis, name: "test", newEpoch: () => Bun.randomUUIDv7() });
}

describeSessionStore("Redis", async () => {
  const store = open();
  await store.begin();
  return { store, close: empty };
});

describeSessionStore("Redis, with an outage in mind", async () => {
  const { logger } = recordingLogger();
  const revocations = createMemoryRevocationStore();
  const clock = createManualClock();
  const { store } = lastingSessions({ store: open(), revocations, clock, logger, resumeMs: 60_000 });
  return { store, close: empty };
});
