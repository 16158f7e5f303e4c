/**
 * R03, R04, R05: twenty clients with twenty jobs each, and a server that is killed twice under them. Every accepted job
 * ends once, every log is whole, what the clients saw is that log, and nothing was made twice (PROTOCOL section 1).
 */
import { expect, test } from "bun:test";
import { tokensBody } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { openStubbornClient, type StubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";

const CLIENTS = 20;
const JOBS = 20;
const TOKENS = 40;
const SIZE = 12;
const LIMIT_MS = 120_000;

/** Submits one job after the other, the next one when the one before has begun to speak, so that kills meet submits. */
async function work(client: StubbornClient): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < JOBS; n += 1) {
    const body = tokensBody({ tokens: TOKENS, size: SIZE, intervalMs: 20, audioBytes: n % 4 === 0 ? 64 : 0 });
    const { id } = await client.submit(`key-${n}`, body);
    ids.push(id);
    await until(
      `job ${id} to speak`,
      () => client.deliveries(id).some(({ events }) => events.length > 8),
      LIMIT_MS,
    );
  }
  for (const id of ids) await client.finished(id);
  return ids;
}

/** Compares what one client saw with the log as it stands; returns how many runs there were in all. */
async function check(client: StubbornClient, ids: readonly string[]): Promise<number> {
  const api = client.api();
  let runs = 0;
  for (const id of ids) {
    const log = await api.log(id);
    const deliveries = client.deliveries(id);
    expectWhole(log, deliveries);
    expect(deliveries.at(-1)?.events.at(-1)?.seq).toBe(log.length);
    // Each connection went on where the one before had stopped.
    deliveries.forEach(({ after }, index) => {
      expect(after).toBe(deliveries[index - 1]?.events.at(-1)?.seq ?? 0);
    });
    expect(textOf(log)).toHaveLength(TOKENS * SIZE);
    const job = await api.job(id);
    expect(job).toMatchObject({ status: "succeeded", head: log.length, result: { tokens: TOKENS } });
    for (const { kind, data } of log) {
      if (kind === "job.retrying") expect(data.reason).toBe("restart");
    }
    runs += job.attempt;
  }
  const list = await api.call<{ items: JobBody[] }>("GET", "/v1/jobs?limit=200");
  expect(list.body.items.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  return runs;
}

test(
  "faults/R03-R05: 400 jobs of 20 clients survive two SIGKILLs, each whole, each once",
  async () => {
    await using server = await startServer();
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openStubbornClient(server)));
    const working = Promise.all(clients.map(work));
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
