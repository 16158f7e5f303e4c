/** What a process knows by heart of sessions that are kept elsewhere. */
import type { Clock } from "../../lib/clock.ts";
import type { SessionId } from "../../lib/ids.ts";
import { createLru } from "../../lib/lru.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { SessionRecord } from "../session.ts";

export interface Ending {
  readonly at: number;
  readonly forgetAt: number;
}

/** Empty at first. `resumeMs`: for how long after its last use a session without a socket here counts as known. */
export function createMemory(clock: Pick<Clock, "steadyMs">, resumeMs: number) {
  /** Those with a socket here: as many as there are sockets. */
  const seated = new Map<SessionId, SessionRecord>();
  /** Those whose socket closed here while Redis was away: each had one before. */
  const left = new Map<SessionId, SessionRecord>();
  /** Logged out here while Redis was away. */
  const endings = new Map<SessionId, Ending>();
  const used = createLru<SessionId, { readonly session: SessionRecord; readonly usedMs: number }>(
    LIMITS.rememberedSessions,
  );

  const find = (id: SessionId): SessionRecord | null => {
    const sitting = seated.get(id);
    if (sitting !== undefined) return sitting;
    const known = used.get(id);
    return known === undefined || clock.steadyMs() - known.usedMs > resumeMs ? null : known.session;
  };
  const learn = (session: SessionRecord): void => {
    used.set(session.id, { session, usedMs: clock.steadyMs() });
    const sitting = seated.get(session.id);
    if (sitting === undefined) return;
    if (session.endedAt !== null || session.nodeId !== sitting.nodeId) seated.delete(session.id);
    else if (session.connectedAt !== null) seated.set(session.id, session);
  };
  return {
    seated,
    left,
    endings,
    find,
    /** It was used here just now, and is like this. */
    learn,
    /** It sits here from now on. */
    sit: (session: SessionRecord): void => {
      left.delete(session.id);
      seated.set(session.id, session);
      learn(session);
    },
    forget: (id: SessionId): void => {
      seated.delete(id);
      left.delete(id);
      used.delete(id);
    },
  };
}

export type Memory = ReturnType<typeof createMemory>;
