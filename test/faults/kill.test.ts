/**
 * R03, R04, R05: twenty clients with twenty jobs each, and a server that is killed twice under them. Every accepted job
 * ends once, every log is whole, what the clients saw is that log, and nothing was made twice (PROTOCOL section 1).
 */
import { expect, test } from "bun:test";
import { startServer } from "../support/server.ts";
import { openStubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";
import { check, LIMIT_MS, work } from "./labour.ts";

const CLIENTS = 20;
const JOBS = 20;

test(
  "faults/R03-R05: 400 jobs of 20 clients survive two SIGKILLs, each whole, each once",
  async () => {
    await using server = await startServer();
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openStubbornClient(server)));
    const working = Promise.all(clients.map((client) => work(client, JOBS)));
    working.catch(() => undefined);
    const eventCount = () => clients.reduce((sum, client) => sum + client.eventCount(), 0);
    for (const enough of [3000, 9000]) {
      await until(`${enough} events to arrive`, () => eventCount() >= enough, LIMIT_MS);
      await server.restart();
    }
    const ids = await working;
    expect(new Set(ids.flat()).size).toBe(CLIENTS * JOBS);
    let runs = 0;
    for (const [n, client] of clients.entries()) {
      runs += await check(client, ids[n] ?? []);
      expect(client.connections).toBe(3);
    }
    // The kills met jobs at work, or this test tested nothing.
    expect(runs).toBeGreaterThan(CLIENTS * JOBS);
    for (const client of clients) await client[Symbol.asyncDispose]();
  },
  LIMIT_MS,
);
