/** A run that commits when the test says so and keeps what was written, and a clock on which every wait is over at once. */
import type { PreviousJob, RunningJob } from "../../src/handlers/handler.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { AudioFormat } from "../../src/protocol/events.ts";

export type Written =
  { readonly text: string } | { readonly audio: Uint8Array } | { readonly format: AudioFormat };

export interface FakeJobOptions {
  readonly attempt?: number;
  readonly previous?: readonly PreviousJob[];
  /** true: nothing is committed before `commit` is called. */
  readonly held?: boolean;
}

export interface FakeJob {
  readonly job: RunningJob;
  /** In the order of the calls. */
  readonly written: Written[];
  readonly text: () => string;
  readonly texts: () => string[];
  /** Writes that were called for and are not committed. */
  readonly pending: () => number;
  /** Commits everything written so far and lets the handler go on; later writes are held again. */
  commit(): Promise<void>;
  /** Fails everything that is pending. */
  fail(error: Error): void;
  abort(reason: Error): void;
}

/** Long enough for every promise that can settle without the outside world. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function createFakeJob(options: FakeJobOptions = {}): FakeJob {
  const written: Written[] = [];
  const controller = new AbortController();
  let waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  const write = (entry: Written): Promise<void> => {
    if (controller.signal.aborted) return Promise.reject(controller.signal.reason as Error);
    written.push(entry);
    if (options.held !== true) return Promise.resolve();
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
    });
  };
  const texts = (): string[] => written.flatMap((entry) => ("text" in entry ? [entry.text] : []));
  const known = new Map(options.previous?.map((job) => [job.id, job]));
  const unused = (): never => {
    throw new Error("no handler of these tests calls this");
  };
  return {
    written,
    texts,
    text: () => texts().join(""),
    pending: () => waiting.length,
    commit() {
      const committed = waiting;
      waiting = [];
      for (const { resolve } of committed) resolve();
      return settle();
    },
    fail(error) {
      const failed = waiting;
      waiting = [];
      for (const { reject } of failed) reject(error);
    },
    abort: (reason) => controller.abort(reason),
    job: {
      id: "01890000-0000-7000-8000-000000000000",
      type: "test",
      attempt: options.attempt ?? 1,
      userId: "user",
      sessionId: null,
      metadata: {},
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      signal: controller.signal,
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      idleMs: null,
      lastCheckpoint: null,
      text: (delta) => write({ text: delta }),
      audioFormat: (format) => write({ format }),
      audio: (bytes) => write({ audio: bytes.slice() }),
      data: unused,
      progress: unused,
      checkpoint: unused,
      previous: (jobId) => Promise.resolve(known.get(jobId) ?? null),
    },
  };
}

export interface InstantClock extends Clock {
  /** The delays that were asked for, in ms. */
  readonly waits: number[];
}

export function createInstantClock(): InstantClock {
  const waits: number[] = [];
  const unused = (): never => {
    throw new Error("no handler of these tests reads the time");
  };
  return {
    waits,
    wallMs: unused,
    steadyMs: unused,
    elapsedMs: unused,
    every: unused,
    after(delayMs, run) {
      waits.push(delayMs);
      let canceled = false;
      queueMicrotask(() => {
        if (!canceled) run();
      });
      return {
        cancel() {
          canceled = true;
        },
      };
    },
  };
}
