/** The JSON frames of the socket, both ways (PROTOCOL sections 4 and 5): client frames as schemas, server frames as types. */
import { z } from "zod";
import type { ErrorCode } from "./codes.ts";
import type { EventKind, Json } from "./events.ts";
import type { JobStatus, OutputObject } from "./jobs.ts";
import { LIMITS } from "./limits.ts";
import { roomName, type RoomMember } from "./rooms.ts";
import { CHOSEN_PRESENCES, type PublishedLimits, type TokenObject } from "./sessions.ts";

/** The subprotocol a client must offer and the only one the server ever answers. */
export const SUBPROTOCOL = "holdline.v1";

const id = z.string().max(LIMITS.frameIdChars).optional().describe("Given back as `re` in the answer.");
const job = z.string().max(64);
const seq = z.int().min(0);
/** What was parsed is JSON. `z.json()` would look at each value again, for 30 ms in a frame that is full of them. */
const anyJson = z.unknown().describe("Any JSON value.") as unknown as z.ZodType<Json>;

export const clientFrameSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("attach"), id, job, after: seq.optional() }),
  z.strictObject({ type: z.literal("detach"), id, job }),
  z.strictObject({ type: z.literal("ack"), id, job, seq }),
  z.strictObject({ type: z.literal("join"), id, room: roomName, after: z.string().max(64).optional() }),
  z.strictObject({ type: z.literal("leave"), id, room: roomName }),
  z.strictObject({ type: z.literal("say"), id, room: roomName, data: anyJson }),
  z.strictObject({ type: z.literal("presence"), id, status: z.enum(CHOSEN_PRESENCES) }),
  z.strictObject({ type: z.literal("refresh"), id, token: z.string().max(LIMITS.tokenChars) }),
  z.strictObject({ type: z.literal("pong"), id, at: z.number() }),
]);

export type ClientFrame = z.infer<typeof clientFrameSchema>;

/** A job as `welcome` lists it. */
export interface WelcomeJob {
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  readonly attempt: number;
  readonly head: number;
  readonly terminal: boolean;
}

export interface WelcomeFrame extends TokenObject {
  readonly type: "welcome";
  readonly protocol: 1;
  readonly session: {
    readonly id: string;
    readonly userId: string;
    readonly resumed: boolean;
    readonly createdAt: string;
  };
  readonly jobs: readonly WelcomeJob[];
  readonly moreJobs: boolean;
  readonly rooms: readonly string[];
  readonly heartbeat: { readonly pingMs: number; readonly timeoutMs: number };
  readonly limits: PublishedLimits;
  readonly node: string;
  readonly at: number;
}

export interface EventFrame {
  readonly type: "event";
  readonly job: string;
  readonly seq: number;
  /** Present when the frame folds the entries first…seq. */
  readonly first?: number;
  readonly attempt: number;
  readonly at: number;
  readonly kind: EventKind;
  readonly data: Json;
  readonly terminal?: true;
}

export interface AttachedFrame {
  readonly type: "attached";
  readonly re?: string;
  readonly job: string;
  readonly after: number;
  readonly head: number;
  readonly oldest: number;
  readonly status: JobStatus;
  readonly attempt: number;
  readonly terminal: boolean;
  readonly recovered: boolean;
  readonly reason?: "trimmed" | "ahead";
  readonly output?: OutputObject;
}

/** A message in a room, or a push of the operator (`to` in place of `room`). */
export interface MessageFrame {
  readonly type: "message";
  readonly room?: string;
  readonly to?: "user" | "session" | "all";
  readonly id: string;
  readonly from: { readonly userId: string; readonly sessionId: string } | null;
  readonly data: Json;
  readonly at: number;
}

/** What becomes of a `join` with `after`: the messages that follow it come behind this frame. */
export interface HistoryFrame {
  readonly type: "history";
  readonly re?: string;
  readonly room: string;
  readonly after: string;
  /** Everything after `after` follows. */
  readonly recovered: boolean;
  /** `trimmed`: `after` is no longer kept, and what is kept follows. `none`: the room keeps nothing. */
  readonly reason?: "trimmed" | "none";
}

export interface PresenceFrame {
  readonly type: "presence";
  readonly room: string;
  readonly joined: readonly RoomMember[];
  readonly left: readonly RoomMember[];
  readonly changed: readonly RoomMember[];
  /** Members of the room. */
  readonly count: number;
  /** `joined` is the whole room and takes the place of what was known of it. */
  readonly whole?: true;
}

export interface ErrorFrame {
  readonly type: "error";
  readonly re?: string;
  /** A job that was being followed and cannot be any more: nobody asked, so that there is no `re`. */
  readonly job?: string;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryable: boolean;
}

export type ServerFrame =
  | WelcomeFrame
  | EventFrame
  | AttachedFrame
  | MessageFrame
  | HistoryFrame
  | PresenceFrame
  | ({ readonly type: "token" } & TokenObject)
  | { readonly type: "ping"; readonly at: number }
  | { readonly type: "ok"; readonly re: string }
  | ErrorFrame
  | {
      readonly type: "goodbye";
      readonly code: number;
      readonly reason: string;
      readonly reconnect: boolean;
      readonly reconnectAfterMs: number;
    };
