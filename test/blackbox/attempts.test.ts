/** Runs that fail and time limits: what each option of a submit does to a job (PROTOCOL section 3, Attempts and runs). */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, newSession, lastingBody, tokensBody } from "../support/http.ts";
import { expectWhole, outline, textOf } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

async function runToEnd(body: unknown) {
  const { id } = await api.submit(body);
  const job = await api.finished(id);
  const log = await api.log(id);
  expectWhole(log);
  return { job, log };
}

describe("a run that throws", () => {
  test("is followed by another one whose output voids what the first wrote", async () => {
    const { job, log } = await runToEnd(tokensBody({ tokens: 5, size: 3, failAt: 4 }));
    expect(job).toMatchObject({ status: "succeeded", attempt: 2, result: { tokens: 5 } });
    expect(outline(log)).toEqual([
      "job.queued",
      "job.started",
      "output.text",
      "job.retrying",
      "job.started",
      "output.reset",
      "output.text",
      "job.succeeded",
    ]);
    const retrying = log.find(({ kind }) => kind === "job.retrying");
    expect(retrying).toMatchObject({
      attempt: 1,
      data: {
        reason: "error",
        error: { code: "handler_error", retryable: true, attempt: 1, origin: "handler" },
      },
    });
    expect(log.find(({ kind }) => kind === "output.reset")).toMatchObject({
      attempt: 2,
      data: { reason: "retry" },
    });
    expect(textOf(log)).toHaveLength(15);
  });

  test("before any output needs no reset", async () => {
    const { log } = await runToEnd(tokensBody({ failAt: 1 }));
    expect(outline(log)).not.toContain("output.reset");
    expect(outline(log)).toContain("job.retrying");
  });

  test("waits 1 s × 2ⁿ with full jitter at most, and at least what it announces", async () => {
    const { log } = await runToEnd(tokensBody({ failAt: 1, failTimes: 2 }));
    const delays = log.filter(({ kind }) => kind === "job.retrying").map(({ data }) => data.delayMs ?? -1);
    expect(delays).toHaveLength(2);
    delays.forEach((delayMs, n) => {
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(1000 * 2 ** n);
    });
    log.forEach((event, index) => {
      const after = (log[index + 1]?.at ?? event.at) - event.at;
      if (event.kind === "job.retrying") expect(after).toBeGreaterThanOrEqual((event.data.delayMs ?? 0) - 50);
    });
  });

  test.each([1, 2])("fails the job after maxAttempts = %d", async (maxAttempts) => {
    const { job, log } = await runToEnd(tokensBody({ failAt: 2, failTimes: 25 }, { maxAttempts }));
    expect(job).toMatchObject({ status: "failed", attempt: maxAttempts, terminal: true });
    expect(job.error).toMatchObject({ code: "handler_error", attempt: maxAttempts, origin: "handler" });
    expect(job).not.toHaveProperty("result");
    expect(log.at(-1)).toMatchObject({ kind: "job.failed", data: { error: job.error ?? {} } });
    expect(log.filter(({ kind }) => kind === "job.retrying")).toHaveLength(maxAttempts - 1);
  });

  test("hides the text of an unforeseen error from the user (section 8)", async () => {
    const { job } = await runToEnd(tokensBody({ failAt: 1, failTimes: 9 }, { maxAttempts: 1 }));
    expect(job.error?.message).not.toMatch(/\.ts\b|failAt|at run/);
  });

  test("ends the job, output kept, when it wrote some and retryAfterOutput is false", async () => {
    const { job, log } = await runToEnd(
      tokensBody({ tokens: 5, size: 2, failAt: 3 }, { retryAfterOutput: false }),
    );
    expect(job).toMatchObject({ status: "failed", attempt: 1 });
    expect(outline(log)).toEqual(["job.queued", "job.started", "output.text", "job.failed"]);
    expect((await api.output(job.id)).text).toHaveLength(4);
  });

  test("is repeated in spite of retryAfterOutput false when it wrote nothing", async () => {
    const { job } = await runToEnd(tokensBody({ failAt: 1 }, { retryAfterOutput: false }));
    expect(job).toMatchObject({ status: "succeeded", attempt: 2 });
  });
});

describe("time limits", () => {
  const limits: [option: string, body: object, code: string][] = [
    ["timeoutMs", lastingBody({ timeoutMs: 300, maxAttempts: 1 }), "timeout"],
    ["idleMs", lastingBody({ idleMs: 300, maxAttempts: 1 }), "idle_timeout"],
  ];
  test.each(limits)(
    "%s ends a run with its own code, an error of origin timeout that may be retried",
    async (_option, body, code) => {
      const startedMs = performance.now();
      const { job, log } = await runToEnd(body);
      expect(job).toMatchObject({
        status: "failed",
        attempt: 1,
        error: { code, origin: "timeout", retryable: true },
      });
      expect(performance.now() - startedMs).toBeGreaterThan(250);
      expect(outline(log)).toEqual(["job.queued", "job.started", "output.text", "job.failed"]);
    },
  );

  test("firstOutputMs ends a run that has not written anything as first_output_timeout", async () => {
    // No engine speaks a sentence within a millisecond.
    const input = { text: "This sentence takes longer to say than anybody could ever wait. ".repeat(5) };
    const { job } = await runToEnd({ type: "speech", input, firstOutputMs: 1, maxAttempts: 1 });
    expect(job).toMatchObject({
      status: "failed",
      error: { code: "first_output_timeout", origin: "timeout" },
    });
  });

  test("count as errors: a run that is too slow is repeated", async () => {
    const { job, log } = await runToEnd(lastingBody({ timeoutMs: 200, maxAttempts: 2 }));
    expect(job).toMatchObject({ status: "failed", attempt: 2, error: { code: "timeout", attempt: 2 } });
    expect(log.find(({ kind }) => kind === "job.retrying")?.data).toMatchObject({
      reason: "error",
      error: { code: "timeout" },
    });
  });

  test("firstOutputMs and idleMs leave alone a run that keeps writing for longer", async () => {
    const { job } = await runToEnd(
      tokensBody({ tokens: 12, intervalMs: 100 }, { firstOutputMs: 800, idleMs: 800 }),
    );
    expect(job).toMatchObject({ status: "succeeded", attempt: 1 });
  });
});

describe("startWithinMs", () => {
  test("ends a job as expired that was not started in time; one that was goes on", async () => {
    await using narrow = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
    const owner = await newSession(narrow);
    const blocker = await owner.submit(lastingBody({ startWithinMs: 400 }));
    await owner.inStatus(blocker.id, "running");
    const { id } = await owner.submit(tokensBody({}, { startWithinMs: 400 }));
    expect(await owner.finished(id)).toMatchObject({ status: "expired", attempt: 0, terminal: true });
    const log = await owner.log(id);
    expectWhole(log);
    expect(log.at(-1)).toMatchObject({ kind: "job.expired", data: {} });
    expect((await owner.job(blocker.id)).status).toBe("running");
  });
});

describe("progress and position", () => {
  test("a queued job says where it stands", async () => {
    await using narrow = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
    const owner = await newSession(narrow);
    const blocker = await owner.submit(lastingBody());
    await owner.inStatus(blocker.id, "running");
    const [first, second] = [await owner.submit(tokensBody()), await owner.submit(tokensBody())];
    for (const { id } of [first, second]) {
      const { queue, status } = await owner.job(id);
      expect(status).toBe("queued");
      expect(queue?.position).toBeGreaterThanOrEqual(1);
      expectShape((await owner.page(id)).events[0], {
        kind: "job.queued",
        data: { position: expect.any(Number) },
      });
    }
  });
});
