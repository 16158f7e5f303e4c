/** What a session is, inside. Metadata only: its socket lives in the hub of one node. */
import type { SessionId, UserId } from "../lib/ids.ts";
import type { ChosenPresence, Presence, SessionObject } from "../protocol/sessions.ts";

/** The user token that a session was opened or last refreshed with. Times are wall time in ms. */
export interface UserBinding {
  /** base64url SHA-256: `uth` of the session's tokens. */
  readonly tokenHash: string;
  /**
   * Its `jti`, or base64url SHA-256 of what is signed in it (`header.payload`) where it has none: what a revocation names.
   * Not of the whole token, since of one text there is more than one valid ES256 signature.
   */
  readonly tokenId: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** Names it allows, `*` as a suffix wildcard; null: all. */
  readonly types: readonly string[] | null;
  readonly rooms: readonly string[] | null;
}

/** Fields ending in `At` are wall time in ms, those ending in `By` steady time in ms (lib/clock.ts). */
export interface SessionRecord {
  readonly id: SessionId;
  readonly userId: UserId;
  /** Node that holds, or last held, its socket. */
  readonly nodeId: string;
  readonly createdAt: number;
  /** When the present socket was opened; null without one. */
  readonly connectedAt: number | null;
  readonly lastSeenAt: number;
  /** What its user chose while a socket is open, `away` without one, `offline` when it ended. */
  readonly presence: Presence;
  /** Since when. */
  readonly presenceAt: number;
  /** Outlives its sockets: a reconnect does not make somebody who is busy available. */
  readonly chosenPresence: ChosenPresence;
  /** The rooms it is a member of, in the order in which it entered. */
  readonly rooms: readonly string[];
  /** null in open mode. */
  readonly binding: UserBinding | null;
  /** When its last socket closed; null while one is open. */
  readonly awayBy: number | null;
  /** It can be resumed until then; null while a socket is open. */
  readonly expiresBy: number | null;
  /** Logged out or revoked: its tokens are dead. */
  readonly endedAt: number | null;
}

/** The session as routes show it. */
export function toSessionObject(session: SessionRecord): SessionObject {
  return {
    id: session.id,
    userId: session.userId,
    nodeId: session.nodeId,
    createdAt: new Date(session.createdAt).toISOString(),
    ...(session.connectedAt === null ? {} : { connectedAt: new Date(session.connectedAt).toISOString() }),
    lastSeenAt: new Date(session.lastSeenAt).toISOString(),
    presence: session.presence,
    rooms: session.rooms,
  };
}
