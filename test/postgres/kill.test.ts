/**
 * R03–R05 and R44 on PostgreSQL: clients with jobs, a server that is killed under them, and a database that is killed under
 * the server. Nothing that was accepted is lost, doubled or put into another order, and nobody has to come to help.
 */
import { expect, test } from "bun:test";
import { check, LIMIT_MS, work } from "../faults/labour.ts";
import { call } from "../support/http.ts";
import { startPostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { openStubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 8;
const JOBS = 6;

test(
  "faults/R44: 48 jobs survive a SIGKILL of the server and two of the database, each whole, each once",
  async () => {
    const postgres = await startPostgres();
    try {
      await using server = await startServer({ env: { HOLDLINE_DATABASE_URL: await postgres.database() } });
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openStubbornClient(server)));
      const working = Promise.all(clients.map((client) => work(client, JOBS)));
      working.catch(() => undefined);
      const eventCount = () => clients.reduce((sum, client) => sum + client.eventCount(), 0);
      const arrived = (enough: number) =>
        until(`${enough} events to arrive`, () => eventCount() >= enough, LIMIT_MS);
      await arrived(250);
      await server.restart();
      for (const enough of [700, 1000]) {
        await arrived(enough);
        await postgres.halt("immediate");
        const answer = await call("POST", `${server.url}/v1/sessions`);
        expect(answer.status).toBe(503);
        await postgres.resume();
      }
      const ids = await working;
      expect(new Set(ids.flat()).size).toBe(CLIENTS * JOBS);
      let runs = 0;
      for (const [n, client] of clients.entries()) runs += await check(client, ids[n] ?? []);
      // The kill met jobs at work, or this test tested nothing.
      expect(runs).toBeGreaterThan(CLIENTS * JOBS);
      for (const client of clients) await client[Symbol.asyncDispose]();
    } finally {
      await postgres.remove();
    }
  },
  LIMIT_MS,
);
