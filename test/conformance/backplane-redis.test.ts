/** The backplane contract on the Redis driver, over a real server that can be killed. */
import { afterAll, beforeAll } from "bun:test";
import { joinNetwork, newInstallation } from "../redis/nodes.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { describeBackplane } from "./backplane.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.remove());

describeBackplane(
  "the Redis driver",
  async (count) => {
    const installation = newInstallation();
    return {
      nodes: Array.from({ length: count }, (_, index) => joinNetwork(server.url, index, { installation })),
      close: () => Promise.resolve(),
      async cut(during) {
        await server.halt();
        try {
          await during();
        } finally {
          await server.resume();
        }
      },
    };
  },
  { loses: true },
);
