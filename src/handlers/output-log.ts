/**
 * What a run writes, on its way to the log: gathered, ordered, one append in flight at a time.
 *
 * While one append is being committed everything that comes after it gathers for the next, so a fast handler costs one
 * command a commit and not one an entry. Text gathers up to `rollupMs` before it becomes an entry; the first at once.
 * Of progress only the newest counts, so that a report that comes too soon after the one before waits for its turn and
 * is replaced by the next.
 */
import type { Item } from "../jobs/job.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { EventKind } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";

export type AppendOutcome = "ok" | "lease_lost" | "output_too_large";

export interface OutputLogOptions {
  readonly clock: Clock;
  readonly rollupMs: number;
  /** Appends the items in order; rejects when the storage is unavailable. */
  readonly append: (items: readonly Item[]) => Promise<AppendOutcome>;
  /** The log takes nothing more from this run; `too_hasty`: more waited to be stored than `unwrittenBytes`. */
  readonly onRefused: (why: Exclude<AppendOutcome, "ok"> | "too_hasty") => void;
}

export interface OutputLog {
  /** Resolves when it is committed, rejects when it will never be. */
  write(kind: EventKind, data: string | Uint8Array): Promise<void>;
  text(delta: string, index: number): Promise<void>;
  /** JSON text of a report. Resolves when it is committed, or in the next turn of the loop when it has to wait. */
  progress(data: string): Promise<void>;
  /** Resolves when all that was written is committed. */
  settle(): Promise<void>;
  /** Why the storage did not take something that was written; null when it took all it was given. */
  readonly failure: Error | null;
  /** Nothing more is written: what still gathers, and every later write, rejects with `reason`. */
  close(reason: Error): void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

interface Gathering {
  readonly index: number;
  text: string;
  readonly waiters: Waiter[];
}

/** Gathered text is logged before it would pass the bound of one entry (UTF-8 needs up to 3 bytes a unit). */
const GATHER_UNITS = Math.floor(LIMITS.deltaBytes / 3);

/** Most entries and bytes of one append, so that one run cannot make everybody's commit long. */
const APPEND_ITEMS = 256;
const APPEND_BYTES = 1024 * 1024;
/** What a call that waits costs beside its data. */
const CALL_BYTES = 256;

interface Entry {
  readonly item: Item;
  readonly waiters: readonly Waiter[];
}

function weightOf({ item, waiters }: Entry): number {
  return item.data.length + waiters.length * CALL_BYTES;
}

/** Thrown, not rejected with, so that a loop that waits for nothing ends as well. */
class TooHasty extends Error {}

export function createOutputLog(options: OutputLogOptions): OutputLog {
  const { clock, rollupMs } = options;
  const items: Entry[] = [];
  let gathering: Gathering | null = null;
  let timer: Timer | null = null;
  let wroteText = false;
  /** The newest report that waits, and what it waits for. */
  let report: string | null = null;
  let reportTimer: Timer | null = null;
  let closed: Error | null = null;
  let failure: Error | null = null;
  let unwrittenBytes = 0;
  let hasty = false;
  let pumping: Promise<void> | null = null;

  const late = (reason: Error): Promise<never> => {
    if (hasty) throw new TooHasty("the handler does not wait for what it writes");
    return Promise.reject(reason);
  };

  const refuse = (waiters: readonly Waiter[], reason: Error): void => {
    for (const waiter of waiters) waiter.reject(reason);
  };

  const take = (): Entry[] => {
    let bytes = 0;
    let count = 0;
    for (const { item } of items) {
      if (count > 0 && (count >= APPEND_ITEMS || bytes >= APPEND_BYTES)) break;
      bytes += item.data.length;
      count += 1;
    }
    return items.splice(0, count);
  };

  const pump = async (): Promise<void> => {
    while (items.length > 0 && closed === null) {
      const batch = take();
      const waiters = batch.flatMap((entry) => entry.waiters);
      try {
        const outcome = await options.append(batch.map((entry) => entry.item));
        for (const entry of batch) unwrittenBytes -= weightOf(entry);
        if (outcome === "ok") for (const waiter of waiters) waiter.resolve();
        else {
          refuse(waiters, new Error(outcome));
          giveUp(outcome);
        }
      } catch (error) {
        failure = error as Error;
        refuse(waiters, failure);
        close(failure);
      }
    }
  };

  const start = (): void => {
    pumping ??= pump().finally(() => {
      pumping = null;
      if (items.length > 0 && closed === null) start();
    });
  };

  const giveUp = (why: Exclude<AppendOutcome, "ok"> | "too_hasty"): void => {
    if (why === "too_hasty") hasty = true;
    options.onRefused(why);
    close(closed ?? new Error(why));
  };

  const enqueue = (item: Item, waiters: readonly Waiter[]): void => {
    const entry = { item, waiters };
    items.push(entry);
    unwrittenBytes += weightOf(entry);
    if (unwrittenBytes > LIMITS.unwrittenBytes) giveUp("too_hasty");
    else start();
  };

  const flushText = (): void => {
    timer?.cancel();
    timer = null;
    if (gathering === null) return;
    const { text, index, waiters } = gathering;
    gathering = null;
    wroteText = true;
    enqueue({ kind: "output.text", data: JSON.stringify({ delta: text, index }) }, waiters);
  };

  const flushReport = (): void => {
    if (report === null) return;
    const data = report;
    report = null;
    enqueue({ kind: "job.progress", data }, []);
  };

  const holdReports = (): void => {
    reportTimer = clock.after(LIMITS.progressMs, () => {
      reportTimer = null;
      if (report === null) return;
      flushReport();
      holdReports();
    });
  };

  const close = (reason: Error): void => {
    closed ??= reason;
    timer?.cancel();
    reportTimer?.cancel();
    report = null;
    if (gathering !== null) refuse(gathering.waiters, closed);
    gathering = null;
    for (const { waiters } of items.splice(0)) refuse(waiters, closed);
  };

  return {
    write(kind, data) {
      if (closed !== null) return late(closed);
      flushText();
      return new Promise((resolve, reject) => {
        enqueue({ kind, data }, [{ resolve, reject }]);
      });
    },

    text(delta, index) {
      if (closed !== null) return late(closed);
      if (
        gathering !== null &&
        (gathering.index !== index || gathering.text.length + delta.length > GATHER_UNITS)
      ) {
        flushText();
      }
      const committed = new Promise<void>((resolve, reject) => {
        gathering ??= { index, text: "", waiters: [] };
        gathering.text += delta;
        gathering.waiters.push({ resolve, reject });
      });
      if (rollupMs === 0 || !wroteText) flushText();
      else timer ??= clock.after(rollupMs, flushText);
      return committed;
    },

    progress(data) {
      if (closed !== null) return late(closed);
      if (reportTimer !== null) {
        report = data;
        // Not at once: a handler that does nothing but wait for its reports must not keep the loop to itself.
        return new Promise((resolve) => void setImmediate(resolve));
      }
      flushText();
      holdReports();
      return new Promise((resolve, reject) => {
        enqueue({ kind: "job.progress", data }, [{ resolve, reject }]);
      });
    },

    async settle() {
      flushReport();
      flushText();
      while (pumping !== null) await pumping;
    },

    get failure() {
      return failure;
    },

    close,
  };
}
