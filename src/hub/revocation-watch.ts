/** What was revoked elsewhere, learned from the store while nobody can be relied on to tell of it. */
import type { Clock, Timer } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface RevocationWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether every revocation would be heard of at once. */
  readonly isTold: () => boolean;
  /** Reads what was revoked, and acts on it. */
  readonly look: () => Promise<void>;
}

export interface RevocationWatch {
  start(): void;
  stop(): void;
}

export function createRevocationWatch({
  clock,
  logger,
  isTold,
  look,
}: RevocationWatchOptions): RevocationWatch {
  let timer: Timer | null = null;
  let looking = false;
  let failing = false;

  const tick = async (): Promise<void> => {
    if (looking || isTold()) return;
    looking = true;
    try {
      await look();
      failing = false;
    } catch (error) {
      if (!failing) logger.warn({ error }, "revocations could not be read; it is tried again each second");
      failing = true;
    } finally {
      looking = false;
    }
  };

  return {
    start() {
      timer = clock.every(LIMITS.revocationPollMs, () => void tick());
    },
    stop() {
      timer?.cancel();
      timer = null;
    },
  };
}
