/** The contract of sessions on a real Redis server. */
import { afterAll, beforeAll } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { openRedis, type OpenedRedis } from "../../src/redis/connect.ts";
import { createRedisSessionStore } from "../../src/sessions/redis/store.ts";
import { describeSessionStore } from "../conformance/session-store.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { until } from "../support/wait.ts";

let server: RedisServer;
let redis: OpenedRedis;
beforeAll(async () => {
  server = await startRedis();
  const { logger } = recordingLogger();
  const clock = createSystemClock();
  redis = openRedis({ url: server.url, name: "sessions", logger, clock, random: Math.random });
  await until("Redis to be there", () => redis.ready);
});
afterAll(async () => {
  redis.close();
  await server.remove();
});

describeSessionStore("Redis", async () => {
  const store = createRedisSessionStore({ redis, name: "test", newEpoch: () => Bun.randomUUIDv7() });
  await store.begin();
  return { store, close: async () => void (await redis.client.flushall()) };
});
