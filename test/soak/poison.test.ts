/** R25, R26: handlers that do not hear, and jobs that take their process with them. */
import { expect, test } from "bun:test";
import { call, newSession, tokensBody } from "../support/http.ts";
import { expectWhole, outline } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { valueOf } from "../telemetry/scrape.ts";

const GRACE_MS = 10_000;

test("faults/R25 a handler that ignores its cancel: the job ends after the grace, its place stays counted and is named", async () => {
  await using server = await startServer({ program: "faults/odd-server.ts" });
  const api = await newSession(server);
  // The type runs two at a time; what was canceled would go on for seconds after its grace.
  const deaf = await Promise.all(
    [GRACE_MS + 5000, GRACE_MS + 5000].map((deafMs) => api.submit({ type: "deaf", input: { deafMs } })),
  );
  for (const { id } of deaf) await api.inStatus(id, "running");
  const next = await api.submit({ type: "deaf", input: { deafMs: 0 } });
  const begun = performance.now();
  for (const { id } of deaf) expect((await api.cancel(id)).status).toBe(202);
  for (const { id } of deaf) {
    expect(await api.finished(id)).toMatchObject({ status: "canceled" });
    expectWhole(await api.log(id));
  }
  expect(performance.now() - begun).toBeWithin(GRACE_MS - 500, GRACE_MS + 3000);

  const abandoned = async (): Promise<number> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return text.includes('holdline_runs_abandoned{type="deaf"}')
      ? valueOf(text, 'holdline_runs_abandoned{type="deaf"}')
      : 0;
  };
  await until("both to be given up", async () => (await abandoned()) === 2);
  expect((await api.job(next.id)).status).toBe("queued");
  const named = server.logs().filter(({ msg }) => String(msg).startsWith("a handler ignores"));
  expect(
    named
      .map(({ job, type }) => ({ job, type }))
      .toSorted((a, b) => (String(a.job) < String(b.job) ? -1 : 1)),
  ).toEqual(deaf.map(({ id }) => ({ job: id, type: "deaf" })).toSorted((a, b) => (a.job < b.job ? -1 : 1)));

  // When they return after all, their places are free again and nothing of theirs is written.
  expect((await api.finished(next.id)).status).toBe("succeeded");
  await until("no place is taken any more", async () => (await abandoned()) === 0);
  for (const { id } of deaf) expect((await api.log(id)).at(-1)?.kind).toBe("job.canceled");
}, 60_000);

test("faults/R26 jobs that kill their process each time fail after five lost leases; others are served in between", async () => {
  const env = { HOLDLINE_TOKENS: "chaos" };
  await using server = await startServer({ env });
  const api = await newSession(server);
  const submit = (key: string, input: object, headers = {}) =>
    api.post(tokensBody(input), { "idempotency-key": key, ...headers }).catch(() => null);
  // Long enough for two answers; the crash comes with the second word.
  const bad = { tokens: 3, intervalMs: 100, crashAt: 2, crashTimes: 100 };
  const poison = await Promise.all(["one", "two"].map((key) => submit(key, bad)));
  const ids = poison.map((answer) => answer?.body.id ?? "");
  let served = 0;
  let lives = 1;
  for (; lives < 30; lives += 1) {
    await server.exited();
    await server.restart().catch(() => undefined);
    if (server.exit() !== null) continue;
    // Alive for a moment: a job that harms nobody comes and goes, or the crash was first and it is asked for again.
    const done = await submit(`life-${served}`, {}, { prefer: "wait=5" });
    if (done?.status === 200 && done.body.status === "succeeded") served += 1;
    const ended = await Promise.all(
      ids.map(async (id) => (await api.job(id).catch(() => null))?.terminal === true),
    );
    if (ended.every(Boolean)) break;
  }
  expect(server.exit()).toBeNull();
  expect(served).toBeGreaterThan(2);
  // Both may die of one crash, so that there are five at least and ten at most.
  expect(lives).toBeWithin(5, 12);
  for (const id of ids) {
    expect(await api.job(id)).toMatchObject({
      status: "failed",
      error: { code: "worker_lost", origin: "worker_lost" },
    });
    const log = await api.log(id);
    expectWhole(log);
    // Each loss stands in the log before the next run, and the last one is the end.
    const runs = log.filter(({ kind }) => kind === "job.started").length;
    expect(runs).toBe(5);
    const delays = log.filter(({ kind }) => kind === "job.retrying").map(({ data }) => data.delayMs);
    expect(delays).toEqual([0, 0, 1000, 2000]);
    expect(outline(log).at(-1)).toBe("job.failed");
  }
  expect((await call("GET", `${server.url}/readyz`)).status).toBe(200);
}, 60_000);
