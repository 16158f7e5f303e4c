/** A clock that stands still until a test moves it: what waits in the client happens when the test says so. */
import type { ClientClock } from "../../src/client/clock.ts";

export interface ManualClock extends ClientClock {
  /** Moves the time on and runs what is due, in the order it is due. */
  advance(byMs: number): void;
  /** Timers that wait. */
  readonly waiting: number;
}

interface Due {
  readonly atMs: number;
  readonly run: () => void;
}

export function createManualClock(): ManualClock {
  let nowMs = 0;
  const timers = new Set<Due>();
  return {
    steadyMs: () => nowMs,
    after(delayMs, run) {
      const due = { atMs: nowMs + Math.max(0, delayMs), run };
      timers.add(due);
      return {
        cancel() {
          timers.delete(due);
        },
      };
    },
    advance(byMs) {
      const endMs = nowMs + byMs;
      for (;;) {
        const [next] = [...timers].filter((due) => due.atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.run();
      }
      nowMs = endMs;
    },
    get waiting() {
      return timers.size;
    },
  };
}
