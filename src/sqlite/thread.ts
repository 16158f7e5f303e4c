/** The writer's thread and the line to it: one message a batch, one message back. */
import type { Database } from "bun:sqlite";
import type { Clock } from "../lib/clock.ts";
import {
  commitBatch,
  createWriter,
  type Participant,
  type WriteRequest,
  type Writer,
  type WriteResult,
} from "./writer.ts";

interface ThreadStart {
  readonly path: string;
  readonly durability: "power" | "process";
}

type ToThread =
  { readonly start: ThreadStart } | { readonly batch: WriteRequest[] } | { readonly stop: true };

type FromThread =
  | { readonly ready: true }
  | { readonly results: WriteResult[] }
  | { readonly fatal: string }
  | { readonly stopped: true };

export interface ThreadSide {
  readonly db: Database;
  readonly participants: Readonly<Record<string, Participant>>;
  close(): void;
}

/** The thread's whole program: `open` is called once with what the other side asked for. */
export function runWriterThread(scope: Worker, open: (start: ThreadStart) => ThreadSide): void {
  let side: ThreadSide | null = null;
  const answer = (message: FromThread): void => scope.postMessage(message);
  scope.onmessage = ({ data }: MessageEvent<ToThread>) => {
    try {
      if ("start" in data) {
        side = open(data.start);
        answer({ ready: true });
      } else if ("stop" in data) {
        side?.close();
        answer({ stopped: true });
      } else if (side !== null) {
        answer({ results: commitBatch(side.db, side.participants, data.batch) });
      }
    } catch (error) {
      answer({ fatal: String(error) });
    }
  };
}

/** Starts the thread; resolves when its database is open. Rejects when it cannot be opened. */
export async function startWriterThread(worker: Worker, start: ThreadStart, clock?: Clock): Promise<Writer> {
  let waiting: { resolve: (message: FromThread) => void; reject: (error: Error) => void } | null = null;
  let dead: Error | null = null;
  const ask = (message: ToThread): Promise<FromThread> => {
    // A thread that is gone answers nothing: whoever asks it must not wait for ever.
    if (dead !== null) return Promise.reject(dead);
    return new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      worker.postMessage(message);
    });
  };
  const fail = (why: string): Error => {
    const error = new Error(`the database writer failed: ${why}`);
    waiting?.reject(error);
    waiting = null;
    return error;
  };
  worker.onmessage = ({ data }: MessageEvent<FromThread>) => {
    if ("fatal" in data) fail(data.fatal);
    else {
      waiting?.resolve(data);
      waiting = null;
    }
  };
  worker.onerror = (event) => {
    dead = fail(event.message);
  };

  await ask({ start });
  return createWriter(
    async (batch) => {
      const message = await ask({ batch });
      if (!("results" in message)) throw new Error("the database writer answered out of turn");
      return message.results;
    },
    async () => {
      if (dead === null) await ask({ stop: true });
      worker.terminate();
    },
    undefined,
    clock,
  );
}
