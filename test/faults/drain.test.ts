/** R40, R41: a server that is told to end, once and twice (PROTOCOL section 7). */
import { expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const DRAIN_MS = 2500;
/** What a drain takes at most beyond its own time: the grace of deaf handlers, and that of sockets. */
const GRACE_MS = 2000 + 2000;

test("faults/R40 SIGTERM: runs finish or are handed back at no cost, everybody is told, exit 0 in time", async () => {
  const env = { HOLDLINE_DRAIN_MS: String(DRAIN_MS), HOLDLINE_CONCURRENCY: "4" };
  await using server = await startServer({ env, program: "faults/odd-server.ts" });
  const watchers = await Promise.all(Array.from({ length: 40 }, () => connect(server)));
  await using client = await connect(server);
  const api = apiOf(server, client.token);
  const short = await api.submit(tokensBody({ tokens: 15, intervalMs: 100 }));
  const lasting = await api.submit(lastingBody());
  const deaf = await api.submit({ type: "deaf", input: { deafMs: 60_000 } });
  const canceled = await api.submit({ type: "deaf", input: { deafMs: 60_000 } });
  for (const { id } of [short, lasting, deaf, canceled]) {
    await client.waitForEvent(id, "a word", ({ kind }) => kind === "output.text");
  }
  const waiting = await api.submit(tokensBody());
  await api.cancel(canceled.id);

  const begun = performance.now();
  await server.kill("SIGTERM");
  const unready = await until("the server to drain", async () => {
    const answer = await call("GET", `${server.url}/readyz`);
    return answer.status === 503 && answer;
  });
  expectProblem(unready, 503, "draining");
  expectProblem(await api.post(tokensBody()), 503, "draining");
  expect((await api.job(lasting.id)).status).toBe("running");
  const late = dial(server);
  expect(await late.waitForClose()).toEqual({ code: 4000, reason: "draining" });
  expect(late.frames("goodbye")[0]?.reconnectAfterMs).toBeWithin(500, 10_000);

  // Whoever watches sees the end of what ends, and that the rest was handed back, before the goodbye.
  await client.waitForEnd(short.id);
  await client.waitForEvent(lasting.id, "its release", ({ kind }) => kind === "job.retrying");
  await client.waitForEvent(deaf.id, "its release", ({ kind }) => kind === "job.retrying");
  await client.waitForEnd(canceled.id);
  expect(client.frames("goodbye")).toEqual([]);
  expect(await client.waitForClose()).toEqual({ code: 4000, reason: "draining" });
  const delays = new Set<number>();
  for (const watcher of watchers) {
    expect(await watcher.waitForClose()).toEqual({ code: 4000, reason: "draining" });
    const [goodbye] = watcher.frames("goodbye");
    expect(goodbye).toMatchObject({ code: 4000, reason: "draining", reconnect: true });
    delays.add(goodbye?.reconnectAfterMs ?? 0);
  }
  expect(delays.size).toBeGreaterThan(30);
  expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(1500);
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  expect(performance.now() - begun).toBeLessThan(DRAIN_MS + GRACE_MS + 1000);

  await server.restart();
  expect((await api.finished(waiting.id)).status).toBe("succeeded");
  for (const { id } of [lasting, deaf]) {
    await until(`job ${id} to run again`, async () => (await api.job(id)).attempt === 2);
    const reasons = (await api.log(id))
      .filter(({ kind }) => kind === "job.retrying")
      .map(({ data }) => data.reason);
    expect(reasons).toEqual(["released"]);
  }
  expectWhole(await api.log(short.id), [{ after: 0, events: client.events(short.id) }]);
  expect((await api.job(canceled.id)).status).toBe("canceled");
}, 60_000);

test("faults/R40 SIGTERM: streams over HTTP end whole, waits are answered, and neither holds up the exit", async () => {
  await using server = await startServer({ env: { HOLDLINE_DRAIN_MS: "1000" } });
  const api = await newSession(server);
  const { id } = await api.submit(lastingBody());
  await api.inStatus(id, "running");
  const headers = { authorization: `Bearer ${api.token}` };
  const follow = (accept: string): Promise<Response> =>
    fetch(`${server.url}/v1/jobs/${id}/events`, { headers: { ...headers, accept } });
  const streams = await Promise.all([follow("text/event-stream"), follow("application/x-ndjson")]);
  const waiting = fetch(`${server.url}/v1/jobs/${id}?waitMs=60000`, { headers });
  const begun = performance.now();
  await server.kill("SIGTERM");
  for (const stream of streams) expect(await stream.text()).toContain('"reason":"released"');
  const answer = await waiting;
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ id, status: "retrying", terminal: false });
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  // The grace of connections that do not close is 2 s: it was not needed.
  expect(performance.now() - begun).toBeLessThan(1000 + 1500);
}, 60_000);

test("faults/R41 a second SIGTERM ends it at once, and nothing that was accepted is lost", async () => {
  await using server = await startServer({ env: { HOLDLINE_DRAIN_MS: "60000" } });
  const api = await newSession(server);
  const jobs = await Promise.all(
    Array.from({ length: 20 }, () => api.submit(tokensBody({ tokens: 20, intervalMs: 100 }))),
  );
  const waiting = await api.submit(lastingBody());
  for (const { id } of jobs) await api.inStatus(id, "running");
  await server.kill("SIGTERM");
  await until("the server to drain", async () => (await call("GET", `${server.url}/readyz`)).status === 503);
  const begun = performance.now();
  await server.kill("SIGTERM");
  expect((await server.exited(2000)).code).toBe(1);
  expect(performance.now() - begun).toBeLessThan(1000);

  await server.restart();
  for (const { id } of jobs) {
    expect(await api.finished(id)).toMatchObject({ status: "succeeded", attempt: 2 });
    expectWhole(await api.log(id));
  }
  await until("the last job to run again", async () => (await api.job(waiting.id)).attempt === 2);
}, 60_000);
