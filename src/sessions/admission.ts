/** How many sessions one user may have at a time, decided in one place for HTTP and sockets alike. */
import type { Clock } from "../lib/clock.ts";
import type { UserId } from "../lib/ids.ts";
import { Refusal } from "../protocol/error.ts";
import { quotaHeaders } from "../protocol/quota.ts";
import type { SessionRecord } from "./session.ts";

export interface AdmissionOptions {
  readonly clock: Pick<Clock, "steadyMs">;
  /** Living sessions of one user; 0 = no limit. */
  readonly userSessions: number;
  /** How long a session without a socket lives. */
  readonly resumeMs: number;
  /** Living sessions of the user, stored by any node. */
  readonly living: (userId: UserId) => Promise<readonly SessionRecord[]>;
}

/**
 * Runs `open`, which stores a session, if this user may have one more; rejects with `too_many_sessions` otherwise. One
 * after the other for the same user, so that a burst cannot slip in between counting and storing. Only nodes that
 * admit the same user at the same moment may go over, by one each.
 */
export type Admit = <Opened>(userId: UserId, open: () => Promise<Opened>) => Promise<Opened>;

export function createAdmission(options: AdmissionOptions): Admit {
  const { clock, userSessions, resumeMs } = options;
  const turns = new Map<UserId, Promise<unknown>>();

  /** A place is free at the latest when the first session without a socket is over; one with a socket may stay for ever. */
  const untilFreeMs = (sessions: readonly SessionRecord[]): number => {
    const nowMs = clock.steadyMs();
    return Math.min(
      resumeMs,
      ...sessions.flatMap(({ expiresBy }) => expiresBy ?? []).map((by) => by - nowMs),
    );
  };

  const check = async (userId: UserId): Promise<void> => {
    const sessions = await options.living(userId);
    if (sessions.length < userSessions) return;
    throw new Refusal("too_many_sessions", `At most ${userSessions} sessions of one user (userSessions).`, {
      extra: { limit: "userSessions" },
      headers: quotaHeaders({
        policy: "sessions",
        most: userSessions,
        left: 0,
        seconds: Math.max(1, Math.ceil(untilFreeMs(sessions) / 1000)),
      }),
    });
  };

  return async (userId, open) => {
    if (userSessions === 0) return open();
    const opened = (turns.get(userId) ?? Promise.resolve()).then(() => check(userId)).then(open);
    const turn = opened.catch(() => undefined);
    turns.set(userId, turn);
    try {
      return await opened;
    } finally {
      if (turns.get(userId) === turn) turns.delete(userId);
    }
  };
}
