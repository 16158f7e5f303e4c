/** A server's clock that stands still until a test moves it. */
import type { Clock } from "../../src/lib/clock.ts";

export interface ManualClock extends Clock {
  /** Moves the time on and runs what is due, in the order it is due. */
  advance(byMs: number): void;
  /** Moves the time on at one stroke, as when the event loop was held up: what is due runs late. */
  hold(byMs: number): void;
  /** Timers that wait. */
  readonly waiting: number;
}

interface Due {
  atMs: number;
  readonly intervalMs: number | null;
  readonly run: () => void;
}

export function createManualClock(): ManualClock {
  let nowMs = 1_000_000;
  const timers = new Set<Due>();
  const add = (due: Due) => {
    timers.add(due);
    return { cancel: () => void timers.delete(due) };
  };
  const runDue = (upToMs: number): void => {
    for (;;) {
      const [next] = [...timers].filter((due) => due.atMs <= upToMs).toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) return;
      nowMs = Math.max(nowMs, next.atMs);
      if (next.intervalMs === null) timers.delete(next);
      else next.atMs = nowMs + next.intervalMs;
      next.run();
    }
  };
  return {
    wallMs: () => nowMs,
    steadyMs: () => nowMs,
    elapsedMs: () => nowMs,
    after: (delayMs, run) => add({ atMs: nowMs + delayMs, intervalMs: null, run }),
    every: (intervalMs, run) => add({ atMs: nowMs + intervalMs, intervalMs, run }),
    advance(byMs) {
      const endMs = nowMs + byMs;
      runDue(endMs);
      nowMs = endMs;
    },
    hold(byMs) {
      nowMs += byMs;
      runDue(nowMs);
    },
    get waiting() {
      return timers.size;
    },
  };
}
