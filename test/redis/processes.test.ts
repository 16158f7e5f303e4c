/**
 * `serve --processes 2` with real processes: clients spread over both, one of them is killed under them, all of them
 * are let end. What a client sees is what it sees of one process.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { check, LIMIT_MS, work } from "../faults/labour.ts";
import { holdline, temporaryFolder } from "../cli/holdline.ts";
import { connect, type Client } from "../support/client.ts";
import { apiOf, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { adminOf } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { openStubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";

let redis: RedisServer;
/** For tests that leave it as it was. */
let shared: TestServer;
beforeAll(async () => {
  redis = await startRedis();
  shared = await startTwo();
});
afterAll(async () => {
  await shared[Symbol.asyncDispose]();
  await redis.remove();
});

const startTwo = (env: Readonly<Record<string, string>> = {}): Promise<TestServer> =>
  startServer({
    env: { HOLDLINE_PROCESSES: "2", HOLDLINE_REDIS_URL: redis.url, HOLDLINE_USER_JOBS: "0", ...env },
  });

/** The processes that a process has started, those that just ended aside. */
function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        return status.includes(`\nPPid:\t${pid}\n`) && !/^State:\tZ/m.test(status) ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** Both, in the order in which they were started first. */
async function bothOf(server: TestServer): Promise<readonly [number, number]> {
  const [one = 0, other = 0] = await until("both processes to be there", () => {
    const found = childrenOf(server.pid);
    return found.length === 2 && found.toSorted((a, b) => a - b);
  });
  return [one, other];
}

const nodesOf = (clients: readonly Client[]): Set<unknown> =>
  new Set(clients.map(({ welcome }) => welcome["node"]));

describe("two processes", () => {
  test("serve on one port: connections go to both, and jobs of either are heard at either", async () => {
    const server = shared;
    const clients = await Promise.all(Array.from({ length: 24 }, () => connect(server)));
    expect(nodesOf(clients).size).toBe(2);
    // Every call on a connection of its own, so that half of the jobs are accepted where their session is not.
    const jobs = await Promise.all(
      clients.map(async (client) => {
        const answer = await fetch(`${server.url}/v1/jobs`, {
          method: "POST",
          keepalive: false,
          headers: { Authorization: `Bearer ${client.token}`, "Content-Type": "application/json" },
          body: JSON.stringify(tokensBody({ tokens: 5, intervalMs: 10 })),
        });
        expect(answer.status).toBe(202);
        return (await answer.json()) as JobBody;
      }),
    );
    for (const [n, client] of clients.entries()) {
      const { id } = jobs[n] ?? { id: "" };
      await client.waitForEnd(id);
      expectWhole(await apiOf(server, client.token).log(id), [{ after: 0, events: client.events(id) }]);
    }
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^holdline_info\{[^}]*node="node_[0-9a-f]+-[12]"/m);
    // One says where all of them listen; what else is logged says who speaks.
    const logs = server.logs();
    expect(logs.filter(({ msg }) => msg === "listening")).toEqual([
      { level: "info", time: expect.any(String), url: server.url, processes: 2, msg: "listening" },
    ]);
    for (const client of clients) await client.close();
  });

  test(
    "share 72 jobs of 12 clients, also when each of them is killed once: every job ends once, each log is whole",
    async () => {
      const server = shared;
      const clients = await Promise.all(Array.from({ length: 12 }, () => openStubbornClient(server)));
      const working = Promise.all(clients.map((client) => work(client, 6)));
      working.catch(() => undefined);
      const eventCount = () => clients.reduce((sum, client) => sum + client.eventCount(), 0);
      for (const [index, enough] of [400, 1200].entries()) {
        await until(`${enough} events to arrive`, () => eventCount() >= enough, LIMIT_MS);
        process.kill((await bothOf(server))[index] ?? 0, "SIGKILL");
      }
      const ids = await working;
      let runs = 0;
      let connections = 0;
      for (const [n, client] of clients.entries()) {
        runs += await check(client, ids[n] ?? []);
        connections += client.connections;
      }
      // Those of the other process stayed, and its runs went on.
      expect(connections).toBeGreaterThan(12);
      expect(connections).toBeLessThan(3 * 12);
      expect(runs).toBeGreaterThan(72);
      for (const client of clients) await client[Symbol.asyncDispose]();
      const ended = server.logs().filter(({ msg }) => msg === "a process ended; another one takes its place");
      expect(ended.map(({ how }) => how)).toEqual(["SIGKILL", "SIGKILL"]);
    },
    LIMIT_MS,
  );
});

test("a signal to one of them lets that one end in order, and another takes its place", async () => {
  const server = shared;
  const said = server.logs().length;
  const [one, other] = await bothOf(server);
  process.kill(one, "SIGTERM");
  await until("another one to serve", () =>
    server
      .logs()
      .slice(said)
      .some(({ msg }) => msg === "a process serves again"),
  );
  expect([isGone(one), isGone(other)]).toEqual([true, false]);
  const ended = server
    .logs()
    .slice(said)
    .find(({ msg }) => msg === "a process ended; another one takes its place");
  expect(ended).toMatchObject({ how: 0 });
});

describe("a signal", () => {
  test("to all of them, as of a terminal, lets all of them end in order, once: runs finish, sockets are told, exit 0", async () => {
    await using server = await startTwo();
    const clients = await Promise.all(Array.from({ length: 12 }, () => connect(server)));
    expect(nodesOf(clients).size).toBe(2);
    const jobs = await Promise.all(
      clients.map(async (client) => {
        const { id } = await apiOf(server, client.token).submit(tokensBody({ tokens: 20, intervalMs: 50 }));
        await client.waitForEvent(id, "a word", ({ kind }) => kind === "output.text");
        return id;
      }),
    );
    const children = await bothOf(server);
    for (const pid of children) process.kill(pid, "SIGINT");
    await server.kill("SIGINT");
    // Nowhere to move to: everybody sees the end of what runs before the goodbye.
    for (const [n, client] of clients.entries()) {
      expect((await client.waitForEnd(jobs[n] ?? "")).kind).toBe("job.succeeded");
      expect(await client.waitForClose()).toEqual({ code: 4000, reason: "draining" });
    }
    expect(await server.exited()).toEqual({ code: 0, signal: null });
    expect(children.map(isGone)).toEqual([true, true]);
    // Nothing is amiss when all of them leave.
    expect(server.logs().filter(({ level }) => level !== "info")).toEqual([]);
    expect(server.logs().slice(-1)).toEqual([{ level: "info", time: expect.any(String), msg: "stopped" }]);
  });

  test("that comes twice ends all of them at once", async () => {
    await using server = await startTwo({ HOLDLINE_DRAIN_MS: "600000" });
    const children = await bothOf(server);
    const api = await newSession(server);
    const { id } = await api.submit(lastingBody());
    await api.inStatus(id, "running");
    await server.kill("SIGTERM");
    await until("the drain to begin", () => server.logs().some(({ msg }) => msg === "stopping"));
    expect(server.exit()).toBeNull();
    await server.kill("SIGTERM");
    expect(await server.exited()).toEqual({ code: 1, signal: null });
    await until("the others to be gone", () => children.every(isGone));
  });
});

test("a parent that is killed takes its children along, and the folder is free for the next one", async () => {
  await using server = await startTwo();
  const children = await bothOf(server);
  await server.kill("SIGKILL");
  await until("the children to be gone", () => children.every(isGone));
  await server.restart();
  expect(childrenOf(server.pid)).toHaveLength(2);
});

test("an operator who lets one of them drain lets all of them end", async () => {
  await using server = await startTwo();
  const children = await bothOf(server);
  const { body } = await (await adminOf(server)).call("POST", "/v1/admin/drain");
  expect(body).toBeDefined();
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  expect(children.map(isGone)).toEqual([true, true]);
});

describe("a start that cannot be", () => {
  test("says so once, and leaves nothing running: a folder or a port that somebody has", async () => {
    const server = shared;
    const settings = ["--processes", "2", "--redis-url", redis.url];
    const folder = await holdline(["serve", ...settings, "--port", "0", "--data-dir", server.dataFolder]);
    expect(folder.code).toBe(1);
    expect(folder.err).toContain("another holdline server is using this data folder");
    await using empty = await temporaryFolder();
    const port = await holdline(["serve", ...settings, "--port", String(server.port)], { cwd: empty.path });
    expect(port.code).toBe(1);
    expect(port.err).toStartWith(`holdline: cannot start: port ${server.port} on 127.0.0.1 is in use: `);
    expect(childrenOf(server.pid)).toHaveLength(2);
  });

  test("is told by the first process that finds it, and once: a handler that is none", async () => {
    await using folder = await temporaryFolder();
    await Bun.write(join(folder.path, "handlers", "broken.ts"), "export default 1;");
    const settings = [
      "--redis-url",
      redis.url,
      "--port",
      "0",
      "--handlers-dir",
      "handlers",
      "--log",
      "silent",
    ];
    const { code, err } = await holdline(["serve", "--processes", "2", ...settings], { cwd: folder.path });
    expect(code).toBe(2);
    expect(err.match(/broken\.ts/g)).toHaveLength(1);
    expect(err).toMatch(/-1 ended \(2\) before it was ready/);
  });

  test("is a problem of the configuration without Redis, or with a database in memory", async () => {
    const alone = await holdline(["serve", "--processes", "2"]);
    expect(alone).toMatchObject({ code: 2, out: "" });
    expect(alone.err).toContain("HOLDLINE_REDIS_URL=redis://");
    const settings = ["--redis-url", redis.url, "--database-url", "sqlite::memory:"];
    const memory = await holdline(["serve", "--processes", "2", ...settings]);
    expect(memory).toMatchObject({ code: 2, out: "" });
    expect(memory.err).toContain("a database in memory belongs to one process");
    const child = await holdline(["serve-child", "node_x-1"]);
    expect(child).toMatchObject({ code: 2, out: "" });
    expect(child.err).toContain("started by holdline serve --processes");
  });
});

test("a PostgreSQL database serves two processes as well, each with a place of its own", async () => {
  const postgres = await startPostgres();
  try {
    await using server = await startTwo({ HOLDLINE_DATABASE_URL: await postgres.database() });
    const clients = await Promise.all(Array.from({ length: 16 }, () => connect(server)));
    expect(nodesOf(clients).size).toBe(2);
    for (const client of clients) {
      const { id } = await apiOf(server, client.token).submit(tokensBody({ tokens: 3, intervalMs: 5 }));
      await client.waitForEnd(id);
    }
    await server.kill("SIGTERM");
    expect(await server.exited()).toEqual({ code: 0, signal: null });
  } finally {
    await postgres.remove();
  }
});
