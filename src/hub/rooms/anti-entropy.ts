/**
 * Looks at all members now and then, though nothing is known to be missing: whatever made this node's picture of the
 * rooms differ from the store, a hint that nobody missed or a mistake of ours, it does not stay that way.
 */
import type { Backplane } from "../../backplane/backplane.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";

export interface AntiEntropyOptions {
  /** Looks at everything; rejects as the store does. */
  readonly look: () => Promise<void>;
  readonly backplane: Pick<Backplane, "alone">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface AntiEntropy {
  start(): void;
  stop(): void;
}

export function createAntiEntropy({ look, backplane, clock, logger }: AntiEntropyOptions): AntiEntropy {
  let timer: Timer | null = null;
  let stopped = false;

  const lookAndWait = async (): Promise<void> => {
    const beganMs = clock.elapsedMs();
    try {
      // What only this process changes it cannot have missed.
      if (!backplane.alone) await look();
    } catch (error) {
      logger.debug({ error }, "the members of rooms could not be looked at");
    }
    wait(clock.elapsedMs() - beganMs);
  };

  /** The more there is to look at, the more seldom: it takes a small part of this node's time, and of the store's. */
  const wait = (tookMs: number): void => {
    if (stopped) return;
    const delayMs = Math.max(LIMITS.roomsLookMs, tookMs * LIMITS.roomsLookRest);
    timer = clock.after(delayMs, () => void lookAndWait());
  };

  return {
    start() {
      if (timer === null) wait(0);
    },
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
