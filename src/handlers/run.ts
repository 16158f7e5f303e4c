/**
 * One run of one job in this process: gives the handler its `job`, watches its time, and turns how it settles into the
 * end of the run. The lease fences everything: a run that lost it writes nothing more.
 */
import type { ClaimedJob, JobStore } from "../jobs/store.ts";
import type { RunEnd } from "../jobs/transitions.ts";
import { instant, sleep, type Clock, type Timer } from "../lib/clock.ts";
import { isUuid, type JobId, type UserId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { Refusal } from "../protocol/error.ts";
import type { Json } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { timeOutError, type TimeOutCode } from "../jobs/run-errors.ts";
import { JobError, type AnyHandler, type PreviousJob, type RunningJob } from "./handler.ts";
import { createRunLog } from "./job-log.ts";
import { createOutputCheck, jsonText } from "./output-check.ts";
import { createOutputLog, type OutputLog } from "./output-log.ts";
import { endOf, refusedWrite, resultText, RunStopped } from "./run-end.ts";

export interface RunOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly eventBytes: number;
  readonly jobBytes: number;
  /** Aborted when nobody waits for runs any more: the next process finds what could not be stored. */
  readonly gone?: AbortSignal;
}

export interface Run {
  readonly id: JobId;
  readonly type: string;
  readonly attempt: number;
  /** Asks the handler to stop. */
  stop(reason: RunStopped): void;
  /** Steady time at which it was asked to; null: it was not. */
  readonly stoppedMs: number | null;
  /** A handler that was asked to stop is waited for no longer: its run ends without it. Resolves when that is written. */
  abandon(): Promise<void>;
  /** Resolves when the handler settled and the end of its run is written. */
  readonly done: Promise<void>;
}

/** A finished, successful job of this user, for handlers that continue one. */
export async function findPrevious(store: JobStore, userId: UserId, id: string): Promise<PreviousJob | null> {
  if (!isUuid(id)) return null;
  const found = await store.findWithResult(id as JobId);
  if (found === null || found.job.userId !== userId || found.job.purgedAt !== null || found.result === null)
    return null;
  const input = await store.input(found.job.id);
  if (input === null) return null;
  return {
    id: found.job.id,
    type: found.job.type,
    input: JSON.parse(input) as Json,
    result: JSON.parse(found.result) as Json,
  };
}

interface Watch {
  heardOutput(): void;
  cancel(): void;
}

/** The three time limits of a run; the first that passes stops it. */
function watchTime({ job }: ClaimedJob, clock: Clock, stop: (reason: RunStopped) => void): Watch {
  const limit = (delayMs: number, code: TimeOutCode): Timer =>
    clock.after(delayMs, () => stop(new RunStopped(code, { error: timeOutError(job, code) })));
  let over = false;
  const whole = limit(job.timeoutMs, "timeout");
  let quiet: Timer | null =
    job.firstOutputMs === null ? null : limit(job.firstOutputMs, "first_output_timeout");
  return {
    heardOutput() {
      // What a handler writes after its end is refused, and starts no watch.
      if (over) return;
      quiet?.cancel();
      quiet = job.idleMs === null ? null : limit(job.idleMs, "idle_timeout");
    },
    cancel() {
      over = true;
      whole.cancel();
      quiet?.cancel();
    },
  };
}

function createRunningJob(
  claimed: ClaimedJob,
  options: RunOptions,
  log: OutputLog,
  heardOutput: () => void,
  signal: AbortSignal,
): RunningJob {
  const { job } = claimed;
  const { store, clock } = options;
  /** A handler may choose not to await; the run itself learns of a refusal by other means. */
  const quietly = (write: Promise<void>): Promise<void> => {
    write.catch(() => {});
    return write;
  };
  const output = (write: Promise<void>): Promise<void> => {
    heardOutput();
    return quietly(write);
  };
  const check = createOutputCheck();
  /** A run that is over says so, whatever its handler still writes. Not everybody waits to hear what is wrong. */
  const refuse = (wrong: JobError): Promise<void> => {
    if (signal.aborted) return quietly(Promise.reject(signal.reason as Error));
    options.logger.warn({ code: wrong.code, problem: wrong.message }, "a write of a handler was refused");
    return quietly(Promise.reject(wrong));
  };
  const keep = async (value: string): Promise<void> => {
    await log.settle();
    const { id, leaseToken: lease } = job;
    const outcome = await store.execute({ op: "checkpoint", at: instant(clock), id, lease, value });
    if (outcome !== "ok") throw new RunStopped(outcome);
  };
  return {
    id: job.id,
    type: job.type,
    attempt: job.attempt,
    userId: job.userId,
    sessionId: job.sessionId,
    metadata: job.metadata,
    traceparent: job.traceparent,
    idleMs: job.idleMs,
    signal,
    log: createRunLog(options.logger),
    lastCheckpoint: claimed.checkpoint === null ? null : (JSON.parse(claimed.checkpoint) as Json),
    text(delta, { index = 0 } = {}) {
      const wrong = check.text(delta, index);
      if (wrong !== null) return refuse(wrong);
      return delta === "" ? Promise.resolve() : output(log.text(delta, index));
    },
    audioFormat(format) {
      const wrong = check.format(format);
      return wrong === null
        ? output(log.write("output.audio.format", JSON.stringify(format)))
        : refuse(wrong);
    },
    audio(bytes) {
      const wrong = check.audio(bytes);
      if (wrong !== null) return refuse(wrong);
      return bytes.byteLength === 0 ? Promise.resolve() : output(log.write("output.audio", bytes.slice()));
    },
    data(value) {
      if (value instanceof Uint8Array) {
        const wrong = check.data(value);
        return wrong === null ? output(log.write("output.data", value.slice())) : refuse(wrong);
      }
      const text = jsonText(value, "A data entry", options.eventBytes);
      return text instanceof JobError ? refuse(text) : output(log.write("output.data", text));
    },
    progress(ratio, message) {
      const wrong = check.ratio(ratio);
      if (wrong !== null) return refuse(wrong);
      const report = {
        ...(ratio === null ? {} : { ratio: Math.min(1, Math.max(0, ratio)) }),
        ...(message === undefined ? {} : { message }),
      };
      const text = jsonText(report, "A progress report", LIMITS.deltaBytes);
      return text instanceof JobError ? refuse(text) : quietly(log.progress(text));
    },
    checkpoint(value) {
      const text = jsonText(value, "A checkpoint", options.eventBytes);
      return text instanceof JobError ? refuse(text) : keep(text);
    },
    previous: (id) => findPrevious(store, job.userId, id),
  };
}

function notStored(cause: Error): JobError {
  return new JobError("handler_error", "The output could not be stored.", { origin: "server", cause });
}

/** Tells the operator what the user is not told. A code that the handler chose itself says enough. */
function tellFailure(error: unknown, logger: Logger): void {
  if (!(error instanceof JobError)) logger.error({ error }, "a handler failed");
  else if (error.origin === "upstream") {
    const { code, message: problem, cause } = error;
    // Of an error its code alone: its text may name the URL, and that may hold a key.
    const why =
      cause instanceof Error ? { why: "code" in cause ? cause.code : cause.name } : { ...(cause as object) };
    logger.warn({ code, problem, ...why }, "an upstream failed");
  }
}

/** Starts the handler. Never rejects: whatever happens becomes the end of the run. */
export function startRun(handler: AnyHandler, claimed: ClaimedJob, options: RunOptions): Run {
  const { store, clock, logger } = options;
  const { job } = claimed;
  const controller = new AbortController();
  let stopped: RunStopped | null = null;
  let stoppedMs: number | null = null;
  let ending: Promise<void> | null = null;

  const stop = (reason: RunStopped): void => {
    if (stopped !== null || ending !== null) return;
    stopped = reason;
    stoppedMs = clock.steadyMs();
    log.close(reason);
    controller.abort(reason);
    // A time limit is kept though the handler may not care; its slot stays taken until it settles.
    if (reason.error !== null) void finish(endOf(reason, options.random()));
  };

  const log: OutputLog = createOutputLog({
    clock,
    rollupMs: handler.rollupMs ?? LIMITS.rollupDefaultMs,
    append: (items) =>
      store.execute({
        op: "append",
        at: instant(clock),
        id: job.id,
        lease: job.leaseToken,
        items,
        jobBytes: options.jobBytes,
      }),
    onRefused: (why) => stop(refusedWrite(why, options.jobBytes)),
  });

  /**
   * A run that ended has to be told, or its job would run for ever. Asking again is safe though the outcome may be
   * unknown: what landed the first time took the lease with it.
   */
  const writeEnd = async (how: RunEnd): Promise<void> => {
    watch.cancel();
    for (let pauseMs: number = LIMITS.endRetryMs; ; pauseMs = Math.min(2 * pauseMs, LIMITS.endRetryMostMs)) {
      try {
        await store.execute({ op: "end", at: instant(clock), id: job.id, lease: job.leaseToken, how });
        return;
      } catch (error) {
        logger.error({ error }, "the end of a run could not be stored");
        if (!(error instanceof Refusal) || options.gone?.aborted === true) return;
      }
      await sleep(clock, pauseMs);
    }
  };

  /** The first end counts; whoever comes later waits for it. */
  const finish = (how: RunEnd): Promise<void> => (ending ??= writeEnd(how));

  const watch = watchTime(claimed, clock, stop);
  const running = createRunningJob(claimed, options, log, () => watch.heardOutput(), controller.signal);

  const work = async (): Promise<void> => {
    let how: RunEnd;
    try {
      const value = await handler.run(running, handler.input.parse(JSON.parse(claimed.input)));
      await log.settle();
      // The handler need not have waited for its writes; that they are stored is what success means.
      if (stopped === null && log.failure !== null) {
        logger.error({ error: log.failure }, "the output of a run could not be stored");
        throw notStored(log.failure);
      }
      how =
        stopped === null
          ? { kind: "succeeded", result: resultText(value, options.eventBytes) }
          : endOf(stopped, options.random());
    } catch (error) {
      // What it wrote before it failed stands in the log before its end.
      await log.settle();
      how = endOf(stopped ?? error, options.random());
      if (stopped === null) tellFailure(error, logger);
    }
    log.close(new RunStopped("the run is over"));
    await finish(how);
    if (!controller.signal.aborted) controller.abort(new RunStopped("the run is over"));
  };

  return {
    id: job.id,
    type: job.type,
    attempt: job.attempt,
    stop,
    get stoppedMs() {
      return stoppedMs;
    },
    abandon: () => (stopped === null ? Promise.resolve() : finish(endOf(stopped, options.random()))),
    done: work(),
  };
}
