/** The connector against real servers that die, hang, refuse and come back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { openRedis, openRedisLine, type OpenedRedis } from "../../src/redis/connect.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { until, within } from "../support/wait.ts";

const PASSWORD = "canary:7f3a/@";
const PATIENCE_MS = 20_000;

function open(url: string, how: typeof openRedis | typeof openRedisLine = openRedis) {
  const { logger, lines } = recordingLogger();
  const connection: OpenedRedis = how({
    url,
    name: "test",
    logger,
    clock: createSystemClock(),
    random: Math.random,
  });
  return { connection, client: connection.client, lines };
}

const isReady = ({ connection }: ReturnType<typeof open>): Promise<unknown> =>
  until("the connection to be ready", () => connection.ready, PATIENCE_MS);

describe("one server", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ password: PASSWORD });
  });
  afterAll(() => server.remove());

  test("takes commands, under a name that an operator recognises", async () => {
    const one = open(server.url);
    await isReady(one);
    expect(await one.client.set("a", "1")).toBe("OK");
    expect(await server.command("CLIENT", "LIST")).toContain(" name=holdline-test ");
    one.connection.close();
    expect(one.lines).toEqual([]);
  });

  test("that dies is told of once, and used again when it is back", async () => {
    const one = open(server.url);
    await isReady(one);
    await server.halt();
    await until("the connection to be lost", () => !one.connection.ready);
    expect(await one.client.get("a").catch(String)).toStartWith("Error: ");
    await until("the outage to be told", () => one.lines.length === 1);
    await server.resume();
    await isReady(one);
    expect(await one.client.get("a")).toBeNull();
    one.connection.close();
    expect(one.lines.map(({ message }) => message)).toEqual(["Redis cannot be reached", "Redis is back"]);
  });

  test("that hangs fails a command in time, and works again when it wakes", async () => {
    const one = open(server.url);
    await isReady(one);
    server.freeze();
    try {
      const answer = await within("the command to fail", one.client.get("a").catch(String), 5000);
      expect(answer).toStartWith("Error: Command timed out");
      await until("the deaf connection to be given up", () => !one.connection.ready);
    } finally {
      server.wake();
    }
    await isReady(one);
    expect(await one.client.get("a")).toBeNull();
    one.connection.close();
  });

  test("that refuses the password is told of without it, and asked again", async () => {
    const one = open(server.url.replace(/:[^:@]+@/, ":canary-wrong@"));
    await until("the refusal to be told", () => one.lines.length === 1);
    expect(await one.client.get("a").catch(String)).toStartWith("Error: ");
    one.connection.close();
    const text = Bun.inspect(one.lines);
    expect(text).toContain("WRONGPASS");
    expect(text).not.toContain("canary");
  });

  test("that is not there yet is waited for", async () => {
    await server.halt();
    const one = open(server.url, openRedisLine);
    await until("the outage to be told", () => one.lines.length === 1);
    expect(one.connection.ready).toBe(false);
    await server.resume();
    await isReady(one);
    one.connection.close();
  });

  test("whose name cannot be resolved is told of, and asked again", async () => {
    const one = open("redis://nobody.invalid:6379");
    await until("the outage to be told", () => one.lines.length === 1);
    expect(one.lines[0]?.message).toBe("Redis cannot be reached");
    one.connection.close();
  });
});
