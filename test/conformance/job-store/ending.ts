/** Conformance of `end`: how a run that was not lost ends its job, or leads to the next run (PROTOCOL section 3). */
import { expect } from "bun:test";
import type { RunError } from "../../../src/jobs/job.ts";
import { ERROR, textItem, type Check, type Drive, type HeldRun } from "../drive.ts";

/** Fails the run and returns the wait that the log says, having checked that the store keeps to it. */
async function delayAfter(on: Drive, run: HeldRun, how: Parameters<Drive["fail"]>[1]): Promise<number> {
  expect(await on.fail(run, how)).toBe("retrying");
  const { data } = await on.last(run.id);
  const { delayMs } = data as { delayMs: number };
  expect(await on.job(run.id)).toMatchObject({ readyBy: on.now().steadyMs + delayMs });
  return delayMs;
}

function bodyOf(error: RunError, attempt: number) {
  const { code, message, retryable, origin } = error;
  return { code, message, retryable, attempt, origin };
}

export function ending(check: Check): void {
  check("well is the last entry, with the result", async (on) => {
    const run = await on.started();
    on.pass(7);
    const result = { text: "naïve 🙂", list: [1, null, { deep: "\u2028" }] };
    expect(await on.succeed(run, result)).toBe("succeeded");
    expect(await on.last(run.id)).toEqual({ kind: "job.succeeded", attempt: 1, data: { result } });
    const found = await on.store.findWithResult(run.id);
    expect(found?.result).toBe(JSON.stringify(result));
    expect(found?.job).toMatchObject({
      status: "succeeded",
      finishedAt: on.now().wallMs,
      error: null,
      leaseToken: null,
      leaseOwner: null,
      leaseBy: null,
    });
  });

  check("in a retryable error is followed by another run, after a back-off that doubles", async (on) => {
    const first = await on.started({ maxAttempts: 25 });
    let run = first;
    const delays: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      const delayMs = await delayAfter(on, run, { random: 0.5 });
      expect(await on.last(run.id)).toEqual({
        kind: "job.retrying",
        attempt: n + 1,
        data: { reason: "error", delayMs, error: bodyOf(ERROR, n + 1) },
      });
      delays.push(delayMs);
      on.pass(delayMs);
      run = await on.again(run.id);
    }
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  check("in an error waits as long as the handler asked", async (on) => {
    const run = await on.started();
    expect(await delayAfter(on, run, { random: 0.5, retryAfterMs: 123_456 })).toBe(123_456);
    on.pass(123_456);
    expect(await delayAfter(on, await on.again(run.id), { random: 0.5, retryAfterMs: 0 })).toBe(0);
  });

  check("in an error fails the job when the budget of errors is spent", async (on) => {
    const first = await on.started({ maxAttempts: 2 });
    expect(await on.fail(first)).toBe("retrying");
    const second = await on.again(first.id);
    expect(await on.fail(second)).toBe("failed");
    const error = bodyOf(ERROR, 2);
    expect(await on.last(first.id)).toEqual({ kind: "job.failed", attempt: 2, data: { error } });
    const record = await on.job(first.id);
    expect(record).toMatchObject({ status: "failed", errors: 2, finishedAt: on.now().wallMs });
    expect(JSON.parse(record.error ?? "")).toEqual(error);
    expect((await on.store.findWithResult(first.id))?.result).toBeNull();
  });

  check("in an error that is not retryable fails the job at once", async (on) => {
    const run = await on.started();
    expect(await on.fail(run, { retryable: false, code: "invalid_output", origin: "handler" })).toBe(
      "failed",
    );
    expect((await on.last(run.id)).data).toMatchObject({
      error: { code: "invalid_output", origin: "handler", retryable: false, attempt: 1 },
    });
  });

  check("in an error after output fails a job that may not be retried then, output kept", async (on) => {
    const silent = await on.started({ retryAfterOutput: false });
    expect(await on.fail(silent)).toBe("retrying");
    const run = await on.again(silent.id);
    await on.text(run, "kept");
    expect(await on.fail(run)).toBe("failed");
    expect((await on.kinds(run.id)).slice(-2)).toEqual(["output.text", "job.failed"]);
    expect(await on.job(run.id)).toMatchObject({ hasOutput: true, outputAfter: 0 });
  });

  check("by release leads to the next run at once and costs no budget", async (on) => {
    const first = await on.started({ maxAttempts: 1 });
    let run = first;
    for (let n = 0; n < 12; n += 1) {
      expect(await on.release(run)).toBe("retrying");
      expect((await on.last(run.id)).data).toEqual({ reason: "released", delayMs: 0 });
      run = await on.again(run.id);
    }
    expect(await on.job(run.id)).toMatchObject({ attempt: 13, errors: 0, lostLeases: 0 });
    expect(await on.fail(run)).toBe("failed");
  });

  check("badly after output has the next run declare that output void, once", async (on) => {
    const first = await on.started({ maxAttempts: 9 });
    await on.text(first, "half a sen");
    await on.fail(first);
    expect(await on.job(first.id)).toMatchObject({ hasOutput: true, outputAfter: 0, resetReason: "retry" });
    const second = await on.again(first.id);
    expect((await on.kinds(first.id)).slice(-2)).toEqual(["job.started", "output.reset"]);
    expect((await on.last(first.id)).data).toEqual({ reason: "retry" });
    const { head } = await on.job(first.id);
    expect(await on.job(first.id)).toMatchObject({
      hasOutput: false,
      outputAfter: head,
      resetReason: null,
    });

    // The second run wrote nothing: there is nothing to void for the third.
    await on.fail(second);
    const third = await on.again(first.id);
    expect((await on.last(first.id)).kind).toBe("job.started");
    await on.text(third, "whole");
    await on.release(third);
    await on.again(first.id);
    expect((await on.last(first.id)).data).toEqual({ reason: "released" });
  });

  check("badly with nothing but progress voids nothing", async (on) => {
    const run = await on.started();
    const items = [{ kind: "job.progress" as const, data: '{"ratio":1}' }];
    await on.execute("append", { id: run.id, lease: run.lease, items, jobBytes: 1000 });
    await on.fail(run);
    await on.again(run.id);
    expect((await on.last(run.id)).kind).toBe("job.started");
  });

  check("of a run whose output is only data or sound voids that too", async (on) => {
    const outputs = [
      { kind: "output.audio" as const, data: new Uint8Array([1, 2]) },
      { kind: "output.data" as const, data: "null" },
      { kind: "output.audio.format" as const, data: "{}" },
      textItem("x"),
    ];
    for (const item of outputs) {
      const run = await on.started();
      await on.execute("append", { id: run.id, lease: run.lease, items: [item], jobBytes: 1000 });
      await on.fail(run);
      await on.again(run.id);
      expect((await on.last(run.id)).kind).toBe("output.reset");
    }
  });
}
