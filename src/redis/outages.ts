/** Tells of the outages of a Redis server, over all connections of one purpose: once that it is away and why, once that it is back. */
import type { Cluster, Redis } from "ioredis";
import type { Logger } from "../lib/logger.ts";
import { redisReason } from "./reason.ts";

export interface RedisOutages {
  /** From now on; `place` as messages name it. */
  watch(client: Redis | Cluster, place: string): void;
}

/** `connection`: what they are for. */
export function createRedisOutages(logger: Logger, connection: string): RedisOutages {
  const away = new Set<Redis | Cluster>();
  /** Why, as far as it was told: the first reason, and later what Redis itself says against us. */
  const told = new Set<string>();

  const tell = (client: Redis | Cluster, redis: string, error: Error): void => {
    away.add(client);
    const reason = redisReason(error);
    if (told.has(reason) || (told.size > 0 && error.name !== "ReplyError")) return;
    told.add(reason);
    logger.error({ reason, connection, redis }, "Redis cannot be reached");
  };

  return {
    watch(client, redis) {
      /** Whether the connection that ends was good, or it was said why not. */
      let explained = false;
      client.on("error", (error: Error) => {
        explained = true;
        tell(client, redis, error);
      });
      client.on("ready", () => {
        explained = true;
        if (!away.delete(client) || away.size > 0) return;
        told.clear();
        logger.info({ connection, redis }, "Redis is back");
      });
      client.on("close", () => {
        // Such as a proxy has, when there is nothing behind it: it takes every connection, and ends it.
        if (!explained) tell(client, redis, new Error("the connection was closed"));
        explained = false;
      });
    },
  };
}
