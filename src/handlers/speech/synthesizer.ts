/**
 * Keeps the synthesis thread: starts it when the first sentence comes, gives it one sentence at a time, takes a
 * sentence away from it that takes too long, and replaces it when it dies.
 *
 * Sentences are served in the order they came. Each request has at most one of them here, so first come, first
 * served among sentences is taking turns among requests.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import { JobError } from "../handler.ts";
import type { SynthesisAnswer, SynthesisOrder } from "./worker.ts";

/** Sound as the thread made it. */
export interface Sound {
  readonly sampleRate: number;
  /** Samples, s16le mono. */
  readonly pcm: Uint8Array;
}

export interface Synthesizer {
  /**
   * Makes the sound of one piece of text. Rejects with the signal's reason at once when that is aborted (what is
   * being made is finished and thrown away), and with a retryable JobError `speech_failed` when it took too long,
   * the thread died, or the text cannot be synthesized.
   */
  synthesize(piece: Omit<SynthesisOrder, "id">, signal: AbortSignal): Promise<Sound>;
  /** Ends the thread for good; what waits and what comes later is rejected. */
  stop(): void;
}

export interface SynthesizerOptions {
  readonly clock: Clock;
  readonly startWorker: () => Worker;
  /** Longest time of one sentence, the start of the thread included. */
  readonly sentenceMs: number;
}

interface Task {
  readonly order: SynthesisOrder;
  resolve(sound: Sound): void;
  reject(error: Error): void;
}

function speechFailed(message: string, cause?: unknown): JobError {
  return new JobError("speech_failed", message, { cause });
}

function engineStopped(): JobError {
  return speechFailed("The speech engine was stopped.");
}

export function createSynthesizer(options: SynthesizerOptions): Synthesizer {
  const waiting: Task[] = [];
  let active: Task | null = null;
  let worker: Worker | null = null;
  let watchdog: Timer | null = null;
  let stopped = false;
  let lastId = 0;

  /** Takes the sentence that is being made out of the thread's hands. */
  const release = (): Task | null => {
    watchdog?.cancel();
    const task = active;
    active = null;
    return task;
  };

  /**
   * Replaces the thread. Bun 1.4.5 cannot interrupt WebAssembly: a thread that is inside a sentence ends when that
   * returns, and until then it only costs its core. Nobody waits for it.
   */
  const dropWorker = (error: JobError): void => {
    const lost = worker;
    worker = null;
    lost?.terminate();
    release()?.reject(error);
    next();
  };

  const start = (): Worker => {
    const started = options.startWorker();
    // A thread that was replaced may still have something to say; only the present one is listened to.
    started.addEventListener("message", (event: MessageEvent<SynthesisAnswer>) => {
      if (worker !== started || event.data.id !== active?.order.id) return;
      const task = release();
      const answer = event.data;
      if ("pcm" in answer) task?.resolve({ sampleRate: answer.sampleRate, pcm: new Uint8Array(answer.pcm) });
      else task?.reject(speechFailed("A sentence could not be spoken.", new Error(answer.failed)));
      next();
    });
    const died = (event: Event): void => {
      if (worker !== started) return;
      const cause = event instanceof ErrorEvent ? new Error(event.message) : undefined;
      dropWorker(speechFailed("The speech engine stopped in the middle of a sentence.", cause));
    };
    started.addEventListener("error", died);
    started.addEventListener("close", died);
    return started;
  };

  const next = (): void => {
    if (active !== null) return;
    const task = waiting.shift();
    if (task === undefined) return;
    active = task;
    watchdog = options.clock.after(options.sentenceMs, () =>
      dropWorker(speechFailed("A sentence took too long to be spoken.")),
    );
    worker ??= start();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage(task.order);
  };

  return {
    synthesize(piece, signal) {
      return new Promise<Sound>((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        if (stopped) {
          reject(engineStopped());
          return;
        }
        lastId += 1;
        const onAbort = (): void => {
          const place = waiting.indexOf(task);
          if (place !== -1) waiting.splice(place, 1);
          reject(signal.reason as Error);
        };
        const task: Task = {
          order: { ...piece, id: lastId },
          resolve(sound) {
            signal.removeEventListener("abort", onAbort);
            resolve(sound);
          },
          reject(error) {
            signal.removeEventListener("abort", onAbort);
            reject(error);
          },
        };
        signal.addEventListener("abort", onAbort, { once: true });
        waiting.push(task);
        next();
      });
    },
    stop() {
      stopped = true;
      for (const task of waiting.splice(0)) task.reject(engineStopped());
      dropWorker(engineStopped());
    },
  };
}
