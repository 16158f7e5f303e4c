/**
 * Sessions on Redis that outlast an outage of it: what sits on this node or was used here lately goes on from memory,
 * everything else is refused, and what sits here is written down again when Redis is back.
 *
 * - Nobody is let in on a guess: a session that this process does not know is `storage_unavailable`, and so is a new one.
 * - Memberships and what a user chose to be seen as stand still: they are for others to see, and nobody could.
 * - A log-out is a promise, so it is in the database before it is anywhere else. What was logged out is not written down
 *   again, whoever remembers it.
 * - It does not matter whether Redis was out of reach, lost its last writes, or everything: before this process is
 *   answered again it has written all it remembers, and a store that was emptied answers nobody who has not.
 */
import type { Clock } from "../../lib/clock.ts";
import type { SessionId } from "../../lib/ids.ts";
import { Refusal } from "../../protocol/error.ts";
import { away, connected, ended, type Change } from "../changes.ts";
import type { SessionOutage } from "../outage.ts";
import type { SessionRecord } from "../session.ts";
import type { SessionStore } from "../store.ts";
import { createDesk, isOutOfReach, type DeskOptions } from "./desk.ts";
import { createMemory } from "./memory.ts";

export interface LastingOptions extends DeskOptions {
  readonly clock: Clock;
  /** For how long after its last use a session without a socket here is still answered from memory. */
  readonly resumeMs: number;
}

export interface LastingSessions {
  readonly store: SessionStore;
  readonly outage: SessionOutage;
}

/** How long a session that is known here waits for Redis before memory answers. */
const PATIENCE_MS = 500;
const FORGET_EVERY_MS = 60_000;

export function lastingSessions(options: LastingOptions): LastingSessions {
  const { store, revocations, clock, resumeMs } = options;
  const memory = createMemory(clock, resumeMs);
  const desk = createDesk(options, memory);
  const { ask, waiting } = desk;
  /** When log-outs that were stored here are to be forgotten: looked at next, and over (wall time). */
  let forgetNextMs = Number.POSITIVE_INFINITY;
  let lastEndingMs = 0;

  /** Rejects when the answer takes too long for somebody who need not wait for it. */
  const patiently = <Value>(answer: Promise<Value>): Promise<Value> => {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = clock.after(PATIENCE_MS, () =>
      reject(new Refusal("storage_unavailable", "The sessions take too long.")),
    );
    return Promise.race([answer, promise]).finally(() => timer.cancel());
  };

  const read = async (
    id: SessionId,
    known: SessionRecord | null,
    call: () => Promise<SessionRecord | null>,
  ): Promise<SessionRecord | null> => {
    if (known !== null && desk.behind) {
      memory.learn(known);
      return known;
    }
    try {
      const session = await (known === null ? ask(call) : patiently(ask(call)));
      if (session !== null) memory.learn(session);
      else if (known !== null) memory.forget(id);
      return session;
    } catch (error) {
      if (known === null || !isOutOfReach(error)) throw error;
      return known;
    }
  };

  /**
   * Redis' answer or, while it is away, what becomes of the session by heart. `keep` remembers it: before it is put in
   * line to be written down, which may be under way already.
   */
  const change = async (
    id: SessionId,
    by: Change,
    keep: (session: SessionRecord, byHeart: boolean) => void,
    call: () => Promise<SessionRecord | null>,
  ): Promise<SessionRecord | null> => {
    if (!desk.behind || memory.find(id) === null) {
      try {
        const stored = await ask(call);
        if (stored !== null) keep(stored, false);
        return stored;
      } catch (error) {
        if (!isOutOfReach(error) || memory.find(id) === null) throw error;
      }
    }
    const session = memory.find(id);
    const next = session === null || session.endedAt !== null ? null : by(session);
    if (next === null) return null;
    keep(next, true);
    waiting.add(id);
    return next;
  };

  /** Log-outs in the database are forgotten when the tokens of their sessions are over. */
  const forgetEndings = async (wallMs: number): Promise<void> => {
    if (wallMs < forgetNextMs) return;
    await revocations.forget(wallMs);
    forgetNextMs = wallMs < lastEndingMs ? wallMs + FORGET_EVERY_MS : Number.POSITIVE_INFINITY;
  };

  /** Redis' answer to what is refused while it is away. */
  const changeSeen = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    const session = await ask(call);
    if (typeof session === "object" && session !== null) memory.learn(session as unknown as SessionRecord);
    return session;
  };

  return {
    outage: desk.outage,
    store: {
      async create(session) {
        await ask(() => store.create(session));
        if (session.connectedAt === null) memory.learn(session);
        else memory.sit(session);
      },
      async find(id, asStored = false) {
        if (!asStored) return read(id, memory.find(id), () => store.find(id));
        const session = await ask(() => store.find(id));
        if (session === null) memory.forget(id);
        else if (memory.find(id) !== null) memory.learn(session);
        return session;
      },
      findOwn(userId, id) {
        const known = memory.find(id);
        return read(id, known?.userId === userId ? known : null, () => store.findOwn(userId, id));
      },
      listOf: (userId, limit) => ask(() => store.listOf(userId, limit)),
      count: () => ask(() => store.count()),
      page: (query) => ask(() => store.page(query)),
      inRooms: (after, limit) => ask(() => store.inRooms(after, limit)),
      async connected(given) {
        const session = await change(given.id, connected(given), memory.sit, () => store.connected(given));
        if (session === null) memory.forget(given.id);
        return session;
      },
      async away(given) {
        const leave = (session: SessionRecord, byHeart: boolean): void => {
          memory.seated.delete(session.id);
          if (byHeart) memory.left.set(session.id, session);
          memory.learn(session);
        };
        const session = await change(given.id, away(given), leave, () => store.away(given));
        if (session === null) memory.seated.delete(given.id);
        return session;
      },
      touch: (touches) => (touches.length === 0 ? Promise.resolve() : ask(() => store.touch(touches))),
      choose: (id, presence, at) => changeSeen(() => store.choose(id, presence, at)),
      enter: (entering) => changeSeen(() => store.enter(entering)),
      leave: (id, room) => changeSeen(() => store.leave(id, room)),
      async end(id, at, forgetAt) {
        await revocations.revoke({ kind: "session", subject: id, before: at, until: forgetAt });
        forgetNextMs = Math.min(forgetNextMs, forgetAt);
        lastEndingMs = Math.max(lastEndingMs, forgetAt);
        const known = memory.find(id);
        try {
          const lived = await ask(() => store.end(id, at, forgetAt));
          memory.forget(id);
          return lived;
        } catch (error) {
          if (!isOutOfReach(error)) throw error;
          if (known !== null && known.endedAt !== null) return false;
          memory.endings.set(id, { at, forgetAt });
          memory.forget(id);
          if (known !== null) memory.learn(ended(at)(known));
          return true;
        }
      },
      async sweep(steadyMs, wallMs, limit) {
        const swept = await ask(() => store.sweep(steadyMs, wallMs, limit));
        for (const id of swept) memory.forget(id);
        await forgetEndings(wallMs);
        return swept;
      },
      recover: (recovery) => ask(() => store.recover(recovery)),
    },
  };
}
