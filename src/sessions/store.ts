/**
 * The `SessionStore` contract: session metadata that any node can read.
 *
 * Guarantees every driver gives (held by test/conformance/session-store.ts)
 * - Every call is atomic; it resolves when the change is as durable as the store was configured. A session that was
 *   created survives a restart of the server.
 * - A session that ended stays known as ended until `forgetAt`, so that its tokens are told apart from unknown ones;
 *   an ended session never comes back.
 * - Calls take effect, and resolve, in the order in which one process made them. Those that change one session give it
 *   as it was right afterwards, so that whoever applies the answers in their order knows what the store knows.
 * - Only `touch` may be lost in a crash.
 */
import type { SessionId, UserId } from "../lib/ids.ts";
import type { ChosenPresence } from "../protocol/sessions.ts";
import type { SessionRecord, UserBinding } from "./session.ts";

export interface Connected {
  readonly id: SessionId;
  readonly nodeId: string;
  readonly at: number;
  /** A fresh user token that it is bound to from now on; null: as before. */
  readonly binding: UserBinding | null;
}

export interface Away {
  readonly id: SessionId;
  /** Whose socket it was. */
  readonly nodeId: string;
  /** Steady time now and steady time of expiry. */
  readonly awayBy: number;
  readonly expiresBy: number;
  readonly at: number;
}

export interface Touch {
  readonly id: SessionId;
  /** Wall time of the use. */
  readonly at: number;
  /** New expiry of a session without a socket (steady). */
  readonly expiresBy: number;
}

export interface Entering {
  readonly id: SessionId;
  readonly room: string;
  /** Rooms it may be in. */
  readonly most: number;
}

export type EnteringRefused = "forbidden" | "full";

/** At start. */
export interface Recovery {
  readonly nodeId: string;
  readonly awayBy: number;
  readonly expiresBy: number;
  readonly at: number;
}

export interface SessionQuery {
  /** null: of all users. */
  readonly userId: UserId | null;
  /** Sessions older than this one. */
  readonly before: SessionId | null;
  readonly limit: number;
}

export interface SessionStore {
  create(session: SessionRecord): Promise<void>;
  /** `asStored`: rejects rather than answer from the memory of a process, as a driver otherwise may. */
  find(id: SessionId, asStored?: boolean): Promise<SessionRecord | null>;
  /**
   * As `find`, if it is this user's. Another user's is not even read, so timing does not reveal that it exists.
   */
  findOwn(userId: UserId, id: SessionId): Promise<SessionRecord | null>;
  /** Living sessions of the user, newest first, at most `limit`. */
  listOf(userId: UserId, limit: number): Promise<readonly SessionRecord[]>;
  /** Number of living sessions of all users: with a socket, and without. */
  count(): Promise<{ readonly online: number; readonly away: number }>;
  /** Living sessions, newest first. */
  page(query: SessionQuery): Promise<readonly SessionRecord[]>;
  /** Living sessions that are in a room, in the order of their ids, starting after `after`. */
  inRooms(after: SessionId | null, limit: number): Promise<readonly SessionRecord[]>;
  /**
   * A socket was opened on this node. The session leaves rooms that the user token it is bound to does not allow.
   * null if it is unknown or ended.
   */
  connected(connected: Connected): Promise<SessionRecord | null>;
  /**
   * Its last socket on this node closed. null, and nothing changes, if it is unknown or ended, has no socket, or has one
   * on another node by now.
   */
  away(away: Away): Promise<SessionRecord | null>;
  /** Records uses since the last call, in one write. */
  touch(touches: readonly Touch[]): Promise<void>;
  /** Sets how its user wants to be seen. null if it is unknown or ended. */
  choose(id: SessionId, presence: ChosenPresence, at: number): Promise<SessionRecord | null>;
  /**
   * Enters a room; no change for one that is in it already. "forbidden": the user token it is bound to does not allow it;
   * "full": it is in `most` rooms; null: it is unknown or ended.
   */
  enter(entering: Entering): Promise<SessionRecord | EnteringRefused | null>;
  /** Leaves a room. null if it was not in it, is unknown or ended. */
  leave(id: SessionId, room: string): Promise<SessionRecord | null>;
  /** Logs it out; true if it was alive until now. */
  end(id: SessionId, at: number, forgetAt: number): Promise<boolean>;
  /** Removes at most `limit` sessions that expired, and ended ones that may be forgotten. */
  sweep(steadyMs: number, wallMs: number, limit: number): Promise<readonly SessionId[]>;
  /** At the start: the sockets of the previous process are gone. The time during which it was down does not count. */
  recover(recovery: Recovery): Promise<void>;
}
