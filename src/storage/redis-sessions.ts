/** The switch from a URL to sessions on Redis, which take the place of those in the database. */
import { createSystemClock, type Clock } from "../lib/clock.ts";
import { createIds } from "../lib/ids.ts";
import { createLogger } from "../lib/logger.ts";
import { Obstacle } from "../lib/mistakes.ts";
import { readRedisUrl, redisPlaceName } from "../lib/redis-url.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { OpenedRedis } from "../redis/connect.ts";
import { redisReason } from "../redis/reason.ts";
import type { SessionsPlace, Storage } from "./contract.ts";

/** How long an opening waits for Redis. */
const READY_MS = 3000;

/** Resolves when commands can be sent, with null; or after a while, with what is said against it. */
async function whyNotReady({ client, ready }: OpenedRedis, clock: Clock): Promise<string | null> {
  if (ready) return null;
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let said = "no answer";
  client.on("error", (error: Error) => (said = redisReason(error)));
  const timer = clock.after(READY_MS, () => resolve(said));
  client.once("ready", () => resolve(null));
  return promise.finally(() => timer.cancel());
}

type Parts = Pick<Storage, "revocations" | "installation" | "stop">;
type Places = Pick<Storage, "sessions" | "sessionOutage" | "stop">;

/** The storage with its sessions where the configuration says. Rejects for a command when Redis cannot be reached. */
export async function withSessionsPlace<Stored extends Parts & Partial<Places>>(
  storage: Stored,
  { sessionsRedisUrl: url = null, resumeMs = LIMITS.resumeMs, watch }: SessionsPlace,
): Promise<Stored & Places> {
  if (url === null) return storage as Stored & Places;
  // Loaded by who needs it: a start waits for every module.
  const [{ openRedis }, { createRedisSessionStore }, { lastingSessions }] = await Promise.all([
    import("../redis/connect.ts"),
    import("../sessions/redis/store.ts"),
    import("../sessions/redis/lasting.ts"),
  ]);
  const { clock, logger } = watch ?? {
    clock: createSystemClock(),
    logger: createLogger({ level: "silent", pretty: false }),
  };
  const { name } = await storage.installation();
  const redis = openRedis({ url, name: "sessions", logger, clock, random: Math.random });
  const problem = await whyNotReady(redis, clock);
  if (problem !== null && watch === undefined) {
    redis.close();
    const place = readRedisUrl(url);
    const where = typeof place === "string" ? "" : ` at ${redisPlaceName(place)}`;
    throw new Obstacle(`Redis${where}, which keeps the sessions, cannot be reached: ${problem}`);
  }
  const store = createRedisSessionStore({ redis, name, newEpoch: () => createIds().any() });
  const { revocations } = storage;
  const lasting = lastingSessions({ store, revocations, clock, logger, resumeMs });
  return {
    ...storage,
    sessions: lasting.store,
    sessionOutage: lasting.outage,
    async stop() {
      redis.close();
      await storage.stop();
    },
  };
}
