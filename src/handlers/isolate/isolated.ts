/**
 * The server's side of an isolated handler: a thread for each run. Starting one takes a few milliseconds; one that does
 * not stop when it is told to is ended from outside, whatever it is doing.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import { entryPoint } from "../../lib/entry-point.ts";
import type { Json } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { JobError, type AnyHandler, type RunningJob } from "../handler.ts";
import { errorOf, factsOf } from "./errors.ts";
import type { FromThread, HandlerPlace, ToThread } from "./messages.ts";

export interface IsolatedOptions {
  readonly place: HandlerPlace;
  readonly clock: Clock;
  /** A thread that runs thread.ts. */
  readonly startThread?: () => Worker;
}

function startHandlerThread(): Worker {
  return new Worker(entryPoint("handlers/isolate/thread.ts"));
}

/** What the thread asks for, done on the job; its answer goes back under the call's number. */
function answerCall(
  job: RunningJob,
  { number, name, parameters }: Extract<FromThread, { kind: "call" }>,
  send: (message: ToThread) => void,
): void {
  const call = job[name] as (...given: readonly unknown[]) => Promise<unknown>;
  Promise.resolve()
    .then(() => call(...parameters))
    .then(
      (value) => send({ kind: "answer", to: number, value }),
      (error: unknown) => send({ kind: "refusal", to: number, error: factsOf(error) }),
    );
}

function runInThread(job: RunningJob, input: unknown, options: IsolatedOptions): Promise<Json | void> {
  const { place, clock, startThread = startHandlerThread } = options;
  const outcome = Promise.withResolvers<Json | void>();
  const thread = startThread();
  let grace: Timer | null = null;
  let over = false;
  const send = (message: ToThread): void => {
    if (!over) thread.postMessage(message);
  };
  const abort = (): void => {
    send({ kind: "abort", error: factsOf(job.signal.reason) });
    grace = clock.after(LIMITS.isolateGraceMs, () => outcome.reject(job.signal.reason as Error));
  };
  const lost = (why: string): void =>
    outcome.reject(
      new JobError("handler_error", "The handler's thread ended before its work.", { cause: why }),
    );

  const hear = (data: FromThread): void => {
    if (data.kind === "call") answerCall(job, data, send);
    else if (data.kind === "log") {
      job.log[data.level](data.fields, data.message);
      send({ kind: "heard" });
    } else if (data.kind === "stray") {
      job.log.error({ error: errorOf(data.error) }, "a handler failed outside of its run");
      send({ kind: "heard" });
    } else if (data.kind === "done") outcome.resolve(data.value as Json);
    else outcome.reject(errorOf(data.error));
  };
  thread.onmessage = ({ data }: MessageEvent<FromThread>) => {
    // The handler's code can post what it likes: nothing of it may reach the server as an error that nobody awaits.
    try {
      hear(data);
    } catch (error) {
      outcome.reject(error);
    }
  };
  thread.onerror = (event) => {
    job.log.warn({ problem: event.message }, "the thread of a handler failed");
    lost(event.message);
  };
  thread.addEventListener("close", () => lost("closed"));

  const { id, type, attempt, userId, sessionId, metadata, traceparent, idleMs, lastCheckpoint } = job;
  const facts = { id, type, attempt, userId, sessionId, metadata, traceparent, idleMs, lastCheckpoint };
  try {
    send({ kind: "start", place, facts, input });
  } catch (error) {
    const why = "The input cannot be copied into the handler's thread.";
    outcome.reject(new JobError("handler_error", why, { retryable: false, cause: error }));
  }
  if (job.signal.aborted) abort();
  else job.signal.addEventListener("abort", abort, { once: true });
  return outcome.promise.finally(() => {
    over = true;
    grace?.cancel();
    job.signal.removeEventListener("abort", abort);
    thread.terminate();
  });
}

/** The same handler, each run in a thread of its own. What it is given and returns is copied (structured clone). */
export function createIsolated(handler: AnyHandler, options: IsolatedOptions): AnyHandler {
  return { ...handler, run: (job, input: unknown) => runInThread(job, input, options) };
}
