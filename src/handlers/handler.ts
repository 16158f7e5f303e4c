/**
 * The contract between Holdline and the code that does the work of one job type (PROTOCOL section 8).
 *
 * What a handler may rely on
 * - Every call that writes (`text`, `audio`, `data`, `progress`, `checkpoint`) resolves once it is committed. Entries are
 *   logged in the order of the calls, whether or not the calls are awaited.
 * - Once `signal` is aborted (cancel, time-out, lost lease, end of a drain) nothing more is written: later calls reject
 *   with the signal's reason.
 * - A run that throws may be followed by another with a higher `attempt`: execution is at least once.
 * What it has to do
 * - `run` must settle soon after `signal` is aborted. A run that does not is abandoned, and its slot stays taken.
 * - Throw a `JobError` to choose the error code and whether the job is retried. Anything else becomes a retryable
 *   `handler_error`, whose text is logged and not shown to the user.
 */
import type { z } from "zod";
import type { AudioFormat, ErrorOrigin, Json } from "../protocol/events.ts";

/** A line of the log: a message, fields, or both. Never throws. */
export type RunLogLine = (
  ...line: [message: string] | [fields: Readonly<Record<string, unknown>> | Error, message?: string]
) => void;

export interface RunLog {
  readonly debug: RunLogLine;
  readonly info: RunLogLine;
  readonly warn: RunLogLine;
  readonly error: RunLogLine;
}

/** A finished job of the same user, as `previous` returns it. */
export interface PreviousJob {
  readonly id: string;
  readonly type: string;
  readonly input: Json;
  readonly result: Json;
}

/** One run of a job, as its handler sees it. */
export interface RunningJob {
  readonly id: string;
  readonly type: string;
  /** Number of this run, starting at 1. */
  readonly attempt: number;
  readonly userId: string;
  /** null for a job that belongs to no session. */
  readonly sessionId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** W3C Trace Context of this job, to pass on to whatever the handler calls. */
  readonly traceparent: string;
  /** Longest silence between two outputs before the run is ended; null: no limit. */
  readonly idleMs: number | null;
  readonly signal: AbortSignal;
  readonly log: RunLog;
  /** What an earlier run stored with `checkpoint`, or null. */
  readonly lastCheckpoint: Json;
  /** Appends text to output number `index` (default 0). At most 64 KiB per call, never split inside a code point. */
  text(delta: string, options?: { readonly index?: number }): Promise<void>;
  /** Declares how the audio that follows is encoded. Call it before the first `audio` of each run; it cannot change later. */
  audioFormat(format: AudioFormat): Promise<void>;
  /** Appends one chunk of whole samples, at most 64 KiB. The bytes are copied. */
  audio(bytes: Uint8Array): Promise<void>;
  /** Appends any JSON (at most `eventBytes`) or bytes (at most 64 KiB; they are copied). */
  data(value: Json | Uint8Array): Promise<void>;
  /**
   * `ratio` is from 0 to 1, or null if there is only a message; at most 64 KiB. At most one report per
   * `LIMITS.progressMs` is logged. Of those that come sooner only the newest is, and their calls resolve at once.
   */
  progress(ratio: number | null, message?: string): Promise<void>;
  /** Stores a value for a later run of this job (at most `eventBytes` of JSON), replacing the previous one. */
  checkpoint(value: Json): Promise<void>;
  /** Reads a finished, successful job of the same user; null for any other id. */
  previous(jobId: string): Promise<PreviousJob | null>;
}

/** What `check` may look at before the job is stored. */
export interface InputContext {
  readonly userId: string;
  previous(jobId: string): Promise<PreviousJob | null>;
}

/** A job type, whether a handler in this process or a remote worker does its work. */
export interface JobType<Input = unknown> {
  /** The name that a submit gives as `type`. */
  readonly type: string;
  /** Validates `input`. Its JSON Schema is published by GET /v1/types. */
  readonly input: z.ZodType<Input>;
  /** The JSON Schema to publish, if `input` was made from one. */
  readonly inputDocument?: Json;
  /** Kinds of output that clients can expect; all of them when absent. */
  readonly output?: readonly ("text" | "audio" | "data")[] | undefined;
  /** Defaults for the submit options of the same names. */
  readonly maxAttempts?: number;
  readonly timeoutMs?: number;
  readonly firstOutputMs?: number;
  readonly idleMs?: number;
  /** Called at the end of every job that names no webhook of its own. Its host has to be allowed. */
  readonly webhook?: string;
  readonly webhookAfterMs?: number;
  /** Most concurrent runs of this type in one process; the node's whole concurrency when absent. */
  readonly concurrency?: number;
  /** Remote workers do the work; the server only keeps queue, leases and log. */
  readonly remote?: true;
  /** How long text is gathered before it is logged as one entry (default 20). 0: every call is an entry of its own. */
  readonly rollupMs?: number;
  /** Each run gets a thread of its own, where it can neither block nor end the server. For handler files only. */
  readonly isolate?: boolean;
  /**
   * Further checks before the job is stored. A JobError refuses the input: `400` with its message at `/input`. Built-in
   * types throw `invalidField(pointer, detail)`, with pointers from `/input`.
   */
  check?(input: Input, context: InputContext): Promise<void> | void;
}

export interface Handler<Input = unknown> extends JobType<Input> {
  /** Does the work. Its return value is the job's result; undefined counts as null. */
  run(job: RunningJob, input: Input): Promise<Json | void>;
}

/** Any handler, with its input type erased: what a registry holds. */
// oxlint-disable-next-line typescript/no-explicit-any -- the registry pairs each handler with what its own schema parsed
export type AnyHandler = Handler<any>;

/** Returns the handler as it is; exists to infer the type of the input for `run`. */
export function defineHandler<Input>(handler: Handler<Input>): Handler<Input> {
  return handler;
}

export interface JobErrorOptions {
  /** true: the job may run again while `maxAttempts` allows (default). */
  readonly retryable?: boolean;
  /** Wait before the next run instead of the usual back-off. */
  readonly retryAfterMs?: number;
  readonly origin?: ErrorOrigin;
  readonly cause?: unknown;
}

/** An error whose code and message the user sees, and which decides whether the job is retried. */
export class JobError extends Error {
  override readonly name = "JobError";
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly origin: ErrorOrigin;

  constructor(code: string, message: string, options: JobErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? true;
    this.retryAfterMs = options.retryAfterMs;
    this.origin = options.origin ?? "handler";
  }
}
