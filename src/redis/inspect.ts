/** A look at Redis from outside, for whoever sets it up: what it is, how fast it answers, whether it will keep what it is given. */
import type { Redis } from "ioredis";
import type { Clock } from "../lib/clock.ts";
import { percentile } from "../lib/percentile.ts";
import { openRedisLine, type OpenedRedis, type RedisOpening } from "./connect.ts";

export interface RedisLook {
  /** As it names it: `7.0.15`. */
  readonly version: string;
  readonly isOldEnough: boolean;
  /** Median of some answers. */
  readonly latencyMs: number;
  /** What it does when its memory is full; null: its memory has no bound. */
  readonly evicts: string | null;
  /** State of the Cluster; null when it is none. */
  readonly clusterState: string | null;
  /** Whether what one connection publishes is heard on another. */
  readonly carries: boolean;
}

/** The least version whose commands are used. */
const OLDEST = { major: 6, minor: 2 } as const;
export const OLDEST_REDIS = `${OLDEST.major}.${OLDEST.minor}`;

const PINGS = 9;
const READY_MS = 5000;
const CARRY_MS = 1000;

/** `name:value` lines of INFO. */
function fieldOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
}

/** Rejects with the first thing that goes wrong. */
async function ready({ client }: OpenedRedis<Redis>, clock: Clock): Promise<void> {
  const outcome = Promise.withResolvers<void>();
  const timer = clock.after(READY_MS, () => outcome.reject(new Error(`no answer in ${READY_MS} ms`)));
  client.once("ready", () => outcome.resolve());
  client.once("error", (error: Error) => outcome.reject(error));
  await outcome.promise.finally(() => timer.cancel());
}

async function carries(from: Redis, to: Redis, clock: Clock): Promise<boolean> {
  const channel = "holdline:doctor";
  const heard = Promise.withResolvers<boolean>();
  const timer = clock.after(CARRY_MS, () => heard.resolve(false));
  to.on("message", () => heard.resolve(true));
  await to.subscribe(channel);
  await from.publish(channel, "is anybody there?");
  return heard.promise.finally(() => timer.cancel());
}

/** Rejects when it cannot be reached or does not let us in; no message of an error holds a secret. Changes nothing. */
export async function lookIntoRedis(opening: RedisOpening): Promise<RedisLook> {
  const { clock } = opening;
  const lines = [openRedisLine(opening), openRedisLine(opening, { share: 0, next: 1 })] as const;
  try {
    await Promise.all(lines.map((line) => ready(line, clock)));
    const [one, other] = [lines[0].client, lines[1].client];
    const took: number[] = [];
    for (let ping = 0; ping < PINGS; ping += 1) {
      const fromMs = clock.elapsedMs();
      await one.ping();
      took.push(clock.elapsedMs() - fromMs);
    }
    const info = await one.info();
    const version = fieldOf(info, "redis_version");
    const [major = 0, minor = 0] = version.split(".").map(Number);
    const isCluster = fieldOf(info, "cluster_enabled") === "1";
    return {
      version,
      isOldEnough: major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor),
      latencyMs: percentile(took, 0.5) ?? 0,
      evicts: fieldOf(info, "maxmemory") === "0" ? null : fieldOf(info, "maxmemory_policy"),
      clusterState: isCluster ? fieldOf(await one.cluster("INFO"), "cluster_state") : null,
      carries: await carries(one, other, clock),
    };
  } finally {
    for (const line of lines) line.close();
  }
}
