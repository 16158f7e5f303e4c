/** Rooms on the wire: what one may be called, and what `/v1/rooms` takes and answers (PROTOCOL section 3). */
import { z } from "zod";
import type { Json } from "./events.ts";
import { LIMITS } from "./limits.ts";
import type { Presence } from "./sessions.ts";

/** Letters, digits and `_ . : / @ ~ + = -`, the first one a letter, a digit or `_`. No `*`: that is for patterns. */
const ROOM_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:/@~+=-]*$/;

export const roomName = z
  .string()
  .min(1)
  .max(LIMITS.roomChars)
  .regex(ROOM_NAME, "must be letters, digits and _.:/@~+=-, the first a letter, a digit or _");

export function isRoomName(text: string): boolean {
  return text.length <= LIMITS.roomChars && ROOM_NAME.test(text);
}

/** A name, or the beginning of names with a `*` behind it. */
export function isRoomPattern(text: string): boolean {
  return text === "*" || isRoomName(text.endsWith("*") ? text.slice(0, -1) : text);
}

export const roomMessageSchema = z.strictObject({
  data: z.unknown().describe("Any JSON value; handed on as it is.") as unknown as z.ZodType<Json>,
});

/** One of those in a room, as it is seen. */
export interface RoomMember {
  readonly userId: string;
  readonly sessionId: string;
  readonly status: Presence;
  /** Since when it is seen like this. */
  readonly since: string;
}

/** Who is in a room. */
export interface PresenceObject {
  /** Those that are in it for longest first, at most `LIMITS.presenceMembers`. */
  readonly members: readonly RoomMember[];
  /** All of them. */
  readonly count: number;
}

/** The answer to a message. */
export interface SaidObject {
  readonly id: string;
}
