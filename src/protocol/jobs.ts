/** What goes in and out of `/v1/jobs`: the submit body as a schema, the job object as a type (PROTOCOL section 3). */
import { z } from "zod";
import type { ErrorOrigin, EventKind, Json, JobErrorBody } from "./events.ts";
import type { JobStatus } from "./job-status.ts";
import { LIMITS } from "./limits.ts";

export * from "./job-status.ts";

/** What a job type may be called. */
export const JOB_TYPE_NAME = /^[\w.:-]{1,64}$/;

const positiveMs = z.int().min(1);

export const metadataSchema = z
  .record(z.string().max(LIMITS.metadataKeyChars), z.string().max(LIMITS.metadataValueChars))
  .refine((pairs) => Object.keys(pairs).length <= LIMITS.metadataPairs, {
    message: `at most ${LIMITS.metadataPairs} pairs`,
  });

/** The options a submit may carry beside `type` and `input`. A retry repeats them as they were given. */
export const submitOptionsSchema = z.strictObject({
  metadata: metadataSchema.optional().describe("Kept and returned; the server never reads it."),
  priority: z
    .int()
    .min(0)
    .max(LIMITS.priorityMost)
    .optional()
    .describe("9 first; within one, users in turn."),
  runAt: z.iso
    .datetime({ offset: true })
    .optional()
    .describe("Not run before, by the wall clock (RFC 3339); at once if that is over."),
  delayMs: z
    .int()
    .min(0)
    .max(LIMITS.delayMs)
    .optional()
    .describe("Not run for that long, whatever becomes of the wall clock; not beside `runAt`."),
  startWithinMs: positiveMs
    .optional()
    .describe("Not started by then, counted from when it may run: the job ends as expired."),
  timeoutMs: positiveMs.max(LIMITS.timeoutMs).optional().describe("Longest time of one run."),
  firstOutputMs: positiveMs
    .max(LIMITS.timeoutMs)
    .optional()
    .describe("Longest time of a run to its first output."),
  idleMs: positiveMs
    .max(LIMITS.timeoutMs)
    .optional()
    .describe("Longest silence of a run after its first output."),
  maxAttempts: z.int().min(1).max(LIMITS.maxAttempts).optional().describe("Runs that may end in an error."),
  retryAfterOutput: z.boolean().optional().describe("false: no further run once output was written."),
  onDisconnect: z
    .enum(["continue", "cancel"])
    .optional()
    .describe("What happens when its session has no socket."),
  orphanMs: z
    .int()
    .min(0)
    .max(LIMITS.timeoutMs)
    .optional()
    .describe("How long the session may be without a socket."),
  lane: z
    .string()
    .min(1)
    .max(LIMITS.laneChars)
    .optional()
    .describe("One unfinished job per session and lane."),
  webhook: z
    .string()
    .max(LIMITS.webhookUrlChars)
    .optional()
    .describe(
      "URL that is told when the job has ended, signed as Standard Webhooks; its host has to be allowed.",
    ),
  webhookAfterMs: z
    .int()
    .min(0)
    .max(LIMITS.webhookAfterMs)
    .optional()
    .describe("Told only if the end was not acknowledged within that time."),
});

export const submitSchema = submitOptionsSchema.extend({
  type: z.string().min(1).max(LIMITS.typeChars).describe("A name listed by GET /v1/types."),
  input: z.unknown().describe("As the type's JSON Schema says."),
});

export type SubmitBody = z.infer<typeof submitSchema>;
export type SubmitOptions = z.infer<typeof submitOptionsSchema>;

/** A job as every route returns it. Times are RFC 3339 UTC with milliseconds. */
export interface JobObject {
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  readonly terminal: boolean;
  /** Number of the current or last run; 0 before the first. */
  readonly attempt: number;
  /** Seq of the newest entry of the log. */
  readonly head: number;
  readonly createdAt: string;
  /** When it may run, of a job that was put off. */
  readonly runAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly progress?: { readonly ratio?: number; readonly message?: string };
  readonly result?: Json;
  readonly error?: JobErrorBody;
  /** 1-based estimate, while queued. */
  readonly queue?: { readonly position: number };
  readonly metadata: Readonly<Record<string, string>>;
  readonly traceId: string;
  readonly retryOf?: string;
  /** When the terminal event was first acknowledged. */
  readonly deliveredAt?: string;
  readonly urls: {
    readonly self: string;
    readonly events: string;
    readonly output: string;
    readonly cancel: string;
  };
}

/** One entry of a log over HTTP (JSON, SSE and NDJSON alike). */
export interface EventObject {
  readonly job: string;
  readonly seq: number;
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly kind: EventKind;
  readonly data: Json;
  readonly terminal?: true;
}

export interface EventsPage {
  readonly events: readonly EventObject[];
  readonly head: number;
  /** First seq that can still be read. */
  readonly oldest: number;
  readonly terminal: boolean;
  /** `after` of the next call; null once the terminal event was given. */
  readonly next: number | null;
}

/** The latest attempt's output so far; `seq` is where to go on from. */
export interface OutputObject {
  readonly text: string;
  readonly texts?: readonly { readonly index: number; readonly text: string }[];
  readonly seq: number;
  readonly attempt: number;
  readonly data: readonly Json[];
  readonly audio?: { readonly format: Json; readonly bytes: number; readonly url: string };
}

export interface TypeObject {
  readonly type: string;
  /** JSON Schema (2020-12) of `input`. */
  readonly input: Json;
  readonly output: readonly ("text" | "audio" | "data")[];
  readonly limits: Readonly<Record<string, Json>>;
}

export type { ErrorOrigin, JobErrorBody };
