/**
 * R19: three servers of one database, two of them on machines whose clocks are five minutes wrong, in both directions. Only
 * the database's clock judges: no lease ends early, none lives on, and what is to run at a time of day runs then.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { newSession, tokensBody, type Api } from "../support/http.ts";
import { fakeTime } from "../support/faketime.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";

const SKEW_MS = 300_000;
const LEASE_MS = 30_000;

let postgres: PostgresServer;
let redis: RedisServer;
let ahead: TestServer;
let behind: TestServer;
let right: TestServer;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const env = {
    HOLDLINE_DATABASE_URL: await postgres.database(),
    HOLDLINE_REDIS_URL: redis.url,
    HOLDLINE_CONCURRENCY: "1",
  };
  [ahead, behind, right] = await Promise.all([
    startServer({ env: { ...env, ...fakeTime({ FAKETIME: "+5m" }) } }),
    startServer({ env: { ...env, ...fakeTime({ FAKETIME: "-5m" }) } }),
    startServer({ env }),
  ]);
}, 60_000);
afterAll(async () => {
  for (const server of [ahead, behind, right]) await server[Symbol.asyncDispose]();
  await redis.remove();
  await postgres.remove();
});

/** By how much the machine's clock that a server runs on differs from ours. */
async function skewOf({ url }: TestServer): Promise<number> {
  const { headers } = await fetch(`${url}/healthz`);
  return Date.parse(headers.get("date") ?? "") - Date.now();
}

/** A session of its own at each server. */
const sessions = () => Promise.all([ahead, behind, right].map((server) => newSession(server)));

test("the servers are as wrong as they should be", async () => {
  expect(await skewOf(ahead)).toBeWithin(SKEW_MS - 5000, SKEW_MS + 5000);
  expect(await skewOf(behind)).toBeWithin(-SKEW_MS - 5000, -SKEW_MS + 5000);
  expect(await skewOf(right)).toBeWithin(-5000, 5000);
});

test("faults/R19 what is put off runs when it is due, to whichever server it was given", async () => {
  const apis = await sessions();
  const jobs: { readonly api: Api; readonly job: JobBody; readonly dueMs: number }[] = [];
  for (const api of apis) {
    const dueMs = Date.now() + 2000;
    const options = { runAt: new Date(dueMs).toISOString() };
    jobs.push({ api, job: await api.submit(tokensBody({}, options)), dueMs });
    const delayed = { api, job: await api.submit(tokensBody({}, { delayMs: 2000 })), dueMs };
    jobs.push(delayed);
  }
  for (const { api, job, dueMs } of jobs) {
    const { status, createdAt, startedAt } = await api.finished(job.id);
    expect(status).toBe("succeeded");
    expect(Math.abs(Date.parse(createdAt) - Date.now())).toBeLessThan(30_000);
    expect(Date.parse(startedAt ?? "") - dueMs).toBeWithin(-100, 5000);
  }
}, 40_000);

test("faults/R19 no lease ends early under clocks ten minutes apart, and none outlives its holder", async () => {
  const api = await newSession(right);
  // One run for each server: leases of all three, under the sweeps of all three.
  const body = tokensBody({ tokens: 2000, intervalMs: 50 });
  const ids = await Promise.all([1, 2, 3].map(async () => (await api.submit(body)).id));
  for (const id of ids) await api.inStatus(id, "running");
  await until("some sweeps to have passed", async () => {
    const heads = await Promise.all(ids.map(async (id) => (await api.job(id)).head));
    return heads.every((head) => head > 60);
  });
  for (const id of ids) expect(await api.job(id)).toMatchObject({ status: "running", attempt: 1 });

  await ahead.kill("SIGKILL");
  const killedMs = performance.now();
  const kinds = () => Promise.all(ids.map(async (id) => (await api.log(id)).map(({ kind }) => kind)));
  const lost = await until(
    "the run of the server that died to be noticed",
    async () => {
      const index = (await kinds()).findIndex((all) => all.includes("job.retrying"));
      return index < 0 ? null : { index };
    },
    LEASE_MS + 15_000,
  );
  expect(performance.now() - killedMs).toBeLessThan(LEASE_MS + 5000);
  // Of the two others each still has its first run.
  for (const [index, id] of ids.entries()) {
    const job = await api.job(id);
    if (index === lost.index) expect(["retrying", "running"]).toContain(job.status);
    else expect(job).toMatchObject({ status: "running", attempt: 1 });
    await api.cancel(id);
  }
}, 120_000);
