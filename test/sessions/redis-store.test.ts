/** The contract of sessions on a real Redis server: the driver, and the same with what makes it outlive an outage. */
import { afterAll, beforeAll } from "bun:test";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { lastingSessions } from "../../src/sessions/redis/lasting.ts";
import { createRedisSessionStore, type RedisSessionStore } from "../../src/sessions/redis/store.ts";
import { describeSessionStore } from "../conformance/session-store.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { startCluster, type RedisSet } from "../support/redis-sets.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";
import { openClient, type OpenedClient } from "./redis-client.ts";

let server: RedisServer;
let redis: OpenedClient;
let clusterSet: RedisSet;
let cluster: OpenedClient;
beforeAll(async () => {
  [server, clusterSet] = await Promise.all([startRedis(), startCluster()]);
  redis = await openClient(server);
  cluster = await openClient(clusterSet);
});
afterAll(async () => {
  redis.close();
  cluster.close();
  await server.remove();
  await clusterSet.remove();
});

const empty = async (): Promise<void> => void (await server.command("FLUSHALL"));

function open(client = redis): RedisSessionStore {
  return createRedisSessionStore({ redis: client, name: "test", newEpoch: () => Bun.randomUUIDv7() });
}

describeSessionStore("a Redis Cluster", async () => {
  const store = open(cluster);
  await store.begin();
  const close = async (): Promise<void> => {
    for (const node of clusterSet.servers) await node.command("FLUSHALL");
  };
  return { store, close };
});

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
