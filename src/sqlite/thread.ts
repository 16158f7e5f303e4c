/** The writer's thread and the line to it: one message a batch, one message back. */
import type { Database } from "bun:sqlite";
import { createSystemClock, type Clock } from "../lib/clock.ts";
import type { Turns } from "./turns.ts";
import {
  createWriter,
  DatabaseDamaged,
  type WriteRequest,
  type Writer,
  type WriteResult,
} from "../database/writer.ts";
import { isDamage } from "./errors.ts";
import { commitBatch, type Participant } from "./writer.ts";

interface ThreadStart {
  readonly path: string;
  readonly durability: "power" | "process";
  /** Other processes write this file as well. */
  readonly shared?: boolean;
}

type ToThread =
  | { readonly start: ThreadStart }
  | { readonly batch: WriteRequest[] }
  | { readonly stop: true }
  | { readonly help: ThreadStart };

type FromThread =
  | { readonly ready: true }
  | { readonly results: WriteResult[] }
  /** Too much waits to be written back into the database for this thread to do it. */
  | { readonly behind: true }
  /** The other thread is done with helping; `held`: somebody did not let it. */
  | { readonly helped: true; readonly held: boolean }
  | { readonly fatal: string }
  | { readonly stopped: true };

export interface ThreadSide {
  readonly db: Database;
  readonly participants: Readonly<Record<string, Participant>>;
  /** Without: nobody else writes. */
  readonly turns?: Turns;
  /** When a batch was answered. True: the log needs somebody else to write it back. */
  afterBatch(): boolean;
  close(): void;
}

export interface ThreadProgram {
  /** Called once, with what the other side asked for. */
  readonly open: (start: ThreadStart) => ThreadSide;
  /** Writes back what the writer of this database is behind with; false when somebody held most of it. */
  readonly help: (start: ThreadStart) => boolean;
}

/** A thread's whole program: the writer, or a helper of one. */
export function runWriterThread(scope: Worker, { open, help }: ThreadProgram): void {
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
      } else if ("help" in data) {
        answer({ helped: true, held: !help(data.help) });
      } else if (side !== null) {
        answer({ results: commitBatch(side.db, side.participants, data.batch, side.turns) });
        if (side.afterBatch()) answer({ behind: true });
      }
    } catch (error) {
      answer({ fatal: String(isDamage(error) ? new DatabaseDamaged(error) : error) });
    }
  };
}

/** A held log is not tried again at once: whoever holds it has to let go first. */
const HELD_MS = 5000;

interface Help {
  /** Starts a helper unless one is at work, or the last one was held a moment ago. */
  ask(): void;
  /** Resolves when none is at work. */
  idle(): Promise<void>;
}

function createHelp(spawn: () => Worker, start: ThreadStart, clock: Clock): Help {
  let working: Promise<void> | null = null;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  const work = async (): Promise<void> => {
    const helper = spawn();
    const done = Promise.withResolvers<boolean>();
    helper.onmessage = ({ data }: MessageEvent<FromThread>) => done.resolve(!("helped" in data) || data.held);
    helper.onerror = () => done.resolve(true);
    helper.postMessage({ help: start } satisfies ToThread);
    if (await done.promise) notBeforeMs = clock.elapsedMs() + HELD_MS;
    helper.terminate();
    working = null;
  };
  return {
    ask() {
      if (clock.elapsedMs() >= notBeforeMs) working ??= work();
    },
    idle: async () => (await working) ?? undefined,
  };
}

/**
 * Starts the thread; resolves when its database is open. Rejects when it cannot be opened. `spawn` gives a thread that
 * runs `runWriterThread`: the writer, and later its helpers.
 */
export async function startWriterThread(
  spawn: () => Worker,
  start: ThreadStart,
  clock: Clock = createSystemClock(),
): Promise<Writer> {
  const worker = spawn();
  const help = createHelp(spawn, start, clock);
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
    if ("behind" in data) help.ask();
    else if ("fatal" in data) fail(data.fatal);
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
      await help.idle();
      if (dead === null) await ask({ stop: true });
      worker.terminate();
    },
    undefined,
    clock,
  );
}
