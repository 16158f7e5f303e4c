/**
 * The thread of one run of an isolated handler. It is a program of its own: the build lists it as an entry point. What
 * blocks, crashes or ends it takes nothing with it but this run.
 */
import { provideModule } from "../files/module.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { JobError, type AnyHandler, type RunningJob } from "../handler.ts";
import { errorOf, factsOf } from "./errors.ts";
import { CALLS, type Call, type FromThread, type JobFacts, type ToThread } from "./messages.ts";
import { createThreadLog } from "./thread-log.ts";

declare const self: Worker;

/** A call that waits for its answer, and how much of the server's memory it may take. */
interface Waiter extends PromiseWithResolvers<unknown> {
  readonly bytes: number;
}

const waiting = new Map<number, Waiter>();
let waitingBytes = 0;
const aborted = new AbortController();
let lastNumber = 0;

const say = (message: FromThread): void => self.postMessage(message);
const lines = createThreadLog(say);

/** What a call carries, roughly: the server bounds it exactly, once it has it. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== "object" || value === null) return 0;
  try {
    return JSON.stringify(value).length;
  } catch {
    return 0;
  }
}

function ask(name: Call, parameters: readonly unknown[]): Promise<unknown> {
  if (aborted.signal.aborted) return Promise.reject(aborted.signal.reason as Error);
  const bytes = sizeOf(parameters[0]);
  if (waiting.size >= LIMITS.isolatedCalls || waitingBytes + bytes > LIMITS.unwrittenBytes) {
    throw new JobError("handler_error", "The handler did not wait for its writes.", { retryable: false });
  }
  lastNumber += 1;
  const waiter = { ...Promise.withResolvers<unknown>(), bytes };
  waiting.set(lastNumber, waiter);
  waitingBytes += bytes;
  // Not every write is awaited; the run itself learns of a refusal by other means.
  waiter.promise.catch(() => undefined);
  say({ kind: "call", number: lastNumber, name, parameters });
  return waiter.promise;
}

function jobOf(facts: JobFacts): RunningJob {
  const calls = Object.fromEntries(
    CALLS.map((name) => [name, (...parameters: unknown[]) => ask(name, parameters)]),
  );
  return {
    ...facts,
    ...(calls as unknown as Pick<RunningJob, Call>),
    signal: aborted.signal,
    log: lines.log,
  };
}

async function run({ place, facts, input }: Extract<ToThread, { kind: "start" }>): Promise<void> {
  try {
    provideModule(place.folder, place.sources);
    const exported = ((await import(place.file)) as { default: AnyHandler | readonly AnyHandler[] }).default;
    const handler = [exported].flat()[place.index] as AnyHandler;
    const value = await handler.run(jobOf(facts), input);
    lines.end();
    say({ kind: "done", value });
  } catch (error) {
    lines.end();
    say({ kind: "failed", error: factsOf(error) });
  }
}

// An error that nobody awaited ends nothing here either; without this it would end the thread, and so the run.
for (const name of ["unhandledRejection", "uncaughtException"])
  // allowed: threads are programs of their own, and these events alone tell of such errors.
  process.on(name, (error: unknown) => lines.stray(error));

self.onmessage = ({ data }: MessageEvent<ToThread>) => {
  if (data.kind === "start") {
    void run(data);
    return;
  }
  if (data.kind === "heard") {
    lines.heard();
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
  waitingBytes -= waiter?.bytes ?? 0;
  if (data.kind === "answer") waiter?.resolve(data.value);
  else waiter?.reject(errorOf(data.error));
};
