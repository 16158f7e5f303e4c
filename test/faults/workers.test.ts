/**
 * What goes wrong around remote workers, with real processes: they are killed, stopped, cut off, or never got their
 * lease; the server is killed under them. The rules are those of PROTOCOL section 6.
 */
import { describe, expect, test } from "bun:test";
import { expectProblem, newSession, tokensBody } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { newWorker, textItem } from "../support/worker.ts";
import { until, within } from "../support/wait.ts";

const TYPES = { env: { HOLDLINE_WORKER_TYPES: "story,tone" } };
const WORDS = Array.from({ length: 30 }, (_, n) => `word${n}`).join(" ");
const story = (pauseMs: number) => ({ type: "story", input: { text: WORDS, pauseMs } });

describe("a server that is killed", () => {
  test("keeps leases, items and checkpoints; what was not answered is said again and taken once", async () => {
    await using server = await startServer(TYPES);
    const api = await newSession(server);
    const worker = await newWorker(server, { types: ["story"] });
    const { id } = await api.submit(story(0));
    const run = await worker.take();
    await run.output([textItem("a"), textItem("b")], 0);
    await run.beat({ checkpoint: 7 });
    const stream = run.stream(2);
    stream.answer.catch(() => undefined);
    stream.line(textItem("c"));
    await until("the line", async () => (await api.output(id)).text === "abc");
    await server.restart();
    expect((await run.beat()).body.leases).toEqual([{ job: id, status: "ok", leaseMs: 30_000 }]);
    expect((await run.output([textItem("b"), textItem("c"), textItem("d")], 1)).body.next).toBe(4);
    expect((await run.complete("done")).body.status).toBe("succeeded");
    await server.restart();
    // The answer may have been lost with the process.
    expect((await run.complete("done")).body.status).toBe("succeeded");
    const log = await api.log(id);
    expectWhole(log);
    expect(textOf(log)).toBe("abcd");
    expect(await api.job(id)).toMatchObject({ attempt: 1, result: "done" });
  });
});

test("a drain answers who waits, tells quiet, and waits for a run that ends", async () => {
  await using server = await startServer(TYPES);
  const api = await newSession(server);
  const worker = await newWorker(server, { types: ["story"] });
  const { id } = await api.submit(story(0));
  const run = await worker.take();
  const poll = worker.lease({ types: ["tone"], waitMs: 30_000 });
  await until("the poll to wait", async () =>
    (await (await fetch(`${server.url}/metrics`)).text()).includes("holdline_worker_polls 1"),
  );
  const beganMs = performance.now();
  await server.kill("SIGTERM");
  const { status, body } = await within("the poll to be answered", poll);
  expect({ status, body }).toEqual({ status: 200, body: { jobs: [], control: "quiet" } as never });
  expect(performance.now() - beganMs).toBeLessThan(5000);
  expect((await run.beat()).body.control).toBe("quiet");
  expect((await worker.lease()).body).toEqual({ jobs: [], control: "quiet" } as never);
  expect((await run.text("the last words")).body).toMatchObject({ next: 1, control: "quiet" });
  expect((await run.complete()).body.status).toBe("succeeded");
  expect((await server.exited()).code).toBe(0);
  await server.restart();
  expect((await api.job(id)).status).toBe("succeeded");
});

test("a drain that is over tells a worker that streams to finish, and its lease outlives the server", async () => {
  await using server = await startServer({ env: { ...TYPES.env, HOLDLINE_DRAIN_MS: "300" } });
  const api = await newSession(server);
  const worker = await newWorker(server, { types: ["story"] });
  const { id } = await api.submit(story(0));
  const run = await worker.take();
  const stream = run.stream(0);
  stream.line(textItem("before "));
  await until("the line", async () => (await api.output(id)).text === "before ");
  await server.kill("SIGTERM");
  expect((await within("the answer", stream.answer)).body).toEqual({
    next: 1,
    control: "terminate",
  } as never);
  expect((await server.exited()).code).toBe(0);
  await server.restart();
  await run.output([textItem("after")], 1);
  await run.complete();
  expect(textOf(await api.log(id))).toBe("before after");
  expect(await api.job(id)).toMatchObject({ status: "succeeded", attempt: 1 });
});

test("faults/R24: a job that nobody here can run stays queued, over a restart too, and holds up nobody", async () => {
  await using server = await startServer(TYPES);
  const api = await newSession(server);
  const { id } = await api.submit(story(0));
  const { id: other } = await api.submit(tokensBody());
  expect((await api.finished(other)).status).toBe("succeeded");
  await server.restart();
  expect(await api.job(id)).toMatchObject({ status: "queued", attempt: 0, head: 1 });
  const worker = await newWorker(server, { types: ["story"] });
  await (await worker.take()).complete();
  expect((await api.job(id)).status).toBe("succeeded");
});

test("a worker that floods: its job ends at the bound, others are served meanwhile", async () => {
  await using server = await startServer({ env: { ...TYPES.env, HOLDLINE_JOB_BYTES: "2000000" } });
  const api = await newSession(server);
  const [flooder, other] = [await newWorker(server), await newWorker(server)];
  const flood = await api.submit(story(0));
  const run = await flooder.take({ types: ["story"] });
  const lines = Array.from({ length: 20_000 }, () => textItem("x".repeat(200)));
  const answer = run.output(lines, 0);
  const beside = await api.submit({ type: "tone", input: {} });
  const calm = await other.take({ types: ["tone"] });
  expect((await calm.complete()).status).toBe(200);
  expect((await api.job(beside.id)).status).toBe("succeeded");
  expectProblem(await answer, 413, "payload_too_large");
  const job = await api.job(flood.id);
  expect(job).toMatchObject({ status: "failed", error: { code: "output_too_large" } });
  expect(job.head).toBeLessThan(20_000);
});
