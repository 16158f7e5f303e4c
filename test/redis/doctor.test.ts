/** What `holdline doctor` says of a Redis. */
import { expect, test } from "bun:test";
import { judgeRedis } from "../../src/cli/doctor/redis.ts";
import { startRedis } from "../support/redis.ts";
import { lookAtRedis } from "./look.ts";

test("a Redis is looked at, and its password is not shown", async () => {
  const server = await startRedis({ password: "canary-7f3a" });
  try {
    const good = await lookAtRedis(server.url);
    expect(good.verdict).toMatch(
      new RegExp(
        `^ok: 127\\.0\\.0\\.1:${server.port}: version \\d+\\.\\d+\\.\\d+, answers in \\d+\\.\\d\\d ms$`,
      ),
    );
    await server.command("CONFIG", "SET", "maxmemory", "100mb");
    await server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    const evicting = await lookAtRedis(server.url);
    expect(evicting.verdict).toStartWith("warn: ");
    expect(evicting.verdict).toContain("it forgets sessions (allkeys-lru)");
    const refused = await lookAtRedis(server.url.replace("canary", "canary-not"));
    expect(refused.verdict).toMatch(/^fail: .*WRONGPASS/);
    for (const { said } of [good, evicting, refused]) expect(said).not.toContain("canary");
    await server.halt();
    expect((await lookAtRedis(server.url)).verdict).toMatch(/^fail: .*ECONNREFUSED/);
  } finally {
    await server.remove();
  }
});

test("what is wrong with one that answers is said with what to do", () => {
  const look = {
    version: "7.0.15",
    isOldEnough: true,
    latencyMs: 0.1,
    evicts: null,
    clusterState: null,
    carries: true,
  };
  const verdict = (differs: Partial<typeof look> | object): string => {
    const { level, text } = judgeRedis("cache:6379", { ...look, ...differs });
    return `${level}: ${text}`;
  };
  expect(verdict({})).toBe("ok: cache:6379: version 7.0.15, answers in 0.10 ms");
  expect(verdict({ version: "6.0.9", isOldEnough: false })).toBe("fail: cache:6379: version 6.0.9");
  expect(verdict({ clusterState: "fail" })).toBe("fail: cache:6379: the Cluster is in state fail");
  expect(verdict({ carries: false })).toBe("fail: cache:6379: what is published is not heard");
  expect(verdict({ latencyMs: 20 })).toBe("warn: cache:6379: version 7.0.15, answers in 20.00 ms");
  expect(verdict({ evicts: "noeviction" })).toStartWith("ok: ");
});
