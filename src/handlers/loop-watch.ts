/**
 * Notices when something held the event loop, and names the types that were running: code that computes for seconds
 * delays everybody's frames, and whoever wrote it should hear of it. Threads (`isolate: true`) are the way out.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface LoopWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Types that had a run in this thread since this was asked last. */
  readonly takeRunTypes: () => readonly string[];
}

export interface LoopWatch {
  start(): void;
  stop(): void;
}

const LOOK_MS = 250;

export function createLoopWatch({ clock, logger, takeRunTypes }: LoopWatchOptions): LoopWatch {
  let timer: Timer | null = null;
  let lookedMs = 0;
  const look = (): void => {
    const nowMs = clock.elapsedMs();
    const blockedMs = Math.round(nowMs - lookedMs - LOOK_MS);
    lookedMs = nowMs;
    const types = takeRunTypes();
    if (blockedMs >= LIMITS.blockedMs) logger.warn({ blockedMs, types }, "something held the event loop");
  };
  return {
    start() {
      lookedMs = clock.elapsedMs();
      timer = clock.every(LOOK_MS, look);
    },
    stop() {
      timer?.cancel();
    },
  };
}
