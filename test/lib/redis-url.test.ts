/** The forms of a Redis URL, and what is said about those that are none. */
import { describe, expect, test } from "bun:test";
import { redisUrlProblem } from "../../src/config/formats.ts";
import { readRedisUrl, redisPlaceName, type RedisPlace } from "../../src/lib/redis-url.ts";

const PLAIN: RedisPlace = {
  kind: "standalone",
  tls: false,
  hosts: [{ host: "cache", port: 6379 }],
  credentials: null,
  sentinelCredentials: null,
  master: null,
  database: 0,
};

describe("a Redis URL", () => {
  const good: [url: string, differs: Partial<RedisPlace>, name: string][] = [
    ["redis://cache", {}, "cache:6379"],
    ["REDIS://cache/", {}, "cache:6379"],
    ["redis://cache:7000/3", { hosts: [{ host: "cache", port: 7000 }], database: 3 }, "cache:7000"],
    ["rediss://cache", { tls: true }, "cache:6379"],
    ["redis://:p%40s@cache", { credentials: { user: null, password: "p@s" } }, "cache:6379"],
    ["redis://u:p@cache", { credentials: { user: "u", password: "p" } }, "cache:6379"],
    ["redis://[::1]:7000", { hosts: [{ host: "::1", port: 7000 }] }, "[::1]:7000"],
    [
      "redis+sentinel://u:p@a,b:7001/main/2",
      {
        kind: "sentinel",
        hosts: [
          { host: "a", port: 26_379 },
          { host: "b", port: 7001 },
        ],
        credentials: { user: "u", password: "p" },
        master: "main",
        database: 2,
      },
      "main of the Sentinels a:26379, b:7001",
    ],
    [
      "rediss+sentinel://a/main?sentinelUser=s&sentinelPassword=x%26",
      {
        kind: "sentinel",
        tls: true,
        hosts: [{ host: "a", port: 26_379 }],
        sentinelCredentials: { user: "s", password: "x&" },
        master: "main",
      },
      "main of the Sentinels a:26379",
    ],
    [
      "rediss+cluster://10.0.0.1:7000,[fd00::2]:7001",
      {
        kind: "cluster",
        tls: true,
        hosts: [
          { host: "10.0.0.1", port: 7000 },
          { host: "fd00::2", port: 7001 },
        ],
      },
      "Cluster 10.0.0.1:7000, [fd00::2]:7001",
    ],
  ];
  test.each(good)("%s is understood", (url, differs, name) => {
    expect(redisUrlProblem(url)).toBeNull();
    const place = readRedisUrl(url);
    expect(place).toEqual({ ...PLAIN, ...differs });
    expect(redisPlaceName(place as RedisPlace)).toBe(name);
  });

  const CREDENTIALS = "needs user:password or :password in front of the @, with / ? # @ : % percent-encoded";
  const NO_HOST = "names no host, or one that is not host:port";
  const bad: [url: string, problem: string][] = [
    ["cache:6379", "is not a URL of Redis"],
    ["redis:cache", "is not a URL of Redis"],
    ["https://:canary@cache", "has the scheme https"],
    ["redis+ha://cache", "has the scheme redis+ha"],
    ["redis://", NO_HOST],
    ["redis://cache:x", NO_HOST],
    ["redis://a b", "names a host that is neither an IP address nor a host name"],
    ["redis://cache:0", "has the port 0"],
    ["redis://cache:65536", "has the port 65536"],
    ["redis://canary@cache", CREDENTIALS],
    ["redis://u:@cache", CREDENTIALS],
    ["redis://u:can@ary@cache", CREDENTIALS],
    ["redis://u:can/ary@cache", CREDENTIALS],
    ["redis://u:can%ary@cache", CREDENTIALS],
    ["redis://cache/main", "has a path that is not the number of a database"],
    ["redis://cache?db=3", "has an option that is not known here"],
    [
      "redis://a,b",
      "names several servers: a Sentinel set is redis+sentinel://…, a Cluster redis+cluster://…",
    ],
    ["redis+sentinel://a:26379", "does not say which master its Sentinels watch: …/mastername"],
    ["redis+sentinel://a/main/x", "has a path that is not the number of a database"],
    ["redis+sentinel://a/main?sentinelUser=x", "needs a sentinelPassword"],
    ["redis+cluster://a/1", "names a database, and a Cluster has only number 0"],
  ];
  test.each(bad)("%s is refused", (url, problem) => {
    expect(redisUrlProblem(url)).toBe(problem);
  });
});
