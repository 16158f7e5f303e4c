/** The connector against real servers that die, hang, refuse and come back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { openRedis, openRedisLine, type OpenedRedis } from "../../src/redis/connect.ts";
import { createRedisOutages } from "../../src/redis/outages.ts";
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

  test("that is a proxy with nothing behind it is told of as well", async () => {
    using proxy = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end(), data: () => undefined },
    });
    const one = open(`redis://127.0.0.1:${proxy.port}`);
    await until("the outage to be told", () => one.lines.length === 1);
    expect(one.lines[0]?.message).toBe("Redis cannot be reached");
    one.connection.close();
  });

  test("is told of once, whichever of its connections is away, and again when the reason is its own", async () => {
    const { logger, lines } = recordingLogger();
    const outages = createRedisOutages(logger, "both");
    const given = { url: server.url, logger, outages, clock: createSystemClock(), random: Math.random };
    const both = [openRedis({ ...given, name: "one" }), openRedisLine({ ...given, name: "other" })];
    const allReady = (): boolean => both.every(({ ready }) => ready);
    await until("both to be ready", allReady, PATIENCE_MS);
    await server.halt();
    await until("both to be lost", () => both.every(({ ready }) => !ready));
    await until("the outage to be told", () => lines.length === 1);
    await server.resume();
    await server.command("CONFIG", "SET", "requirepass", "another");
    await until("the new reason to be told", () => lines.length === 2, PATIENCE_MS);
    await server.halt();
    await server.resume();
    await until("both to be ready again", allReady, PATIENCE_MS);
    for (const one of both) one.close();
    expect(lines.map(({ message }) => message)).toEqual([
      "Redis cannot be reached",
      "Redis cannot be reached",
      "Redis is back",
    ]);
    expect(Bun.inspect(lines[1])).toContain("refuses the user or the password");
  });

  test("whose name cannot be resolved is told of, and asked again", async () => {
    const one = open("redis://nobody.invalid:6379");
    await until("the outage to be told", () => one.lines.length === 1);
    expect(one.lines[0]?.message).toBe("Redis cannot be reached");
    one.connection.close();
  });
});
