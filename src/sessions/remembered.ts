/**
 * A `SessionStore` that is asked for the same sessions all the time: each call with a session token looks its session
 * up, and reading the row costs more than everything else that is judged of such a call together.
 */
import type { Clock } from "../lib/clock.ts";
import type { SessionId } from "../lib/ids.ts";
import { createLru } from "../lib/lru.ts";
import { LIMITS } from "../protocol/limits.ts";
import { NO_SESSION_OUTAGE, type SessionOutage } from "./outage.ts";
import type { SessionRecord } from "./session.ts";
import type { SessionStore } from "./store.ts";

/** What another process wrote is seen at the latest after this; what this one wrote, at once. */
const FRESH_MS = 250;

interface Known {
  readonly session: SessionRecord;
  readonly readMs: number;
}

export interface RememberingStore extends SessionStore {
  /** Another process has written the session: what is remembered of it, or being read, may be of before. */
  forget(id: SessionId): void;
}

/** The same store, with `find` answered from memory for a moment. Every write of sessions has to come by here. */
export function rememberSessions(
  store: SessionStore,
  clock: Pick<Clock, "steadyMs">,
  outage: SessionOutage = NO_SESSION_OUTAGE,
): RememberingStore {
  let known = createLru<SessionId, Known>(LIMITS.rememberedSessions);
  /** Grows with each write: what was read while one was under way may be of before it, and is not kept. */
  let writes = 0;

  /** Forgotten when the write is over, however it ended: a failed one may have happened all the same. */
  const writing = async <Value>(ids: readonly SessionId[], write: Promise<Value>): Promise<Value> => {
    try {
      return await write;
    } finally {
      writes += 1;
      for (const id of ids) known.delete(id);
    }
  };

  outage.onReturned(() => {
    writes += 1;
    known = createLru(LIMITS.rememberedSessions);
  });

  const fresh = (id: SessionId): SessionRecord | null => {
    const remembered = known.get(id);
    if (remembered === undefined || clock.steadyMs() - remembered.readMs >= FRESH_MS) return null;
    return remembered.session;
  };

  const read = async (id: SessionId, found: Promise<SessionRecord | null>): Promise<SessionRecord | null> => {
    const readMs = clock.steadyMs();
    const before = writes;
    const session = await found;
    if (session !== null && before === writes) known.set(id, { session, readMs });
    return session;
  };

  return {
    ...store,

    forget(id) {
      writes += 1;
      known.delete(id);
    },

    find: async (id, asStored = false) => (asStored ? null : fresh(id)) ?? read(id, store.find(id, asStored)),
    async findOwn(userId, id) {
      const session = fresh(id);
      // Another's is asked for in the store, which takes as long as one that there is not.
      return session?.userId === userId ? session : read(id, store.findOwn(userId, id));
    },

    connected: (given) => writing([given.id], store.connected(given)),
    away: (given) => writing([given.id], store.away(given)),
    choose: (id, presence, at) => writing([id], store.choose(id, presence, at)),
    enter: (given) => writing([given.id], store.enter(given)),
    leave: (id, room) => writing([id], store.leave(id, room)),
    end: (id, at, forgetAt) => writing([id], store.end(id, at, forgetAt)),
    touch: (touches) =>
      writing(
        touches.map(({ id }) => id),
        store.touch(touches),
      ),

    async recover(recovery) {
      await writing([], store.recover(recovery));
      known = createLru(LIMITS.rememberedSessions);
    },

    async sweep(steadyMs, wallMs, limit) {
      const swept = await store.sweep(steadyMs, wallMs, limit);
      return writing(swept, Promise.resolve(swept));
    },
  };
}
