/**
 * This node's connections: which session sits on which socket, who follows which job, and who has gone silent.
 *
 * It hears every committed change once (JobStore.onCommitted) and passes it on to those who follow the job. It is not the
 * source of truth: a connection that missed a change reads the log.
 */
import type { Audience } from "../backplane/backplane.ts";
import type { Asked, Reader } from "../jobs/follower.ts";
import type { Change } from "../jobs/job.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { JobId, SessionId, UserId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import type { CloseName } from "../protocol/codes.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { TokenObject } from "../protocol/sessions.ts";
import { LIMITS } from "../protocol/limits.ts";
import { Connection, type Attachment, type Socket } from "./connection.ts";
import { createWatchers } from "./watchers.ts";

export interface HubOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pingMs: number;
  readonly pingTimeoutMs: number;
  readonly queueBytes: number;
  readonly attachments: number;
  /** A session's socket closed, and no other has taken its place. */
  readonly onLeft: (sessionId: SessionId) => void;
  readonly issueToken: (sessionId: SessionId) => Promise<TokenObject | null>;
  /** The log behind an attachment's cursor is gone: its attach has to be answered anew. */
  readonly onGap: (connection: Connection, job: JobId, cursor: number) => void;
  /** Wraps the socket of each new connection, such as to count what is sent. */
  readonly through?: (socket: Socket) => Socket;
}

export interface Hub extends Reader {
  /** A socket has opened; it belongs to nobody yet. */
  add(socket: Socket): Connection;
  /** The session uses this connection from now on; an older one is closed as `replaced`. */
  seat(connection: Connection, session: { readonly id: SessionId; readonly userId: UserId }): void;
  /** The connection holds this token now: renewed at two thirds of its life, closed some time after `endsAt` (wall, ms). */
  holds(connection: Connection, token: TokenObject, endsAt: number | null): void;
  /** Follows a job; the caller answers the attach and sets the cursor. null: too many attachments. */
  follow(connection: Connection, job: JobId): Attachment | null;
  /** An attach to a job that may be under way was granted: entries that other nodes commit are wanted from here on. */
  begun(job: JobId): void;
  /** The welcome has been sent: jobs of the session that came meanwhile, and were not listed, begin to flow. */
  opened(connection: Connection, listed: ReadonlySet<JobId>): void;
  /** The socket is gone. */
  remove(connection: Connection): void;
  heard(connection: Connection): void;
  connectionOf(sessionId: SessionId): Connection | null;
  closeSession(sessionId: SessionId, name: CloseName): void;
  /** Closes every connection of the user. */
  closeUser(userId: UserId, name: CloseName): void;
  /** Sends a frame that is not stored to the open connections of the audience; returns how many took it. */
  push(audience: Audience, frame: ServerFrame): number;
  committed(changes: readonly Change[]): void;
  /** Jobs up to this id have been looked for in the store: from here on none of them is new to a connection. */
  settle(upTo: JobId): void;
  /** A question to the store that begins now, as `moved` is told of it. */
  asking(): Asked;
  /** Sessions with a connection on this node. */
  sessions(): readonly SessionId[];
  readonly size: number;
  /** Attachments whose connection takes more, and has not been sent the log up to its known end. */
  readonly behind: number;
  start(): void;
  /** Says goodbye to everybody, in slices. Resolves when all sockets have been told to close. */
  sendAway(): Promise<void>;
  /** Sends everybody away and ends the heartbeat. */
  stop(): Promise<void>;
  /** Whoever comes now is to be sent on. */
  readonly stopped: boolean;
}

/** However short a token lives, it is not renewed more often than this. */
const LEAST_RENEW_MS = 1000;

/** A wall clock that moved this much against the time that went by was set by somebody. */
const CLOCK_JUMP_MS = 5000;

/** Connections told to go in one turn of the loop, and when they should be back: not before the next process is. */
const GOODBYE_SLICE = 200;
const RECONNECT_LEAST_MS = 500;
const RECONNECT_SPREAD_MS = 2000;

export function createHub(options: HubOptions): Hub {
  const { store, clock, logger } = options;
  const connections = new Set<Connection>();
  const seats = new Map<SessionId, Connection>();
  const watchers = createWatchers({ attachments: options.attachments, seats });
  let timer: Timer | null = null;
  let stopped = false;

  const look = (connection: Connection, nowMs: number): void => {
    if (nowMs - connection.lastHeardMs > options.pingMs + options.pingTimeoutMs) {
      // Judged at the second look: what came while this process did not read is heard in between.
      if (connection.silent) {
        connection.close("heartbeat_timeout");
        return;
      }
      connection.silent = true;
    }
    if (clock.elapsedMs() >= connection.endsMs) {
      connection.close("token_expired");
      return;
    }
    if (connection.paused) {
      const buffered = connection.socket.getBufferedAmount();
      if (connection.stalledSinceMs === 0 || buffered < connection.stalledBytes) {
        connection.stalledSinceMs = nowMs;
        connection.stalledBytes = buffered;
      } else if (nowMs - connection.stalledSinceMs >= LIMITS.stalledMs) {
        connection.close("slow_consumer");
        return;
      }
    }
    if (nowMs >= connection.nextPingMs) {
      connection.nextPingMs = nowMs + options.pingMs;
      connection.awaitsPong = true;
      connection.send({ type: "ping", at: Math.round(clock.wallMs()) });
    }
    if (nowMs >= connection.renewTokenMs) void renewToken(connection);
  };

  const renewLater = (connection: Connection, { tokenExpiresAt }: TokenObject): void => {
    connection.tokenEndsAt = tokenExpiresAt;
    const lifeMs = connection.tokenEndsAt - clock.wallMs();
    connection.renewTokenMs = clock.steadyMs() + Math.max((lifeMs * 2) / 3, LEAST_RENEW_MS);
  };

  const renewToken = async (connection: Connection): Promise<void> => {
    connection.renewTokenMs = Number.POSITIVE_INFINITY; // until the new one is there
    if (connection.sessionId === null) return;
    try {
      const token = await options.issueToken(connection.sessionId);
      // A token that ends no later is no renewal: the user token sets the end, and only `refresh` moves it.
      const isLater =
        token !== null && token.tokenExpiresAt > Math.max(connection.tokenEndsAt, clock.wallMs());
      if (!isLater) return;
      renewLater(connection, token);
      connection.send({ type: "token", ...token });
    } catch (error) {
      logger.error({ error }, "a session token could not be renewed");
    }
  };

  /** Tokens end by the wall clock: when that was set, everybody gets one that fits the new time. */
  const renewAfterJump = (): void => {
    for (const connection of connections) {
      if (connection.tokenEndsAt === 0) continue;
      connection.tokenEndsAt = 0;
      connection.renewTokenMs = 0;
    }
  };

  const sendAway = async (): Promise<void> => {
    let told = 0;
    // Counted once: who was told is gone from the set in the next turn.
    const all = [...connections];
    for (const connection of all) {
      // Spread over a span: all of them coming back at one moment would be the next outage.
      const waitMs = RECONNECT_LEAST_MS + (told / all.length) * RECONNECT_SPREAD_MS;
      connection.close("draining", Math.round(waitMs));
      told += 1;
      if (told % GOODBYE_SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };

  return {
    ...watchers,

    add(given) {
      const socket = options.through?.(given) ?? given;
      const connection: Connection = new Connection({
        socket,
        store,
        queueBytes: options.queueBytes,
        onDetached: (attachment) => watchers.drop(attachment),
        onGap: ({ job, cursor }) => options.onGap(connection, job, cursor),
        onError: (error) => {
          logger.error({ error }, "a log could not be read for a connection");
          connection.close("internal");
        },
      });
      const nowMs = clock.steadyMs();
      connection.lastHeardMs = nowMs;
      connection.nextPingMs = nowMs + options.pingMs;
      connections.add(connection);
      return connection;
    },

    seat(connection, session) {
      connection.sessionId = session.id;
      connection.userId = session.userId;
      const older = seats.get(session.id);
      seats.set(session.id, connection);
      older?.close("replaced");
    },

    holds(connection, token, endsAt) {
      renewLater(connection, token);
      connection.endsMs =
        endsAt === null
          ? Number.POSITIVE_INFINITY
          : clock.elapsedMs() + endsAt + LIMITS.userTokenGraceMs - clock.wallMs();
    },

    follow: (connection, job) => watchers.follow(connection, job, Number.POSITIVE_INFINITY),

    opened(connection, listed) {
      connection.listed = listed;
      watchers.welcomed(connection);
      // It lists no more than that: what is older was there before as well.
      if (listed.size > LIMITS.welcomeJobs)
        connection.newAfter = [...listed].reduce((a, b) => (a < b ? a : b));
      // What the welcome lists flows when the client asks for it; what was accepted later flows by itself.
      for (const attachment of connection.attachments.values()) {
        if (listed.has(attachment.job)) connection.detach(attachment);
      }
      connection.opened();
    },

    remove(connection) {
      connection.closed = true;
      connection.opened();
      connections.delete(connection);
      for (const attachment of connection.attachments.values()) watchers.drop(attachment);
      connection.attachments.clear();
      const { sessionId } = connection;
      if (sessionId === null || seats.get(sessionId) !== connection) return;
      seats.delete(sessionId);
      options.onLeft(sessionId);
    },

    heard(connection) {
      connection.silent = false;
      connection.lastHeardMs = clock.steadyMs();
    },

    connectionOf: (sessionId) => seats.get(sessionId) ?? null,

    closeSession(sessionId, name) {
      seats.get(sessionId)?.close(name);
    },

    closeUser(userId, name) {
      for (const connection of connections) if (connection.userId === userId) connection.close(name);
    },

    push(audience, frame) {
      const text = JSON.stringify(frame);
      if (audience.to === "session") return seats.get(audience.sessionId)?.pass(text) === true ? 1 : 0;
      let taken = 0;
      for (const connection of connections) {
        if (audience.to === "user" && connection.userId !== audience.userId) continue;
        if (connection.pass(text)) taken += 1;
      }
      return taken;
    },

    sessions: () => [...seats.keys()],

    get size() {
      return connections.size;
    },

    start() {
      const tickMs = Math.max(10, Math.min(1000, Math.min(options.pingMs, options.pingTimeoutMs) / 4));
      let wallAheadMs = clock.wallMs() - clock.elapsedMs();
      timer = clock.every(tickMs, () => {
        const nowMs = clock.steadyMs();
        const aheadMs = clock.wallMs() - clock.elapsedMs();
        if (Math.abs(aheadMs - wallAheadMs) > CLOCK_JUMP_MS) renewAfterJump();
        wallAheadMs = aheadMs;
        for (const connection of connections) if (!connection.closed) look(connection, nowMs);
      });
    },

    sendAway,

    get behind() {
      let found = 0;
      for (const { paused, closed, attachments } of connections) {
        if (paused || closed) continue;
        for (const { cursor, head } of attachments.values()) if (cursor < head) found += 1;
      }
      return found;
    },

    get stopped() {
      return stopped;
    },

    async stop() {
      stopped = true;
      timer?.cancel();
      timer = null;
      await sendAway();
    },
  };
}
