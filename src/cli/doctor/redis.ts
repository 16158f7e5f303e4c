/** Checks of Redis, where it is configured: that it can be reached and used, how fast it is, and what it forgets. */
import type { Config } from "../../config.ts";
import type { Clock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/logger.ts";
import { readRedisUrl, redisPlaceName } from "../../lib/redis-url.ts";
import { lookIntoRedis, OLDEST_REDIS, type RedisLook } from "../../redis/inspect.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const NAME = "Redis";
/** Slower than this, what other nodes do shows noticeably late. */
const SLOW_MS = 5;

/** @internal Exported for its test. */
export function judgeRedis(place: string, look: RedisLook): Finding {
  const { version, latencyMs, evicts, clusterState } = look;
  if (!look.isOldEnough)
    return fail(NAME, `${place}: version ${version}`, `Use ${OLDEST_REDIS} or newer, or Valkey`);
  if (clusterState !== null && clusterState !== "ok")
    return fail(NAME, `${place}: the Cluster is in state ${clusterState}`, "Look at it with CLUSTER NODES");
  if (!look.carries)
    return fail(
      NAME,
      `${place}: what is published is not heard`,
      "Allow the user PUBLISH, SUBSCRIBE and the channels holdline:* (ACL)",
    );
  const text = `${place}: version ${version}, answers in ${latencyMs.toFixed(2)} ms`;
  if (evicts !== null && evicts !== "noeviction")
    return warn(
      NAME,
      `${text}; when its memory is full it forgets sessions (${evicts})`,
      "Set maxmemory-policy noeviction, or give it a Redis of its own",
    );
  if (latencyMs > SLOW_MS) return warn(NAME, text, "Put it nearer to the nodes");
  return ok(NAME, text);
}

/** None where it is not configured. */
export async function checkRedis({ redisUrl }: Config, clock: Clock): Promise<Finding[]> {
  if (redisUrl === null) return [];
  const read = readRedisUrl(redisUrl);
  const place = typeof read === "string" ? "" : redisPlaceName(read);
  const logger = createLogger({ level: "silent", pretty: false });
  try {
    const look = await lookIntoRedis({ url: redisUrl, name: "doctor", logger, clock, random: Math.random });
    return [judgeRedis(place, look)];
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const fix =
      "Check that it runs, and what HOLDLINE_REDIS_URL says: address, password, rediss:// where it wants TLS";
    return [fail(NAME, `${place}: ${text}`, fix)];
  }
}
