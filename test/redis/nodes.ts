/** Nodes on the Redis driver of the backplane, with a network that nobody else is on. */
import type { Backplane } from "../../src/backplane/backplane.ts";
import { createRedisBackplane, type RedisBackplaneOptions } from "../../src/backplane/redis/redis.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createIds } from "../../src/lib/ids.ts";
import { recordingLogger } from "../handlers/run-setup.ts";

let networks = 0;

/** A name of its own keeps what is left of the one before away. */
export function newInstallation() {
  networks += 1;
  return { name: `net-${networks}`, secret: "s".repeat(32) };
}

export function joinNetwork(
  url: string,
  index: number,
  more: Partial<RedisBackplaneOptions> = {},
): Backplane & { readonly lines: ReturnType<typeof recordingLogger>["lines"] } {
  const { logger, lines } = recordingLogger();
  const node = createRedisBackplane({
    url,
    installation: { name: "one", secret: "s".repeat(32) },
    nodeId: `node-${index}`,
    bootId: createIds().any(),
    clock: createSystemClock(),
    random: Math.random,
    logger,
    ...more,
  });
  return Object.assign(node, { lines });
}
