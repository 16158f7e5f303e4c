/** What `/v1/sessions` and the `welcome` frame say of a session (PROTOCOL sections 3 and 4). */

export const PRESENCES = ["online", "away", "busy", "offline"] as const;
export type Presence = (typeof PRESENCES)[number];

/** What a user may choose to be seen as. */
export const CHOSEN_PRESENCES = ["online", "away", "busy"] as const;
export type ChosenPresence = (typeof CHOSEN_PRESENCES)[number];

/** A session as every route returns it. Times are RFC 3339 UTC with milliseconds. */
export interface SessionObject {
  readonly id: string;
  readonly userId: string;
  readonly nodeId: string;
  readonly createdAt: string;
  /** When the present socket was opened; absent without one. */
  readonly connectedAt?: string;
  readonly lastSeenAt: string;
  readonly presence: Presence;
  readonly rooms: readonly string[];
}

export interface TokenObject {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly tokenExpiresAt: number;
}

/** The limits a client should know; durations in ms, sizes in bytes. */
export interface PublishedLimits {
  readonly frameBytes: number;
  readonly eventBytes: number;
  readonly queueBytes: number;
  readonly rooms: number;
  readonly attachments: number;
  readonly resumeMs: number;
}

export interface SessionCreated extends TokenObject {
  readonly session: SessionObject;
  readonly limits: PublishedLimits;
}
