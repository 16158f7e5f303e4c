/**
 * The thread of one run of an isolated handler. It is a program of its own: the build lists it as an entry point. What
 * blocks, crashes or ends it takes nothing with it but this run.
 */
import { provideModule } from "../files/module.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { JobError, type AnyHandler, type RunLog, type RunLogLine, type RunningJob } from "../handler.ts";
import { errorOf, factsOf } from "./errors.ts";
import { CALLS, type Call, type FromThread, type JobFacts, type ToThread } from "./messages.ts";

declare const self: Worker;

type Waiter = PromiseWithResolvers<unknown>;

const waiting = new Map<number, Waiter>();
const aborted = new AbortController();
let lastNumber = 0;

const say = (message: FromThread): void => self.postMessage(message);

function ask(name: Call, parameters: readonly unknown[]): Promise<unknown> {
  if (aborted.signal.aborted) return Promise.reject(aborted.signal.reason as Error);
  if (waiting.size >= LIMITS.isolatedCalls) {
    throw new JobError("handler_error", "The handler did not wait for its writes.", { retryable: false });
  }
  lastNumber += 1;
  const waiter = Promise.withResolvers<unknown>();
  waiting.set(lastNumber, waiter);
  // Not every write is awaited; the run itself learns of a refusal by other means.
  waiter.promise.catch(() => undefined);
  say({ kind: "call", number: lastNumber, name, parameters });
  return waiter.promise;
}

/** A part of a log line that may go to the server; of what cannot be copied its look. */
function clonable(part: unknown): unknown {
  if (typeof part !== "object" || part === null) return part;
  const fields = Object.entries(part).map(([name, value]): [string, unknown] => {
    try {
      return [name, structuredClone(value)];
    } catch {
      return [name, Bun.inspect(value)];
    }
  });
  return Object.fromEntries(fields);
}

function jobOf(facts: JobFacts): RunningJob {
  const calls = Object.fromEntries(
    CALLS.map((name) => [name, (...parameters: unknown[]) => ask(name, parameters)]),
  );
  const log =
    (level: keyof RunLog): RunLogLine =>
    (...line) => {
      try {
        say({ kind: "log", level, line });
      } catch {
        say({ kind: "log", level, line: line.map(clonable) as Parameters<RunLogLine> });
      }
    };
  return {
    ...facts,
    ...(calls as unknown as Pick<RunningJob, Call>),
    signal: aborted.signal,
    log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
  };
}

async function run({ place, facts, input }: Extract<ToThread, { kind: "start" }>): Promise<void> {
  try {
    provideModule(place.folder);
    const exported = ((await import(place.file)) as { default: AnyHandler | readonly AnyHandler[] }).default;
    const handler = [exported].flat()[place.index] as AnyHandler;
    const value = await handler.run(jobOf(facts), input);
    say({ kind: "done", value });
  } catch (error) {
    say({ kind: "failed", error: factsOf(error) });
  }
}

// An error that nobody awaited ends nothing here either; without this it would end the thread, and so the run.
for (const name of ["unhandledRejection", "uncaughtException"])
  // allowed: threads are programs of their own, and these events alone tell of such errors.
  process.on(name, (error: unknown) => say({ kind: "stray", error: factsOf(error) }));

self.onmessage = ({ data }: MessageEvent<ToThread>) => {
  if (data.kind === "start") {
    void run(data);
    return;
  }
  if (data.kind === "abort") {
    const reason = errorOf(data.error);
    aborted.abort(reason);
    for (const waiter of waiting.values()) waiter.reject(reason);
    waiting.clear();
    return;
  }
  const waiter = waiting.get(data.to);
  waiting.delete(data.to);
  if (data.kind === "answer") waiter?.resolve(data.value);
  else waiter?.reject(errorOf(data.error));
};
