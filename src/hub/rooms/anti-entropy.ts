/**
 * Looks at all members now and then, though nothing is known to be missing: whatever made this node's picture of the
 * rooms differ from the store, a hint that nobody missed or a mistake of ours, it does not stay that way.
 */
import type { Backplane } from "../../backplane/backplane.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { SessionId } from "../../lib/ids.ts";
import type { Logger } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";

export interface AntiEntropyOptions {
  /** Looks at everything; resolves with whom it found otherwise than known, rejects as the store does. */
  readonly look: () => Promise<readonly SessionId[]>;
  readonly backplane: Pick<Backplane, "alone">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface AntiEntropy {
  start(): void;
  stop(): void;
}

/** Of those whom a look found otherwise than known so many are named in the log. */
const NAMED = 5;

export function createAntiEntropy({ look, backplane, clock, logger }: AntiEntropyOptions): AntiEntropy {
  let timer: Timer | null = null;
  let stopped = false;

  const lookAndWait = async (): Promise<void> => {
    const beganMs = clock.elapsedMs();
    try {
      // What only this process changes it cannot have missed.
      const found = backplane.alone ? [] : await look();
      if (found.length > 0)
        logger.info(
          { members: found.length, sessions: found.slice(0, NAMED) },
          "members of rooms were otherwise than known here: news on its way, or never told",
        );
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
