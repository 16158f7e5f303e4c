/**
 * How many sessions one user may have at a time, or one address where there is no user, decided in one place for HTTP and
 * sockets alike.
 */
import type { Clock } from "../lib/clock.ts";
import type { SessionId, UserId } from "../lib/ids.ts";
import { createLru } from "../lib/lru.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";
import { quotaHeaders } from "../protocol/quota.ts";
import type { SessionRecord } from "./session.ts";

export interface AdmissionOptions {
  readonly clock: Pick<Clock, "steadyMs">;
  /** Living sessions of one user, and of one address; 0 = no limit. */
  readonly userSessions: number;
  /** How long a session without a socket lives. */
  readonly resumeMs: number;
  /** Living sessions of the user, stored by any node. */
  readonly livingOf: (userId: UserId) => Promise<readonly SessionRecord[]>;
  /** The session if it lives. */
  readonly living: (id: SessionId) => Promise<SessionRecord | null>;
}

type Open = () => Promise<SessionRecord>;

/**
 * Each runs `open`, which stores a session, if there may be one more; rejects with `too_many_sessions` otherwise. One
 * after the other for the same user or address, so that a burst cannot slip in between counting and storing.
 */
export interface Admission {
  /** Only nodes that admit the same user at the same moment may go over, by one each. */
  ofUser(userId: UserId, open: Open): Promise<SessionRecord>;
  /** A session without a user, counted by each process for itself: those that it has opened for the address. */
  ofAddress(address: string, open: Open): Promise<SessionRecord>;
}

/** Work with the same name goes one after the other. */
function createTurns() {
  const turns = new Map<string, Promise<unknown>>();
  return async (name: string, work: Open): Promise<SessionRecord> => {
    const done = (turns.get(name) ?? Promise.resolve()).then(work);
    const turn = done.catch(() => undefined);
    turns.set(name, turn);
    try {
      return await done;
    } finally {
      if (turns.get(name) === turn) turns.delete(name);
    }
  };
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { clock, userSessions, resumeMs } = options;
  const inTurn = createTurns();
  const byAddress = createLru<string, readonly SessionId[]>(LIMITS.rateKeys);

  /** A place is free at the latest when the first session without a socket is over; one with a socket may stay for ever. */
  const untilFreeMs = (sessions: readonly SessionRecord[]): number => {
    const nowMs = clock.steadyMs();
    return Math.min(
      resumeMs,
      ...sessions.flatMap(({ expiresBy }) => expiresBy ?? []).map((by) => by - nowMs),
    );
  };

  const check = (sessions: readonly SessionRecord[], whose: string): void => {
    if (sessions.length < userSessions) return;
    throw new Refusal("too_many_sessions", `At most ${userSessions} sessions ${whose} (userSessions).`, {
      extra: { limit: "userSessions" },
      headers: quotaHeaders({
        policy: "sessions",
        most: userSessions,
        left: 0,
        seconds: Math.max(1, Math.ceil(untilFreeMs(sessions) / 1000)),
      }),
    });
  };

  /** Of those that were opened for the address, the ones that live; they are asked for only when there are too many. */
  const stillLiving = async (address: string): Promise<readonly SessionId[]> => {
    const opened = byAddress.get(address) ?? [];
    if (opened.length < userSessions) return opened;
    const found = await Promise.all(opened.map(options.living));
    const sessions = found.filter((session) => session !== null);
    check(sessions, "from one address without a user");
    return sessions.map(({ id }) => id);
  };

  return {
    ofUser(userId, open) {
      if (userSessions === 0) return open();
      return inTurn(`user ${userId}`, async () => {
        check(await options.livingOf(userId), "of one user");
        return open();
      });
    },
    ofAddress(address, open) {
      if (userSessions === 0) return open();
      return inTurn(`address ${address}`, async () => {
        const living = await stillLiving(address);
        const session = await open();
        byAddress.set(address, [...living, session.id]);
        return session;
      });
    },
  };
}
