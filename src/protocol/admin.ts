/** What goes in and out of `/v1/admin` (PROTOCOL section 3): bodies as schemas, answers as types. */
import { z } from "zod";
import type { JobObject } from "./jobs.ts";
import { LIMITS } from "./limits.ts";
import { roomName } from "./rooms.ts";

const userId = z.string().min(1).max(LIMITS.userIdChars);
const anyId = z.string().min(1).max(64);
const TOKEN_ID_CHARS = 255;

/** Exactly one of the first three; that is checked after the schema, so that the refusal can say so. */
export const revocationSchema = z.strictObject({
  userId: userId.optional().describe("Everything of this user that was issued up to `before`."),
  sessionId: anyId.optional().describe("One session and all of its tokens."),
  tokenId: z
    .string()
    .min(1)
    .max(TOKEN_ID_CHARS)
    .optional()
    .describe(
      "One user token: its `jti`, or base64url SHA-256 of its signed part (`header.payload`) where it has none.",
    ),
  before: z
    .union([z.iso.datetime({ offset: true }), z.int().min(0)])
    .optional()
    .describe("With `userId`: RFC 3339, or milliseconds since the epoch; now when absent."),
});

export type RevocationBody = z.infer<typeof revocationSchema>;

/** `to` names exactly one audience. */
export const pushSchema = z.strictObject({
  to: z.strictObject({
    user: userId.optional(),
    session: anyId.optional(),
    room: roomName.optional(),
    all: z.literal(true).optional(),
  }),
  data: z.json().describe("Any JSON; handed on as it is."),
});

export type PushBody = z.infer<typeof pushSchema>;

/** A job as an operator sees it: whose it is stands beside what its owner sees. */
export interface AdminJobObject extends JobObject {
  readonly userId: string;
  /** The session it was submitted with; absent without one. */
  readonly sessionId?: string;
}

/** What a node takes part in (section 7). */
export const NODE_ROLES = ["all", "gateway", "api", "worker"] as const;
export type NodeRole = (typeof NODE_ROLES)[number];

export const NODE_STATES = ["up", "draining", "lost", "dead"] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** A process of this installation. */
export interface NodeObject {
  readonly id: string;
  /** Of this start of it. */
  readonly boot: string;
  readonly role: NodeRole;
  /** `lost`: silent, and what it held is being given to others; `dead`: that is done. */
  readonly state: NodeState;
  readonly version: string;
  /** The machine it runs on, and where it listens there. */
  readonly host: string;
  readonly url: string;
  /** RFC 3339 UTC with milliseconds. */
  readonly startedAt: string;
  /** Its last sign of life. */
  readonly lastSeenAt: string;
  /** Open sockets. */
  readonly connections: number;
  /** Runs of jobs in this process. */
  readonly running: number;
}

/** A schedule of the configuration, and how far it has come. */
export interface ScheduleObject {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  /** Of its jobs. */
  readonly type: string;
  readonly userId: string;
  readonly catchUp: "one" | "none";
  /** RFC 3339 UTC; null when it strikes no more. */
  readonly next: string | null;
  /** Its latest job, and the tick that it is of. */
  readonly last?: { readonly tick: string; readonly job: string };
}

/** The answer to a push. */
export interface PushedObject {
  readonly id: string;
  /** Connections that it was handed to. Nobody else will get it: a push is stored nowhere. */
  readonly delivered: number;
}

/** One page of a list, newest first; `next` is the `cursor` of the one after it. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}
