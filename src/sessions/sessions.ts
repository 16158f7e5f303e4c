/**
 * The life of a session: opened, used, left, resumed, over. Keeps the store right and issues its tokens; who holds the
 * socket is the hub's business.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import type { Ids, SessionId, UserId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { Refusal } from "../protocol/error.ts";
import type { TokenObject } from "../protocol/sessions.ts";
import type { SessionRecord } from "./session.ts";
import type { SessionStore, Touch } from "./store.ts";
import type { SessionClaims, SessionTokens } from "./tokens.ts";

/** Who a request speaks for. */
export interface Principal {
  readonly userId: UserId;
  /** null for a call with a user token alone: its jobs belong to no session. */
  readonly sessionId: SessionId | null;
}

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly tokens: SessionTokens;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly nodeId: string;
  readonly resumeMs: number;
  /** Life of a session token: an ended session is remembered as long as one of its tokens could be shown. */
  readonly tokenLifeMs: number;
}

export interface Sessions {
  /** A new session of a new anonymous user, with or without a socket. Resolves when it is stored. */
  openAnonymous(how: { readonly connected: boolean }): Promise<SessionRecord>;
  /**
   * The session of a token that was read, if it may be resumed by it. Rejects: `session_gone`, `token_revoked`,
   * `token_expired`.
   */
  resumable(claims: SessionClaims): Promise<SessionRecord>;
  /** A socket was opened for it. Rejects with `session_gone` when it ended meanwhile. */
  connected(id: SessionId): Promise<SessionRecord>;
  /** Verifies a bearer token of an HTTP call and marks its session used. Rejects with the 401 that fits. */
  authenticate(token: string | null): Promise<Principal>;
  /** The claims of a credential shown on connect. Rejects: `unauthenticated`. */
  read(token: string): Promise<SessionClaims>;
  issueToken(session: Pick<SessionRecord, "id" | "userId" | "userTokenHash">): Promise<TokenObject>;
  find(id: SessionId): Promise<SessionRecord | null>;
  listOf(userId: UserId): Promise<readonly SessionRecord[]>;
  /** Its socket closed. */
  left(id: SessionId): Promise<void>;
  used(id: SessionId): void;
  /** Logs it out; tells those who listen. Nothing happens when it is over already. */
  end(id: SessionId): Promise<void>;
  onEnded(listener: (id: SessionId) => void): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** How often uses are written down and expired sessions are swept. */
const SWEEP_MS = 1000;
const SWEEP_MOST = 500;
const LISTED_MOST = 1000;

export function createSessions(options: SessionsOptions): Sessions {
  const { store, tokens, clock, ids, logger, nodeId, resumeMs } = options;
  const touches = new Map<SessionId, Touch>();
  const endedListeners: ((id: SessionId) => void)[] = [];
  let timer: Timer | null = null;
  let sweeping: Promise<void> = Promise.resolve();

  const used = (id: SessionId): void => {
    touches.set(id, { id, at: Math.round(clock.wallMs()), expiresBy: clock.steadyMs() + resumeMs });
  };

  const isOver = (session: SessionRecord): boolean => {
    if (session.expiresBy === null) return false;
    const expiresBy = Math.max(session.expiresBy, touches.get(session.id)?.expiresBy ?? 0);
    return expiresBy <= clock.steadyMs();
  };

  const flush = async (): Promise<void> => {
    if (touches.size === 0) return;
    const some = [...touches.values()];
    await store.touch(some);
    // A use that came while these were written stays for the next time.
    for (const touch of some) if (touches.get(touch.id) === touch) touches.delete(touch.id);
  };

  const sweep = async (): Promise<void> => {
    try {
      await flush();
      await store.sweep(clock.steadyMs(), clock.wallMs(), SWEEP_MOST);
    } catch (error) {
      logger.warn({ error }, "sessions could not be swept");
    }
  };

  /** The living session that a genuine token names; `graceMs`: how long after its end the token still counts. */
  const living = async (claims: SessionClaims, graceMs: number): Promise<SessionRecord> => {
    const session = await store.find(claims.sessionId);
    if (session !== null && session.endedAt !== null)
      throw new Refusal("token_revoked", "The session was logged out.");
    if (session === null || session.userId !== claims.userId || isOver(session)) {
      throw new Refusal("session_gone", "The session is over.");
    }
    if (claims.expiresAt + graceMs <= clock.wallMs()) {
      throw new Refusal(
        "token_expired",
        "The session token has expired; renew it over the socket or by connecting again.",
      );
    }
    return session;
  };

  return {
    async openAnonymous({ connected }) {
      const at = Math.round(clock.wallMs());
      const session: SessionRecord = {
        id: ids.session(),
        userId: ids.anonymousUser(),
        nodeId,
        createdAt: at,
        connectedAt: connected ? at : null,
        lastSeenAt: at,
        presence: connected ? "online" : "away",
        rooms: [],
        userTokenHash: null,
        awayBy: connected ? null : clock.steadyMs(),
        expiresBy: connected ? null : clock.steadyMs() + resumeMs,
        endedAt: null,
      };
      await store.create(session);
      return session;
    },

    resumable: (claims) => living(claims, resumeMs),

    async connected(id) {
      const session = await store.connected({
        id,
        nodeId,
        at: Math.round(clock.wallMs()),
        userTokenHash: null,
      });
      if (session === null) throw new Refusal("session_gone", "The session is over.");
      return session;
    },

    async authenticate(token) {
      if (token === null)
        throw new Refusal("unauthenticated", "A session token is required (Authorization: Bearer).");
      const session = await living(await tokens.read(token), 0);
      used(session.id);
      return { userId: session.userId, sessionId: session.id };
    },

    read: (token) => tokens.read(token),

    async issueToken(session) {
      const { token, expiresAt } = await tokens.issue(session);
      return { token, tokenExpiresAt: new Date(expiresAt).toISOString() };
    },

    find: (id) => store.find(id),
    listOf: (userId) => store.listOf(userId, LISTED_MOST),

    async left(id) {
      touches.delete(id);
      const awayBy = clock.steadyMs();
      await store.away({ id, awayBy, expiresBy: awayBy + resumeMs, at: Math.round(clock.wallMs()) });
    },

    used,

    async end(id) {
      touches.delete(id);
      const at = Math.round(clock.wallMs());
      const lived = await store.end(id, at, at + options.tokenLifeMs + resumeMs);
      if (lived) for (const listener of endedListeners) listener(id);
    },

    onEnded(listener) {
      endedListeners.push(listener);
    },

    async start() {
      const steadyMs = clock.steadyMs();
      await store.recover(nodeId, steadyMs, steadyMs + resumeMs);
      timer = clock.every(SWEEP_MS, () => {
        sweeping = sweep();
      });
    },

    async stop() {
      timer?.cancel();
      timer = null;
      await sweeping;
      await flush().catch((error: unknown) => logger.warn({ error }, "last uses were not written"));
    },
  };
}
