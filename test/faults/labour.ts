/**
 * Many jobs of clients that never give up, and the judgement of what became of them: every accepted job ends once, every
 * log is whole, what the clients saw is that log, and nothing was made twice (PROTOCOL section 1).
 */
import { expect } from "bun:test";
import { tokensBody } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import type { StubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";

const TOKENS = 40;
const SIZE = 12;
export const LIMIT_MS = 120_000;

/** Submits so many jobs, the next one when the one before has begun to speak, so that kills meet submits. */
export async function work(client: StubbornClient, jobs: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < jobs; n += 1) {
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
export async function check(client: StubbornClient, ids: readonly string[]): Promise<number> {
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
