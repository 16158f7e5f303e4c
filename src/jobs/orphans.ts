/** Jobs that asked to be canceled when nobody is there any more (`onDisconnect: cancel`). */
import { instant, type Clock, type Timer } from "../lib/clock.ts";
import type { JobId, SessionId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import type { CancelReason } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { CancelableJob, JobStore } from "./store.ts";

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
/** Jobs of one page: other work gets its turn in between. */
const PAGE_JOBS = 500;

export function createOrphans({ store, clock, logger, absentMs }: OrphansOptions): Orphans {
  let timer: Timer | null = null;
  let running = false;

  const cancel = (id: JobId, reason: CancelReason): Promise<unknown> =>
    store.execute({ op: "cancel", at: instant(clock), id, reason, graceMs: LIMITS.cancelGraceMs });

  /** All of them, page by page: those at the front may stand there for as long as their clients are connected. */
  const forEach = async (
    sessionId: SessionId | null,
    visit: (job: CancelableJob) => Promise<unknown>,
  ): Promise<void> => {
    for (let after: JobId | null = null; ;) {
      const page: readonly CancelableJob[] = await store.cancelable({ sessionId, after, limit: PAGE_JOBS });
      for (const job of page) await visit(job);
      after = page.at(-1)?.id ?? null;
      if (page.length < PAGE_JOBS) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  const look = async (): Promise<void> => {
    const absences = new Map<SessionId, number>();
    await forEach(null, async ({ id, sessionId, orphanMs }) => {
      const absent = absences.get(sessionId) ?? (await absentMs(sessionId));
      absences.set(sessionId, absent);
      if (absent > 0 && absent >= orphanMs) await cancel(id, "disconnected");
    });
  };

  const lookAgain = (): void => {
    timer = clock.after(LOOK_MS, () => {
      void look()
        .catch((error: unknown) => logger.warn({ error }, "jobs without a listener could not be canceled"))
        .then(() => {
          if (running) lookAgain();
        });
    });
  };

  return {
    start() {
      running = true;
      lookAgain();
    },
    stop() {
      running = false;
      timer?.cancel();
      timer = null;
    },
    loggedOut: (session) => forEach(session, ({ id }) => cancel(id, "logged_out")),
  };
}
