/**
 * The life of a session: opened, used, left, resumed, over. Keeps the store right and issues its tokens; who holds the
 * socket is the hub's business.
 */
import type { Clock } from "../lib/clock.ts";
import type { Ids, SessionId, UserId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { repeat, type Repeated } from "../lib/repeat.ts";
import { Refusal } from "../protocol/error.ts";
import type { ChosenPresence, TokenObject } from "../protocol/sessions.ts";
import { createAdmission } from "./admission.ts";
import type { SessionRecord, UserBinding } from "./session.ts";
import type { RememberingStore } from "./remembered.ts";
import type { Touch } from "./store.ts";
import type { SessionClaims, SessionTokens } from "./tokens.ts";
import type { VerifiedUser } from "./user-tokens.ts";

export interface SessionsOptions {
  readonly store: RememberingStore;
  readonly tokens: SessionTokens;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly nodeId: string;
  readonly resumeMs: number;
  /** What else is forgotten as time goes by (wall time in ms). */
  readonly onSweep?: (wallMs: number) => Promise<void>;
  /** Living sessions of one user, or of one address where there is none; 0 = no limit. */
  readonly userSessions: number;
  /** Rooms of one session. */
  readonly roomsMax: number;
  /** Life of a session token: an ended session is remembered as long as one of its tokens could be shown. */
  readonly tokenLifeMs: number;
}

export interface Opening {
  readonly connected: boolean;
  /** By what an anonymous session is counted; null or absent: it is not. */
  readonly address?: string | null;
}

export interface Sessions {
  /**
   * A new session of this user, or of a new anonymous one, with or without a socket. Resolves when it is stored;
   * rejects with `too_many_sessions`.
   */
  open(user: VerifiedUser | null, how: Opening): Promise<SessionRecord>;
  /**
   * The living session that a genuine session token names. Rejects: `token_revoked` when it was logged out,
   * `session_gone` when it is over or unknown, `token_expired` when the token has been over for `graceMs` or more.
   */
  living(claims: SessionClaims, graceMs: number): Promise<SessionRecord>;
  /** A socket was opened for it, by a fresh user token if `binding` is given. Rejects with `session_gone`. */
  connected(id: SessionId, binding: UserBinding | null): Promise<SessionRecord>;
  issueToken(session: Pick<SessionRecord, "id" | "userId" | "binding">): Promise<TokenObject>;
  find(id: SessionId): Promise<SessionRecord | null>;
  /** As `find`, of a session that another node may have changed: as it is stored, or not at all. */
  findChanged(id: SessionId): Promise<SessionRecord | null>;
  /** As `find`, if it is this user's; another's takes as long as an unknown one. */
  findOwn(userId: UserId, id: SessionId): Promise<SessionRecord | null>;
  listOf(userId: UserId): Promise<readonly SessionRecord[]>;
  /** Its socket closed. Rejects when that could not be stored; it is tried again each second. */
  left(id: SessionId): Promise<void>;
  /** Becomes a member of the room. Rejects with `forbidden`, `rate_limited` (roomsMax), `session_gone`. */
  enterRoom(id: SessionId, room: string): Promise<void>;
  /** Is a member no longer, if it was one. */
  leaveRoom(id: SessionId, room: string): Promise<void>;
  /** How its user wants to be seen while a socket is open. */
  choosePresence(id: SessionId, presence: ChosenPresence): Promise<void>;
  /** Every living session that is a member of a room, a page at a time. */
  inRooms(): AsyncIterable<readonly SessionRecord[]>;
  used(id: SessionId): void;
  /** Logs it out; tells those who listen. Nothing happens when it is over already. */
  end(id: SessionId): Promise<void>;
  onEnded(listener: (id: SessionId) => void): void;
  /** Called with a session as it was stored, in the order of the changes; not for mere uses. */
  onChanged(listener: (session: SessionRecord) => void): void;
  /** Called with sessions that nobody resumed in time. */
  onExpired(listener: (ids: readonly SessionId[]) => void): void;
  /**
   * A node's sockets are gone without a word: its sessions are without one, from now on. Whoever listens for changes
   * hears of those that are members of a room.
   */
  abandoned(nodeId: string): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** How often uses are written down and expired sessions are swept. */
const SWEEP_MS = 1000;
const SWEEP_MOST = 500;
const LISTED_MOST = 1000;
const PAGE = 500;

function gone(): Refusal {
  return new Refusal("session_gone", "The session is over.");
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, tokens, clock, ids, logger, nodeId, resumeMs, roomsMax } = options;
  const touches = new Map<SessionId, Touch>();
  /** Sessions whose socket is gone, which could not be stored. */
  const unwritten = new Set<SessionId>();
  const endedListeners: ((id: SessionId) => void)[] = [];
  const changedListeners: ((session: SessionRecord) => void)[] = [];
  const expiredListeners: ((ids: readonly SessionId[]) => void)[] = [];
  let sweeping: Repeated | null = null;
  let sweepFails = false;

  const changed = <Stored extends SessionRecord | null>(session: Stored): Stored => {
    if (session !== null) for (const listener of changedListeners) listener(session);
    return session;
  };

  const used = (id: SessionId): void => {
    touches.set(id, { id, at: Math.round(clock.wallMs()), expiresBy: clock.steadyMs() + resumeMs });
  };

  const isOver = (session: SessionRecord): boolean => {
    if (session.expiresBy === null) return false;
    const expiresBy = Math.max(session.expiresBy, touches.get(session.id)?.expiresBy ?? 0);
    return expiresBy <= clock.steadyMs();
  };

  const admission = createAdmission({
    ...options,
    livingOf: async (userId) => {
      const listed = await store.listOf(userId, options.userSessions + LISTED_MOST);
      return listed.filter((session) => !isOver(session));
    },
    living: async (id) => {
      const session = await store.find(id);
      return session === null || session.endedAt !== null || isOver(session) ? null : session;
    },
  });

  const flush = async (): Promise<void> => {
    if (touches.size === 0) return;
    const some = [...touches.values()];
    await store.touch(some);
    // A use that came while these were written stays for the next time.
    for (const touch of some) if (touches.get(touch.id) === touch) touches.delete(touch.id);
  };

  const leave = async (id: SessionId): Promise<void> => {
    const awayBy = clock.steadyMs();
    const at = Math.round(clock.wallMs());
    changed(await store.away({ id, nodeId, awayBy, expiresBy: awayBy + resumeMs, at }));
  };

  const leaveLate = async (): Promise<void> => {
    for (const id of unwritten) {
      await leave(id);
      unwritten.delete(id);
    }
  };

  const sweep = async (): Promise<void> => {
    try {
      await leaveLate();
      await flush();
      const swept = await store.sweep(clock.steadyMs(), clock.wallMs(), SWEEP_MOST);
      if (swept.length > 0) for (const listener of expiredListeners) listener(swept);
      await options.onSweep?.(clock.wallMs());
      sweepFails = false;
    } catch (error) {
      // Where the store is out of reach, why was told.
      const why = error instanceof Refusal ? { reason: error.message } : { error };
      if (!sweepFails) logger.warn(why, "sessions could not be swept; it is tried again each second");
      sweepFails = true;
    }
  };

  /** The living session that a genuine token names; `graceMs`: how long after its end the token still counts. */
  const living = async (claims: SessionClaims, graceMs: number): Promise<SessionRecord> => {
    const session = await store.find(claims.sessionId);
    if (session !== null && session.endedAt !== null)
      throw new Refusal("token_revoked", "The session was logged out.");
    if (session === null || session.userId !== claims.userId || isOver(session)) {
      throw gone();
    }
    if (claims.expiresAt + graceMs <= clock.wallMs()) {
      throw new Refusal(
        "token_expired",
        "The session token has expired; renew it over the socket or by connecting again.",
      );
    }
    return session;
  };

  /** As `Sessions.inRooms`. */
  async function* inRooms(): AsyncIterable<readonly SessionRecord[]> {
    let after: SessionId | null = null;
    for (;;) {
      const page: readonly SessionRecord[] = await store.inRooms(after, PAGE);
      yield page;
      after = page.at(-1)?.id ?? null;
      if (page.length < PAGE) return;
    }
  }

  /** Time in which nobody could resume them does not count; that is from now on. */
  const markAway = (ofNode: string): Promise<void> => {
    const awayBy = clock.steadyMs();
    const at = Math.round(clock.wallMs());
    return store.recover({ nodeId: ofNode, awayBy, expiresBy: awayBy + resumeMs, at });
  };

  return {
    async open(user, { connected, address = null }) {
      const at = Math.round(clock.wallMs());
      const session: SessionRecord = {
        id: ids.session(),
        userId: user?.userId ?? ids.anonymousUser(),
        nodeId,
        createdAt: at,
        connectedAt: connected ? at : null,
        lastSeenAt: at,
        presence: connected ? "online" : "away",
        presenceAt: at,
        chosenPresence: "online",
        rooms: [],
        binding: user?.binding ?? null,
        awayBy: connected ? null : clock.steadyMs(),
        expiresBy: connected ? null : clock.steadyMs() + resumeMs,
        endedAt: null,
      };
      const create = async (): Promise<SessionRecord> => {
        try {
          await store.create(session);
        } catch (error) {
          // It may be stored all the same: with a socket that there is not, it would never end.
          if (connected) unwritten.add(session.id);
          throw error;
        }
        return session;
      };
      if (user !== null) return admission.ofUser(user.userId, create);
      // An anonymous user is made with the session: it cannot have another.
      return address === null ? create() : admission.ofAddress(address, create);
    },

    living,

    async connected(id, binding) {
      const wasLeft = unwritten.delete(id);
      const session = await store
        .connected({ id, nodeId, at: Math.round(clock.wallMs()), binding })
        .catch((error: unknown) => {
          if (wasLeft) unwritten.add(id);
          throw error;
        });
      if (session === null) throw gone();
      return changed(session);
    },

    async issueToken(session) {
      const { token, expiresAt } = await tokens.issue(session);
      return { token, tokenExpiresAt: expiresAt };
    },

    find: (id) => store.find(id),
    findChanged(id) {
      store.forget(id);
      return store.find(id, true);
    },
    findOwn: (userId, id) => store.findOwn(userId, id),
    listOf: (userId) => store.listOf(userId, LISTED_MOST),

    async left(id) {
      touches.delete(id);
      try {
        await leave(id);
      } catch (error) {
        // It would be seen with a socket for ever.
        unwritten.add(id);
        throw error;
      }
    },

    async enterRoom(id, room) {
      const session = await store.enter({ id, room, most: roomsMax });
      if (session === null) throw gone();
      if (session === "forbidden") throw new Refusal("forbidden", "Your token does not allow this room.");
      if (session === "full") {
        throw new Refusal(
          "rate_limited",
          `At most ${roomsMax} rooms of one session (roomsMax); leave one first.`,
        );
      }
      changed(session);
    },

    async leaveRoom(id, room) {
      changed(await store.leave(id, room));
    },

    async choosePresence(id, presence) {
      changed(await store.choose(id, presence, Math.round(clock.wallMs())));
    },

    inRooms,

    used,

    async end(id) {
      touches.delete(id);
      const at = Math.round(clock.wallMs());
      const lived = await store.end(id, at, at + options.tokenLifeMs + resumeMs);
      if (lived) for (const listener of endedListeners) listener(id);
    },

    onEnded: (listener) => void endedListeners.push(listener),
    onChanged: (listener) => void changedListeners.push(listener),
    onExpired: (listener) => void expiredListeners.push(listener),

    async abandoned(ofNode) {
      await markAway(ofNode);
      for await (const page of inRooms()) {
        for (const session of page)
          if (session.nodeId === ofNode && session.connectedAt === null) changed(session);
      }
    },

    async start() {
      await markAway(nodeId);
      sweeping ??= repeat(clock, SWEEP_MS, sweep);
    },

    async stop() {
      await sweeping?.stop();
      sweeping = null;
      await flush().catch((error: unknown) => logger.warn({ error }, "last uses were not written"));
    },
  };
}
