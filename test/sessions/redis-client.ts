/** A client of a test's Redis server that is connected already. */
import { createSystemClock } from "../../src/lib/clock.ts";
import { openRedis, type OpenedRedis } from "../../src/redis/connect.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { until } from "../support/wait.ts";

export type OpenedClient = OpenedRedis;

export async function openClient({ url }: { readonly url: string }): Promise<OpenedClient> {
  const { logger } = recordingLogger();
  const clock = createSystemClock();
  const redis = openRedis({ url, name: "test", logger, clock, random: Math.random });
  await until("Redis to be there", () => redis.ready);
  return redis;
}
