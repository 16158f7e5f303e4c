/** Redis in its larger forms: Sentinels that fail over, a Cluster that loses nodes, TLS. The whole contract, and commands on keys. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { lookIntoRedis } from "../../src/redis/inspect.ts";
import { openRedis, type OpenedRedis } from "../../src/redis/connect.ts";
import { describeBackplane } from "../conformance/backplane.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { joinNetwork, newInstallation } from "../redis/nodes.ts";
import { lookAtRedis } from "../redis/look.ts";
import {
  makeCertificates,
  startCluster,
  startSentinelSet,
  type RedisSet,
  type SentinelSet,
} from "../support/redis-sets.ts";
import type { RedisServer } from "../support/redis.ts";
import { letTimePass, until } from "../support/wait.ts";

const PATIENCE_MS = 30_000;
const SCRIPT = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

function opening(url: string) {
  const { logger, lines } = recordingLogger();
  return { url, name: "test", logger, lines, clock: createSystemClock(), random: Math.random };
}

/** Until a script is carried out; how often that was. */
async function counted({ client }: OpenedRedis): Promise<number> {
  const answer = await until(
    "a script to be carried out",
    () => client.eval(SCRIPT, 1, "{holdline:x}:counter", 1).catch(() => null),
    PATIENCE_MS,
  );
  return Number(answer);
}

const open = (url: () => string) => async (count: number) => {
  const installation = newInstallation();
  // All of them listen at the same node of a Cluster: what one has heard there is on its way to nobody any more.
  const random = (): number => 0.5;
  return Array.from({ length: count }, (_, index) => joinNetwork(url(), index, { installation, random }));
};

describe("Sentinels", () => {
  let set: SentinelSet;
  beforeAll(async () => {
    set = await startSentinelSet({ password: "canary-7f3a" });
  }, PATIENCE_MS);
  afterAll(() => set.remove());

  /** The master dies; it comes back as a replica once another one has its place. */
  const failOver = async (during: () => Promise<void>): Promise<void> => {
    const before: RedisServer = await set.master();
    await before.halt();
    try {
      await during();
      await until("another master", async () => (await set.master()) !== before, PATIENCE_MS);
    } finally {
      await before.resume();
    }
    const isReplica = async (): Promise<boolean> => {
      const said = await before.command("INFO", "replication");
      if (/role:slave[^]*master_link_status:up/.test(said)) return true;
      // The Sentinels tell it as well, some time, and sometimes what was right before.
      const { port } = await set.master();
      if (port !== before.port) await before.command("REPLICAOF", "127.0.0.1", String(port));
      await letTimePass(200);
      return false;
    };
    await until("the old master to follow the new one", isReplica, PATIENCE_MS);
  };

  const openNodes = open(() => set.url);
  describeBackplane(
    "the backplane",
    async (count) => ({ nodes: await openNodes(count), close: () => Promise.resolve(), cut: failOver }),
    { loses: true },
  );

  test("commands go to the master, whichever that is", async () => {
    const given = opening(set.url);
    const one = openRedis(given);
    const before = await counted(one);
    await failOver(async () => {
      expect(await one.client.get("a").catch(String)).toStartWith("Error: ");
    });
    expect(await counted(one)).toBeGreaterThan(before);
    one.close();
    expect(Bun.inspect(given.lines)).not.toContain("canary");
  }, 60_000);

  test("are looked at by the doctor", async () => {
    const look = await lookIntoRedis(opening(set.url));
    expect([look.isOldEnough, look.carries, look.clusterState]).toEqual([true, true, null]);
  });
});

describe("a Cluster", () => {
  let set: RedisSet;
  beforeAll(async () => {
    set = await startCluster({ password: "canary-7f3a" });
  }, PATIENCE_MS);
  afterAll(() => set.remove());

  const openNodes = open(() => set.url);
  const isWhole = async (): Promise<boolean> => {
    const said = await Promise.all(set.servers.map((server) => server.command("CLUSTER", "INFO")));
    return said.every((info) => info.includes("cluster_state:ok") && info.includes("cluster_slots_fail:0"));
  };
  describeBackplane(
    "the backplane",
    async (count) => ({
      nodes: await openNodes(count),
      close: () => Promise.resolve(),
      async cut(during) {
        await Promise.all(set.servers.map((server) => server.halt()));
        try {
          await during();
        } finally {
          await Promise.all(set.servers.map((server) => server.resume()));
          await until("the Cluster to be whole", isWhole, PATIENCE_MS);
        }
      },
    }),
    { loses: true },
  );

  test("that loses one node after the other carries signals between those that are left", async () => {
    const installation = newInstallation();
    const nodes = [0, 1].map((index) => joinNetwork(set.url, index, { installation }));
    await Promise.all(nodes.map((node) => node.start()));
    for (const server of set.servers) {
      await server.halt();
      for (const node of nodes) await until("signals to flow", () => node.healthy, PATIENCE_MS);
      await server.resume();
      await until("the Cluster to be whole", isWhole, PATIENCE_MS);
      for (const node of nodes) await until("signals to flow", () => node.healthy, PATIENCE_MS);
    }
    await Promise.all(nodes.map((node) => node.stop()));
  }, 120_000);

  test("takes commands where their key is, also after that node was away", async () => {
    const given = opening(set.url);
    const one = openRedis(given);
    const before = await counted(one);
    for (const server of set.servers) await server.halt("term");
    expect(await one.client.get("a").catch(String)).toContain("Error: ");
    for (const server of set.servers) await server.resume();
    await until("the Cluster to be whole", isWhole, PATIENCE_MS);
    expect(await counted(one)).toBeGreaterThan(0);
    expect(before).toBeGreaterThan(0);
    one.close();
    expect(Bun.inspect(given.lines)).not.toContain("canary");
  }, 120_000);

  test("is looked at by the doctor", async () => {
    const look = await lookIntoRedis(opening(set.url));
    expect([look.isOldEnough, look.carries, look.clusterState]).toEqual([true, true, "ok"]);
  });
});

test("both are reached over TLS", async () => {
  const tls = await makeCertificates();
  const env = { NODE_EXTRA_CA_CERTS: tls.authority };
  const password = "canary-7f3a";
  const sets = [await startSentinelSet({ tls, password }), await startCluster({ tls, password })];
  try {
    for (const { url } of sets) {
      expect((await lookAtRedis(url, env)).verdict).toStartWith("ok: ");
      expect((await lookAtRedis(url)).verdict).toStartWith("fail: ");
    }
  } finally {
    for (const set of sets) await set.remove();
    await tls.remove();
  }
}, 60_000);
