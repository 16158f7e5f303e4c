/** The order in which waiting jobs are started, and what makes room (PROTOCOL section 3: priority, lane, onDisconnect). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, apiOf, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { sharedServer, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const server = sharedServer();

/** A server that runs one job at a time, and a job that holds it until it is canceled. */
async function narrowServer(): Promise<{ narrow: TestServer; release: () => Promise<void> }> {
  const narrow = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
  const holder = await newSession(narrow);
  const { id } = await holder.submit(lastingBody());
  await holder.inStatus(id, "running");
  return { narrow, release: async () => void (await holder.cancel(id)) };
}

interface Waiting {
  readonly api: Api;
  readonly id: string;
  readonly name: string;
}

/** Names in the order in which the jobs were started. */
async function startOrder(waiting: readonly Waiting[]): Promise<string[]> {
  const started: { name: string; at: number; seq: number }[] = [];
  for (const [seq, { api, id, name }] of waiting.entries()) {
    await api.finished(id);
    const event = (await api.log(id)).find(({ kind }) => kind === "job.started");
    started.push({ name, at: event?.at ?? 0, seq });
  }
  return started.toSorted((a, b) => a.at - b.at || a.seq - b.seq).map(({ name }) => name);
}

describe("waiting jobs", () => {
  /** Long enough that two starts do not share a millisecond. */
  const body = (priority: number) => tokensBody({ tokens: 2, intervalMs: 15 }, { priority });

  test("start by priority, 9 first, and within one in the order of their arrival", async () => {
    const { narrow, release } = await narrowServer();
    await using running = narrow;
    const api = await newSession(running);
    const waiting: Waiting[] = [];
    for (const [priority, name] of [
      [5, "5a"],
      [0, "0"],
      [9, "9a"],
      [5, "5b"],
      [9, "9b"],
    ] as const) {
      waiting.push({ api, name, id: (await api.submit(body(priority))).id });
    }
    await release();
    expect(await startOrder(waiting)).toEqual(["9a", "9b", "5a", "5b", "0"]);
  });

  test("of several users start in turn within a priority, however many one of them has (FAULTS S38)", async () => {
    const { narrow, release } = await narrowServer();
    await using running = narrow;
    const [greedy, modest] = [await newSession(running), await newSession(running)];
    const waiting: Waiting[] = [];
    for (let n = 0; n < 6; n += 1)
      waiting.push({ api: greedy, name: "greedy", id: (await greedy.submit(body(5))).id });
    for (let n = 0; n < 2; n += 1)
      waiting.push({ api: modest, name: "modest", id: (await modest.submit(body(5))).id });
    await release();
    const order = await startOrder(waiting);
    expect(order.slice(0, 4).filter((name) => name === "modest")).toHaveLength(2);
  });
});

describe("a lane", () => {
  test("holds one unfinished job per session: a new one cancels the one before", async () => {
    const api = await newSession(server());
    const first = await api.submit(lastingBody({ lane: "answer" }));
    await api.inStatus(first.id, "running");
    const second = await api.submit(lastingBody({ lane: "answer" }));
    expect(await api.finished(first.id)).toMatchObject({ status: "canceled" });
    const log = await api.log(first.id);
    expectWhole(log);
    expect(log.at(-1)).toMatchObject({ kind: "job.canceled", data: { reason: "lane" } });
    expect((await api.job(second.id)).terminal).toBe(false);
    await api.cancel(second.id);
  });

  test("does not concern other lanes, other sessions, jobs without one, or finished ones", async () => {
    const [api, other] = [await newSession(server()), await newSession(server())];
    const done = await api.submit(tokensBody({}, { lane: "a" }));
    await api.finished(done.id);
    const kept = [await api.submit(lastingBody({ lane: "b" })), await api.submit(lastingBody())];
    const foreign = await other.submit(lastingBody({ lane: "a" }));
    const newest = await api.submit(lastingBody({ lane: "a" }));
    await api.inStatus(newest.id, "running");
    for (const { id } of kept) expect((await api.job(id)).status).toBe("running");
    expect((await other.job(foreign.id)).status).toBe("running");
    expect((await api.job(done.id)).status).toBe("succeeded");
    for (const { id } of [...kept, newest]) await api.cancel(id);
    await other.cancel(foreign.id);
  });

  test("under a storm of submits ends with one unfinished job", async () => {
    const api = await newSession(server());
    const jobs = await Promise.all(
      Array.from({ length: 20 }, () => api.submit(lastingBody({ lane: "storm" }))),
    );
    const left = await until("all but one to be canceled", async () => {
      const unfinished: string[] = [];
      for (const { id } of jobs) if (!(await api.job(id)).terminal) unfinished.push(id);
      return unfinished.length <= 1 && unfinished;
    });
    expect(left).toHaveLength(1);
    await api.cancel(left[0] ?? "");
  });
});

describe("onDisconnect: cancel", () => {
  test("cancels the job when its session had no socket for orphanMs, for the reason disconnected", async () => {
    const client = await connect(server());
    const api = apiOf(server(), client.token);
    const leaving = await api.submit(lastingBody({ onDisconnect: "cancel", orphanMs: 300 }));
    const staying = await api.submit(lastingBody());
    await api.inStatus(leaving.id, "running");
    const closedMs = performance.now();
    await client.close();
    expect(await api.finished(leaving.id)).toMatchObject({ status: "canceled" });
    expect(performance.now() - closedMs).toBeGreaterThan(250);
    expect((await api.log(leaving.id)).at(-1)).toMatchObject({ data: { reason: "disconnected" } });
    expect((await api.job(staying.id)).status).toBe("running");
    await api.cancel(staying.id);
  });

  test("leaves it alone when the session comes back in time", async () => {
    const client = await connect(server());
    const api = apiOf(server(), client.token);
    const { id } = await api.submit(
      tokensBody({ tokens: 30, intervalMs: 100 }, { onDisconnect: "cancel", orphanMs: 1500 }),
    );
    await api.inStatus(id, "running");
    await client.close();
    await using again = await connect(server(), { token: client.token });
    await again.attach(id);
    await again.waitForEnd(id);
    expect(await api.job(id)).toMatchObject({ status: "succeeded" });
  });
});

describe("limits (section 7)", () => {
  test("USER_JOBS unfinished jobs per user, then 429 too_many_jobs with what to do; another user is free", async () => {
    await using strict = await startServer({ env: { HOLDLINE_USER_JOBS: "2" } });
    const [api, other] = [await newSession(strict), await newSession(strict)];
    const first = await api.submit(lastingBody());
    await api.submit(lastingBody());
    const refused = await api.post(lastingBody());
    expectProblem(refused, 429, "too_many_jobs");
    for (const name of ["retry-after", "ratelimit", "ratelimit-policy"])
      expect(refused.headers.get(name)).not.toBeNull();
    expect((await other.post(lastingBody())).status).toBe(202);
    await api.cancel(first.id);
    await api.finished(first.id);
    expect((await api.post(lastingBody())).status).toBe(202);
  });

  test("QUEUE_JOBS waiting ones in all, then 503 queue_full with Retry-After", async () => {
    await using strict = await startServer({ env: { HOLDLINE_QUEUE_JOBS: "3", HOLDLINE_CONCURRENCY: "1" } });
    const api = await newSession(strict);
    let refused = await api.post(lastingBody());
    for (let n = 0; n < 6 && refused.status === 202; n += 1) refused = await api.post(lastingBody());
    expectProblem(refused, 503, "queue_full");
    expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
  });

  test("RATE_PER_MINUTE calls per user, then 429 rate_limited with its headers", async () => {
    await using strict = await startServer({ env: { HOLDLINE_RATE_PER_MINUTE: "30" } });
    const api = await newSession(strict);
    const answers = [];
    for (let n = 0; n < 80; n += 1) answers.push(await api.call("GET", "/v1/sessions/current"));
    const refused = answers.find(({ status }) => status !== 200);
    if (refused === undefined) throw new Error("80 calls within a minute, and none was refused");
    expectProblem(refused, 429, "rate_limited");
    for (const name of ["retry-after", "ratelimit", "ratelimit-policy"])
      expect(refused.headers.get(name)).not.toBeNull();
  });
});
