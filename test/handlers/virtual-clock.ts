/** A clock that stands still until a test moves it: what waits happens when the test says so, in the order it is due. */
import type { Clock } from "../../src/lib/clock.ts";

export interface VirtualClock extends Clock {
  /** Moves the time on, running what is due on the way; what follows from each of it has happened afterwards. */
  advance(byMs: number): Promise<void>;
  /** Somebody sets the wall clock; the steady one goes on as it did. */
  setWall(byMs: number): void;
  /** Timers that wait. */
  readonly waiting: number;
}

interface Due {
  atMs: number;
  readonly everyMs: number | null;
  readonly run: () => void;
}

/** Turns of the event loop: enough for a chain of commands to a store that commits once a turn. */
const TURNS = 12;

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function createVirtualClock(): VirtualClock {
  // Wall and steady time far apart: code that mistakes one for the other is caught.
  const wallMs = 1_800_000_000_000;
  const steadyMs = 7_000_000;
  let passedMs = 0;
  let setMs = 0;
  const timers = new Set<Due>();
  const add = (atMs: number, everyMs: number | null, run: () => void) => {
    const due: Due = { atMs, everyMs, run };
    timers.add(due);
    return { cancel: () => void timers.delete(due) };
  };
  return {
    wallMs: () => wallMs + passedMs + setMs,
    steadyMs: () => steadyMs + passedMs,
    elapsedMs: () => passedMs,
    after: (delayMs, run) => add(passedMs + Math.max(0, delayMs), null, run),
    every: (intervalMs, run) => add(passedMs + intervalMs, intervalMs, run),
    async advance(byMs) {
      await settle();
      const endMs = passedMs + byMs;
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        passedMs = Math.max(passedMs, next.atMs);
        if (next.everyMs === null) timers.delete(next);
        else next.atMs += next.everyMs;
        next.run();
        await settle();
      }
      passedMs = endMs;
      await settle();
    },
    setWall(byMs) {
      setMs += byMs;
    },
    get waiting() {
      return timers.size;
    },
  };
}
