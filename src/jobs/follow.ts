/** Following a log or waiting for its end, for callers that pull (HTTP): pages of the store, woken by the feed. */
import type { Clock } from "../lib/clock.ts";
import type { JobId } from "../lib/ids.ts";
import { isTerminalKind } from "../protocol/events.ts";
import { isTerminalStatus } from "../protocol/job-status.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Feed } from "./feed.ts";
import type { StoredEvent } from "./job.ts";
import type { JobStore } from "./store.ts";

export interface FollowOptions {
  readonly store: JobStore;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly id: JobId;
  /** Entries with a greater seq. */
  readonly after: number;
  readonly signal: AbortSignal;
  /** After this much silence an empty page is yielded, so that the caller can show it is alive. */
  readonly quietMs: number;
  /** How much of the log is read at a time. */
  readonly pageBytes: number;
}

/** Pages of the log in order, the present ones and those to come; ends after the terminal entry, or on abort. */
export async function* followLog(options: FollowOptions): AsyncGenerator<readonly StoredEvent[]> {
  const { store, feed, clock, id, signal, quietMs, pageBytes } = options;
  let { after } = options;
  let news = false;
  let wake: (() => void) | null = null;
  const unsubscribe = feed.subscribe(id, "entries", () => {
    news = true;
    wake?.();
  });
  const quiet = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.after(quietMs, () => wake?.());
      wake = () => {
        wake = null;
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => wake?.();
      signal.addEventListener("abort", onAbort, { once: true });
      if (news || signal.aborted) wake();
    });
  try {
    while (!signal.aborted) {
      news = false;
      const page = await store.events(id, {
        after,
        limit: LIMITS.replayPageEvents,
        bytes: pageBytes,
      });
      const last = page.at(-1);
      if (last === undefined) {
        if (!news && (await hasEnded(store, id, after))) return;
        await quiet();
        if (!news && !signal.aborted) yield [];
        continue;
      }
      // Retention took what comes next: no page jumps over a hole. The caller learns of it when it asks again.
      if (page[0]?.seq !== after + 1) return;
      after = last.seq;
      yield page;
      if (isTerminalKind(last.kind)) return;
    }
  } finally {
    unsubscribe();
  }
}

/** Whether nothing will ever follow: the log is closed, and all of it was read. */
async function hasEnded(store: JobStore, id: JobId, after: number): Promise<boolean> {
  const job = await store.find(id);
  return job === null || job.purgedAt !== null || (isTerminalStatus(job.status) && after >= job.head);
}

export interface WaitOptions {
  readonly store: JobStore;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly id: JobId;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when the job has ended, when `waitMs` went by, or on abort, whichever comes first; true for the first. */
export async function waitForEnd({ store, feed, clock, id, waitMs, signal }: WaitOptions): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  // Subscribed before the look: an end that commits in between is heard.
  const unsubscribe = feed.subscribe(id, "transitions", (job) => {
    if (isTerminalStatus(job.status)) resolve(true);
  });
  const onAbort = (): void => resolve(false);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = clock.after(waitMs, () => resolve(false));
  try {
    const job = await store.find(id);
    if (job === null || isTerminalStatus(job.status)) return true;
    return await promise;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
    unsubscribe();
  }
}
