/** The contract of sessions on a real Redis server: the driver, and the same with what makes it outlive an outage. */
import { afterAll, beforeAll } from "bun:test";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { lastingSessions } from "../../src/sessions/redis/lasting.ts";
import { createRedisSessionStore, type RedisSessionStore } from "../../src/sessions/redis/store.ts";
import { describeSessionStore } from "../conformance/session-store.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { until } from "../support/wait.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";
import { openClient, type OpenedClient } from "./redis-client.ts";

let server: RedisServer;
let redis: OpenedClient;
/** All slots at one node, which checks the slots of keys as any other one of a Cluster does. */
let clusterServer: RedisServer;
let cluster: OpenedClient;
beforeAll(async () => {
  [server, clusterServer] = [
    await startRedis(),
    await startRedis({ settings: ["cluster-enabled yes", "cluster-announce-ip 127.0.0.1"] }),
  ];
  await clusterServer.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until("the Cluster to be whole", async () =>
    (await clusterServer.command("CLUSTER", "INFO")).includes("cluster_state:ok"),
  );
  redis = await openClient(server);
  cluster = await openClient({ url: `redis+cluster://127.0.0.1:${clusterServer.port}` });
});
afterAll(async () => {
  redis.close();
  cluster.close();
  await server.remove();
  await clusterServer.remove();
});

const empty = async (): Promise<void> => void (await server.command("FLUSHALL"));

function open(client = redis): RedisSessionStore {
  return createRedisSessionStore({ redis: client, name: "test", newEpoch: () => Bun.randomUUIDv7() });
}

describeSessionStore("a Redis Cluster", async () => {
  const store = open(cluster);
  await store.begin();
  return { store, close: async () => void (await clusterServer.command("FLUSHALL")) };
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
