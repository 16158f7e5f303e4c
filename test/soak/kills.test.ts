/** R03 as long as it is written down: 200 SIGKILLs, each up to 300 ms after the server is back, under 50 clients. */
import { expect, test } from "bun:test";
import { tokensBody } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { listJobs, openStubbornClient, type StubbornClient } from "../support/stubborn-client.ts";
import { letTimePass } from "../support/wait.ts";

const ROUNDS = 200;
const CLIENTS = 50;
const TOKENS = 12;
const SIZE = 10;
const MOST_WAIT_MS = 300;
const LIMIT_MS = 30 * 60_000;

/** One job after the other until it is told to stop; what was accepted in all. */
async function submitUntil(client: StubbornClient, stopped: () => boolean): Promise<string[]> {
  const ids: string[] = [];
  while (!stopped()) {
    const body = tokensBody({
      tokens: TOKENS,
      size: SIZE,
      intervalMs: 10,
      audioBytes: ids.length % 3 === 0 ? 32 : 0,
    });
    ids.push((await client.submit(`key-${ids.length}`, body)).id);
    await letTimePass(Math.random() * 400);
  }
  return ids;
}

test(
  "faults/R03 200 SIGKILLs at random moments under 50 clients: nothing lost, nothing twice, no gap",
  async () => {
    // Every kill takes a lease from what runs: the budget is not what is tried here.
    await using server = await startServer({ env: { HOLDLINE_MAX_LOST_LEASES: "1000" } });
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openStubbornClient(server)));
    let over = false;
    const working = Promise.all(clients.map((client) => submitUntil(client, () => over)));
    working.catch(() => undefined);
    for (let round = 0; round < ROUNDS; round += 1) {
      await letTimePass(Math.random() * MOST_WAIT_MS);
      await server.restart();
    }
    over = true;
    const ids = await working;
    expect(new Set(ids.flat()).size).toBe(ids.flat().length);
    for (const [n, client] of clients.entries()) {
      const api = client.api();
      for (const id of ids[n] ?? []) {
        await client.finished(id);
        const log = await api.log(id);
        const deliveries = client.deliveries(id);
        expectWhole(log, deliveries);
        expect(deliveries.at(-1)?.events.at(-1)?.seq).toBe(log.length);
        expect(textOf(log)).toHaveLength(TOKENS * SIZE);
        expect(await api.job(id)).toMatchObject({ status: "succeeded", result: { tokens: TOKENS } });
      }
      const listed = await listJobs(api);
      expect(listed.toSorted()).toEqual((ids[n] ?? []).toSorted());
      await client[Symbol.asyncDispose]();
    }
    expect(ids.flat().length).toBeGreaterThan(ROUNDS);
  },
  LIMIT_MS,
);
