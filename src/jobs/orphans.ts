/** Jobs that asked to be canceled when nobody is there any more (`onDisconnect: cancel`). */
import { instant, type Clock, type Timer } from "../lib/clock.ts";
import type { SessionId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import type { CancelReason } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { JobStore } from "./store.ts";

export interface OrphansOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long the session has been without a socket, in ms: 0 with one, Infinity when the session is over. */
  readonly absentMs: (session: SessionId) => Promise<number>;
}

export interface Orphans {
  start(): void;
  stop(): void;
  /** The session was logged out: its jobs go at once. */
  loggedOut(session: SessionId): Promise<void>;
}

const LOOK_MS = 500;
const LOOK_MOST = 10_000;

export function createOrphans({ store, clock, logger, absentMs }: OrphansOptions): Orphans {
  let timer: Timer | null = null;
  let looking = false;

  const cancel = async (
    reason: CancelReason,
    isOrphan: (session: SessionId, orphanMs: number) => Promise<boolean>,
  ) => {
    for (const { id, sessionId, orphanMs } of await store.cancelable(LOOK_MOST)) {
      if (!(await isOrphan(sessionId, orphanMs))) continue;
      await store.execute({ op: "cancel", at: instant(clock), id, reason, graceMs: LIMITS.cancelGraceMs });
    }
  };

  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      await cancel("disconnected", async (session, orphanMs) => {
        const absent = await absentMs(session);
        return absent > 0 && absent >= orphanMs;
      });
    } catch (error) {
      logger.warn({ error }, "jobs without a listener could not be canceled");
    }
    looking = false;
  };

  return {
    start() {
      timer = clock.every(LOOK_MS, () => void look());
    },
    stop() {
      timer?.cancel();
      timer = null;
    },
    loggedOut: (session) => cancel("logged_out", async (owner) => owner === session),
  };
}
