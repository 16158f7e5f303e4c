/** One run of one job: what its handler is given, and what becomes of however it settles. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { JobError, type RunningJob } from "../../src/handlers/handler.ts";
import { RunStopped } from "../../src/handlers/run-end.ts";
import type { JobId, UserId } from "../../src/lib/ids.ts";
import { Refusal } from "../../src/protocol/error.ts";
import type { Json } from "../../src/protocol/events.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { dataOf } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";
import { createPlace, handlerOf, startAgain, startOne, type Place, type Work } from "./run-setup.ts";
import { settle } from "./virtual-clock.ts";

/** Runs a handler to its end and returns the last entry of the log. */
async function endOf(
  place: Place,
  work: Work,
  options: Parameters<typeof startOne>[2] = {},
): Promise<{ kind: string; data: unknown }> {
  const { run, claimed } = await startOne(place, handlerOf(work), options);
  await run.done;
  const { kind, data } = await place.on.last(claimed.job.id);
  return { kind, data };
}

function errorOf({ data }: { data: unknown }): Record<string, unknown> {
  return (data as { error: Record<string, unknown> }).error;
}

/** A handler that writes sound in the format it said before; `format` changes it in between. */
function sound(bytes: unknown, format: { channels?: number } = {}): (job: RunningJob) => Promise<void> {
  const told = { codec: "pcm_s16le", sampleRate: 8000, channels: 1 } as const;
  return (job) => {
    void job.audioFormat(told);
    if (format.channels !== undefined) return job.audioFormat({ ...told, ...format });
    return job.audio(bytes as Uint8Array);
  };
}

const never = (): Promise<never> => new Promise(() => {});

describe("a handler is given", () => {
  test("its job and its parsed input", async () => {
    const place = createPlace();
    const seen: unknown[] = [];
    const handler = handlerOf(
      (job, input) => {
        const { id, type, attempt, userId, sessionId, metadata, traceparent, lastCheckpoint } = job;
        seen.push({ id, type, attempt, userId, sessionId, metadata, traceparent, lastCheckpoint }, input);
        return Promise.resolve();
      },
      { input: z.object({ n: z.number().default(7) }) },
    );
    const { run, claimed } = await startOne(place, handler, { input: "{}", metadata: { a: "b" } });
    await run.done;
    const { id, type, userId, sessionId, metadata, traceparent } = claimed.job;
    expect(seen).toEqual([
      { id, type, attempt: 1, userId, sessionId, metadata, traceparent, lastCheckpoint: null },
      { n: 7 },
    ]);
    expect({ id: run.id, type: run.type }).toEqual({ id, type });
  });

  test("what an earlier run left with checkpoint", async () => {
    const place = createPlace();
    const seen: Json[] = [];
    const handler = handlerOf(async (job) => {
      seen.push(job.lastCheckpoint);
      await job.checkpoint({ page: job.attempt });
      throw new JobError("again", "Once more.", { retryAfterMs: 0 });
    });
    const { run, claimed } = await startOne(place, handler);
    await run.done;
    expect(await place.on.last(claimed.job.id)).toMatchObject({ data: { error: { code: "again" } } });
    await startAgain(place, handler).then((next) => next.done);
    expect(seen).toEqual([null, { page: 1 }]);
  });

  test("a checkpoint that is kept no sooner than what it wrote before", async () => {
    const place = createPlace();
    let entries = 0;
    const handler = handlerOf(
      async (job) => {
        void job.text("at once");
        void job.text("gathered");
        await job.checkpoint(1);
        entries = (await place.on.job(job.id as JobId)).head;
      },
      { rollupMs: 1000 },
    );
    const { run } = await startOne(place, handler);
    await run.done;
    expect(entries).toBe(4);
  });

  test("finished, successful jobs of the same user, and no others", async () => {
    const place = createPlace();
    const { on } = place;
    const finished = async (options: { userId?: UserId } = {}) => {
      const run = await on.started({ input: '{"n":1}', ...options });
      await on.succeed(run, { text: "before" });
      return run.id;
    };
    const own = await finished();
    const foreign = await finished({ userId: "user-2" as UserId });
    const purged = await finished();
    await on.execute("purge", { id: purged });
    const failed = await on.started();
    await on.fail(failed, { retryable: false });
    const queued = await on.submit({ type: "later" });
    const answers: unknown[] = [];
    await endOf(place, async (job) => {
      for (const id of [own, foreign, purged, failed.id, queued, "no id", job.id])
        answers.push(await job.previous(id));
    });
    const { type } = await on.job(own);
    expect(answers).toEqual([
      { id: own, type, input: { n: 1 }, result: { text: "before" } },
      ...Array.from({ length: 6 }, () => null),
    ]);
  });
});

describe("a handler that returns", () => {
  test.each<[name: string, value: Json | undefined, result: Json]>([
    ["nothing", undefined, null],
    ["null", null, null],
    ["a value", { text: "ü", list: [1] }, { text: "ü", list: [1] }],
  ])("%s succeeds with it", async (_name, value, result) => {
    const place = createPlace();
    expect(await endOf(place, () => Promise.resolve(value))).toEqual({
      kind: "job.succeeded",
      data: { result },
    });
    expect(place.lines).toEqual([]);
  });

  test("has all it wrote in the log first, awaited or not", async () => {
    const place = createPlace();
    const { run, claimed } = await startOne(
      place,
      handlerOf(
        (job) => {
          void job.text("a");
          void job.text("b", { index: 1 });
          void job.audioFormat({ codec: "pcm_s16le", sampleRate: 8000, channels: 1 });
          const samples = new Uint8Array([1, 2, 3, 4]);
          void job.audio(samples);
          void job.data({ x: 1 });
          void job.data(samples);
          samples.fill(9); // what was given is given
          void job.progress(0.5, "half");
          void job.progress(null, "soon");
          void job.progress(7);
          void job.text("");
          void job.audio(new Uint8Array());
          void job.text("c");
          return Promise.resolve();
        },
        { rollupMs: 20 },
      ),
    );
    await run.done;
    const log = await place.on.log(claimed.job.id);
    const bytes = new Uint8Array([1, 2, 3, 4]);
    expect(
      log.slice(2).map(({ kind, data }) => [kind, typeof data === "string" ? JSON.parse(data) : data]),
    ).toEqual([
      ["output.text", { delta: "a", index: 0 }],
      ["output.text", { delta: "b", index: 1 }],
      ["output.audio.format", { codec: "pcm_s16le", sampleRate: 8000, channels: 1 }],
      ["output.audio", bytes],
      ["output.data", { x: 1 }],
      ["output.data", bytes],
      ["job.progress", { ratio: 0.5, message: "half" }],
      // The newest stands for the one in between.
      ["job.progress", { ratio: 1 }],
      ["output.text", { delta: "c", index: 0 }],
      ["job.succeeded", { result: null }],
    ]);
  });

  test("what is no JSON, or too large, fails and is not tried again", async () => {
    const place = createPlace();
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    for (const value of [circular, 1n, () => 1, Symbol("x")]) {
      const end = await endOf(place, () => Promise.resolve(value as Json));
      expect(end.kind).toBe("job.failed");
      expect(errorOf(end)).toMatchObject({ code: "invalid_output", retryable: false });
    }
    const large = (bytes: number) =>
      endOf(place, () => Promise.resolve("x".repeat(bytes - 2)), { eventBytes: 100 });
    expect(await large(100)).toMatchObject({ kind: "job.succeeded" });
    expect(errorOf(await large(101))).toMatchObject({ code: "output_too_large", retryable: false });
  });

  test("aborts its signal afterwards, and takes nothing more from what it left running", async () => {
    const place = createPlace();
    let left: RunningJob | undefined;
    await endOf(place, (job) => {
      left = job;
      return Promise.resolve();
    });
    expect(left?.signal.aborted).toBe(true);
    expect((await failureOf(left?.text("late") ?? Promise.resolve())).message).toBe("the run is over");
    expect(place.clock.waiting).toBe(0);
  });
});

describe("a handler that throws", () => {
  test("a JobError chooses code, message, retry and wait", async () => {
    const place = createPlace();
    const end = await endOf(place, () => {
      throw new JobError("busy", "Come back.", { retryAfterMs: 1234, origin: "upstream" });
    });
    expect(end).toEqual({
      kind: "job.retrying",
      data: {
        reason: "error",
        delayMs: 1234,
        error: { code: "busy", message: "Come back.", retryable: true, attempt: 1, origin: "upstream" },
      },
    });
    const final = await endOf(createPlace(), () => {
      throw new JobError("bad_input", "Never.", { retryable: false });
    });
    expect(errorOf(final)).toMatchObject({ code: "bad_input", retryable: false, origin: "handler" });
    expect(place.lines).toMatchObject([{ level: "warn", message: "an upstream failed" }]);
  });

  test("a JobError out of bounds is brought within them: a wait that is no number would never end", async () => {
    for (const retryAfterMs of [Number.NaN, -4, "soon" as never]) {
      const end = await endOf(createPlace(), () => {
        throw new JobError("has blanks!", "x".repeat(5000), { retryAfterMs });
      });
      expect(end).toMatchObject({ kind: "job.retrying", data: { delayMs: 500 } });
      expect(errorOf(end)).toMatchObject({ code: "handler_error", message: "x".repeat(2000) });
    }
    const longest = await endOf(createPlace(), () => {
      throw new JobError("later", "Wait.", { retryAfterMs: Number.POSITIVE_INFINITY });
    });
    expect(longest).toMatchObject({ data: { delayMs: LIMITS.timeoutMs } });
    const rounded = await endOf(createPlace(), () => {
      throw new JobError("later", "Wait.", { retryAfterMs: 0.5 });
    });
    expect(rounded).toMatchObject({ data: { delayMs: 1 } });
  });

  test("a failure of an upstream is logged with what the upstream said", async () => {
    const place = createPlace();
    await endOf(place, () => {
      throw new JobError("upstream_error", "It answered 500.", {
        origin: "upstream",
        cause: { status: 500, said: "out of memory" },
      });
    });
    const fields = {
      code: "upstream_error",
      problem: "It answered 500.",
      status: 500,
      said: "out of memory",
    };
    expect(place.lines).toMatchObject([{ level: "warn", message: "an upstream failed", fields }]);
  });

  test("anything else is retried, logged, and hidden from the user", async () => {
    const place = createPlace();
    const secret = new TypeError("the password is hunter2");
    const end = await endOf(place, () => Promise.reject(secret));
    expect(end).toMatchObject({ kind: "job.retrying", data: { reason: "error", delayMs: 500 } });
    expect(errorOf(end)).toMatchObject({ code: "handler_error", retryable: true, origin: "handler" });
    expect(JSON.stringify(end)).not.toContain("hunter2");
    expect(place.lines).toMatchObject([{ level: "error", fields: { error: secret } }]);
  });

  test("at once, before it is asynchronous, is no different", async () => {
    const end = await endOf(createPlace(), () => {
      throw new Error("at once");
    });
    expect(errorOf(end)).toMatchObject({ code: "handler_error" });
  });

  test("has what it wrote before in the log before its end", async () => {
    const place = createPlace();
    const { run, claimed } = await startOne(
      place,
      handlerOf(
        async (job) => {
          await job.text("first");
          void job.text("half a sen");
          throw new Error("stop");
        },
        { rollupMs: 1000 },
      ),
    );
    await run.done;
    expect((await place.on.kinds(claimed.job.id)).slice(2)).toEqual([
      "output.text",
      "output.text",
      "job.retrying",
    ]);
  });

  test("because its input no longer fits its schema fails like any other", async () => {
    const place = createPlace();
    const handler = handlerOf(() => Promise.resolve(), { input: z.object({ text: z.string() }) });
    const { run, claimed } = await startOne(place, handler, { input: '{"text":1}' });
    await run.done;
    expect(errorOf(await place.on.last(claimed.job.id))).toMatchObject({ code: "handler_error" });
  });
});

describe("output", () => {
  const half = "\ud83d";
  const refused: readonly (readonly [
    name: string,
    write: (job: RunningJob) => Promise<void>,
    code: string,
  ])[] = [
    // First: the others announce one.
    ["sound before its format", (job) => job.audio(new Uint8Array(2)), "invalid_output"],
    ["a text over its bound", (job) => job.text("x".repeat(LIMITS.deltaBytes + 1)), "output_too_large"],
    [
      "a text over its bound in bytes",
      (job) => job.text("ü".repeat(LIMITS.deltaBytes / 2 + 1)),
      "output_too_large",
    ],
    ["half a code point", (job) => job.text(`x${half}`), "invalid_output"],
    ["a chunk over its bound", sound(new Uint8Array(LIMITS.deltaBytes + 2)), "output_too_large"],
    ["sound that is no bytes", sound(new Int16Array(2)), "invalid_output"],
    ["another format than before", sound(new Uint8Array(2), { channels: 2 }), "invalid_output"],
    ["bytes over their bound", (job) => job.data(new Uint8Array(LIMITS.deltaBytes + 1)), "output_too_large"],
    ["data over eventBytes", (job) => job.data("x".repeat(LIMITS.eventBytes)), "output_too_large"],
    ["a text that is none", (job) => job.text(7 as never), "invalid_output"],
    ["a text of no output", (job) => job.text("x", { index: 0.5 }), "invalid_output"],
    ["data that is no JSON", (job) => job.data(1n as never), "invalid_output"],
    ["data that is nothing", (job) => job.data(undefined as never), "invalid_output"],
    [
      "a format that nobody can play",
      (job) => job.audioFormat({ codec: "pcm_s16le", sampleRate: 0, channels: 1 }),
      "invalid_output",
    ],
    ["half a sample", sound(new Uint8Array(3)), "invalid_output"],
    ["a ratio that is no number", (job) => job.progress(Number.NaN), "invalid_output"],
    ["a checkpoint of nothing", (job) => job.checkpoint(undefined as never), "invalid_output"],
    [
      "a checkpoint over eventBytes",
      (job) => job.checkpoint("x".repeat(LIMITS.eventBytes)),
      "output_too_large",
    ],
  ];
  test.each(refused)("refuses %s, which ends the job when nobody catches it", async (_name, write, code) => {
    const place = createPlace();
    const end = await endOf(place, async (job) => {
      await write(job);
    });
    expect(end.kind).toBe("job.failed");
    expect(errorOf(end)).toMatchObject({ code, retryable: false });
  });

  test("refused may be caught, and the run goes on", async () => {
    const place = createPlace();
    const end = await endOf(place, async (job) => {
      for (const [, write] of refused) await failureOf(write(job));
      await job.text("x".repeat(LIMITS.deltaBytes));
      await job.audio(new Uint8Array(LIMITS.deltaBytes));
      await job.data(new Uint8Array(LIMITS.deltaBytes));
      await job.data("x".repeat(LIMITS.eventBytes - 2));
      return "done";
    });
    expect(end).toEqual({ kind: "job.succeeded", data: { result: "done" } });
  });

  test("refused harms nobody who does not look", async () => {
    const end = await endOf(createPlace(), async (job) => {
      for (const [, write] of refused) void write(job);
      await settle();
      return "done";
    });
    expect(end).toMatchObject({ kind: "job.succeeded" });
  });

  test("refused is told in the log: not everybody waits for it", async () => {
    const place = createPlace();
    await endOf(place, (job) => {
      void job.audio(new Uint8Array(2));
      return Promise.resolve();
    });
    const fields = { code: "invalid_output", problem: "Audio comes before its format in this run." };
    expect(place.lines).toMatchObject([
      { level: "warn", message: "a write of a handler was refused", fields },
    ]);
  });

  test("past the bound of the log ends the run at once, without another try", async () => {
    const place = createPlace();
    const reasons: unknown[] = [];
    const { run, claimed } = await startOne(
      place,
      handlerOf(async (job) => {
        job.signal.addEventListener("abort", () => reasons.push(job.signal.reason));
        for (;;) await job.text("0123456789");
      }),
      { jobBytes: 200 },
    );
    await run.done;
    const end = await place.on.last(claimed.job.id);
    expect(end.kind).toBe("job.failed");
    expect(errorOf(end)).toMatchObject({ code: "output_too_large", retryable: false });
    expect((await place.on.job(claimed.job.id)).logBytes).toBeLessThanOrEqual(200);
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toBeInstanceOf(RunStopped);
  });

  test("that the storage did not take is no success, though the handler did not wait for it", async () => {
    const unavailable = new Refusal("storage_unavailable", "The storage did not confirm the write.");
    const place = createPlace((store) => ({
      ...store,
      execute: (command) => (command.op === "append" ? Promise.reject(unavailable) : store.execute(command)),
    }));
    const end = await endOf(place, (job) => {
      void job.text("lost");
      return Promise.resolve("done");
    });
    expect(end.kind).toBe("job.retrying");
    expect(errorOf(end)).toMatchObject({ code: "handler_error", retryable: true, origin: "server" });
    expect(place.lines).toMatchObject([{ level: "error", fields: { error: unavailable } }]);
  });
});

describe("the end of a run that the storage did not take", () => {
  /** `landed`: the first end was stored all the same, and only its answer was lost. */
  async function endAgain(landed: boolean) {
    const unavailable = new Refusal("storage_unavailable", "The storage did not confirm the write.");
    const outcomes: unknown[] = [];
    const place = createPlace((store) => ({
      ...store,
      execute: async (command) => {
        if (command.op !== "end") return store.execute(command);
        if (outcomes.length < 3) {
          outcomes.push(landed && outcomes.length === 0 ? await store.execute(command) : "refused");
          throw unavailable;
        }
        const outcome = await store.execute(command);
        outcomes.push(outcome);
        return outcome;
      },
    }));
    const { run, claimed } = await startOne(
      place,
      handlerOf(() => Promise.resolve("done")),
    );
    await place.clock.advance(LIMITS.endRetryMs * 8);
    await run.done;
    return { outcomes, log: await place.on.log(claimed.job.id), waiting: place.clock.waiting };
  }

  test("is given again until it is stored", async () => {
    const { outcomes, log, waiting } = await endAgain(false);
    expect(outcomes).toEqual(["refused", "refused", "refused", "succeeded"]);
    expect(log.map(({ kind }) => kind)).toEqual(["job.queued", "job.started", "job.succeeded"]);
    expect(waiting).toBe(0);
  });

  test("ends the job once though it had landed", async () => {
    const { outcomes, log } = await endAgain(true);
    expect(outcomes).toEqual(["succeeded", "refused", "refused", "lease_lost"]);
    expect(log.map(({ kind }) => kind)).toEqual(["job.queued", "job.started", "job.succeeded"]);
  });
});

describe("the time of a run", () => {
  /** Writes when the test says so, and never ends by itself, nor when it is told to. */
  async function stubborn(options: Parameters<typeof startOne>[2]) {
    const place = createPlace();
    let job: RunningJob | undefined;
    const { run, claimed } = await startOne(
      place,
      handlerOf((given) => {
        job = given;
        return never();
      }),
      options,
    );
    if (job === undefined) throw new Error("the handler was not run");
    let settled = false;
    void run.done.then(() => {
      settled = true;
    });
    return { ...place, job, id: claimed.job.id, settled: () => settled };
  }

  test("is limited: the job goes on without a handler that does not listen", async () => {
    const { clock, on, job, id, settled } = await stubborn({ timeoutMs: 5000, maxAttempts: 1 });
    await clock.advance(4999);
    expect(await on.job(id)).toMatchObject({ status: "running" });
    await clock.advance(1);
    expect(await on.last(id)).toMatchObject({
      kind: "job.failed",
      data: { error: { code: "timeout", origin: "timeout", retryable: true } },
    });
    expect(job.signal.aborted).toBe(true);
    // It still holds its slot: nobody knows what it is doing.
    expect(settled()).toBe(false);
    expect(clock.waiting).toBe(0);
  });

  test("is an error like others: the job runs again", async () => {
    const { clock, on, id } = await stubborn({ timeoutMs: 5000 });
    await clock.advance(5000);
    expect(await on.last(id)).toMatchObject({ kind: "job.retrying", data: { error: { code: "timeout" } } });
  });

  test("to its first output is limited on its own", async () => {
    const late = await stubborn({ firstOutputMs: 100 });
    void late.job.progress(0.5); // no output
    await late.clock.advance(99);
    expect(await late.on.job(late.id)).toMatchObject({ status: "running" });
    await late.clock.advance(1);
    expect(errorOf(await late.on.last(late.id))).toMatchObject({ code: "first_output_timeout" });

    const inTime = await stubborn({ firstOutputMs: 100 });
    await inTime.clock.advance(99);
    void inTime.job.text("x");
    await inTime.clock.advance(10_000);
    expect(await inTime.on.job(inTime.id)).toMatchObject({ status: "running" });
  });

  test("since its last output is limited on its own", async () => {
    const { clock, on, job, id } = await stubborn({ idleMs: 100 });
    await clock.advance(5000); // before the first output it does not count
    const writes = [
      () => job.text("x"),
      () => job.audioFormat({ codec: "mp3", sampleRate: 1, channels: 1 }),
      () => job.audio(new Uint8Array(2)),
      () => job.data(1),
    ];
    for (const write of writes) {
      await write();
      await clock.advance(99);
      expect(await on.job(id)).toMatchObject({ status: "running" });
    }
    // One timer for the whole run, one for the silence; none is left of the outputs before.
    expect(clock.waiting).toBe(2);
    void job.progress(0.5);
    await clock.advance(1);
    expect(errorOf(await on.last(id))).toMatchObject({
      code: "idle_timeout",
      message: "No output for 100 ms.",
    });
  });

  test("over, nothing it writes is taken, and it is told why", async () => {
    const { clock, on, job, id } = await stubborn({ timeoutMs: 10, idleMs: 1000, maxAttempts: 1 });
    await job.text("in time");
    await clock.advance(10);
    const { head } = await on.job(id);
    const tries = [job.text("x"), job.data(1), job.audio(new Uint8Array(1)), job.progress(1)];
    for (const failure of await Promise.all(tries.map(failureOf))) {
      expect(failure).toBe(job.signal.reason as Error);
      expect(failure).toMatchObject({ name: "RunStopped", message: "timeout" });
    }
    expect(await failureOf(job.checkpoint(1))).toMatchObject({ message: "lease_lost" });
    // Not awaited, it fails without anybody hearing of it.
    for (const write of [job.text("x"), job.data(1), job.progress(1)]) void write;
    await settle();
    expect(await on.job(id)).toMatchObject({ head });
    expect(clock.waiting).toBe(0);
  });
});

describe("a run that is stopped", () => {
  const obedient: Work = (job) =>
    new Promise((_resolve, reject) => {
      job.signal.addEventListener("abort", () => reject(job.signal.reason as Error), { once: true });
    });

  test("because its job was canceled ends it as canceled, as soon as the handler settles", async () => {
    const place = createPlace();
    const { run, claimed } = await startOne(place, handlerOf(obedient));
    const { id } = claimed.job;
    await place.on.cancel(id);
    run.stop(new RunStopped("canceled"));
    await run.done;
    expect(await place.on.kinds(id)).toEqual(["job.queued", "job.started", "job.canceling", "job.canceled"]);
    expect(place.lines).toEqual([]);
  });

  test("though it returns a result: it ends as it was told to", async () => {
    const place = createPlace();
    const gate = Promise.withResolvers<void>();
    const { run, claimed } = await startOne(
      place,
      handlerOf(() => gate.promise),
    );
    run.stop(new RunStopped("released", { released: true }));
    // A later reason does not count.
    run.stop(new RunStopped("timeout", { error: { code: "timeout", message: "", origin: "timeout" } }));
    await settle();
    // Nothing is decided for a handler that may still stop by itself.
    expect(await place.on.job(claimed.job.id)).toMatchObject({ status: "running" });
    gate.resolve();
    await run.done;
    expect(await place.on.last(claimed.job.id)).toMatchObject({
      kind: "job.retrying",
      data: { reason: "released" },
    });
  });

  test("because it lost its lease changes nothing of what came after", async () => {
    const place = createPlace();
    const { on } = place;
    let seen: RunningJob | undefined;
    const { run, claimed } = await startOne(
      place,
      handlerOf((job, input) => {
        seen = job;
        return obedient(job, input);
      }),
    );
    const { id, leaseToken } = claimed.job;
    await on.release({ id, lease: leaseToken, attempt: 1 });
    const next = await on.again(id);
    await on.text(next, "mine");
    // It notices when it writes.
    expect((await failureOf(seen?.text("stale") ?? Promise.resolve())).message).toBe("lease_lost");
    await run.done;
    expect(seen?.signal.aborted).toBe(true);
    expect((await on.log(id)).slice(-1).map(dataOf)).toEqual([{ delta: "mine", index: 0 }]);
    expect(await on.job(id)).toMatchObject({ status: "running", attempt: 2 });
    expect(place.lines).toEqual([]);
  });

  test("after it has ended is left alone", async () => {
    const place = createPlace();
    const { run, claimed } = await startOne(
      place,
      handlerOf(() => Promise.resolve(1)),
    );
    await run.done;
    run.stop(new RunStopped("timeout", { error: { code: "timeout", message: "", origin: "timeout" } }));
    await settle();
    expect(await place.on.last(claimed.job.id)).toMatchObject({ kind: "job.succeeded" });
  });
});

test("a run whose end cannot be stored settles all the same, and the reason is logged", async () => {
  const place = createPlace((store) => ({
    ...store,
    execute: (command) =>
      command.op === "end" ? Promise.reject(new Error("no disk")) : store.execute(command),
  }));
  const { run, claimed } = await startOne(
    place,
    handlerOf(() => Promise.resolve(1)),
  );
  await run.done;
  expect(await place.on.job(claimed.job.id)).toMatchObject({ status: "running" });
  expect(place.lines).toMatchObject([{ level: "error", fields: { error: { message: "no disk" } } }]);
});
