/**
 * The contract between Holdline and the code that does the work of one job type (PROTOCOL section 8).
 *
 * Guarantees a handler may rely on
 * - Every call that writes (`text`, `audio`, `data`, `progress`, `checkpoint`) resolves when it is committed; calls
 *   need not be awaited for their order: entries are logged in the order of the calls.
 * - When `signal` is aborted (cancel, time-out, lost lease, end of a drain) nothing more is written: later calls
 *   reject with the signal's reason, and so does whatever waits on the signal.
 * - A run that throws may be followed by another one, with a higher `attempt`: execution is at least once.
 * Obligations
 * - `run` settles soon after `signal` is aborted; one that does not is abandoned and its slot stays taken.
 * - Errors: throw `JobError` to choose code and retry; anything else becomes a retryable `handler_error` whose text
 *   is logged and hidden from the user.
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

/** What a finished job of the same user left behind, as `previous` returns it. */
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
  /** Number of this run, from 1. */
  readonly attempt: number;
  readonly userId: string;
  /** null for a job of no session. */
  readonly sessionId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** W3C Trace Context of this job, to hand on to whatever the handler calls. */
  readonly traceparent: string;
  /** How long the run may write nothing between two outputs before it is ended; null: as long as it likes. */
  readonly idleMs: number | null;
  readonly signal: AbortSignal;
  readonly log: RunLog;
  /** What an earlier run left with `checkpoint`, or null. */
  readonly lastCheckpoint: Json;
  /** Appends text to the output numbered `index` (0). Never split inside a code point; ≤ 64 KiB a call. */
  text(delta: string, options?: { readonly index?: number }): Promise<void>;
  /** Says how the audio that follows is encoded: before the first `audio` of each run, and the same all through it. */
  audioFormat(format: AudioFormat): Promise<void>;
  /** Appends one chunk of whole samples (copied), ≤ 64 KiB. */
  audio(bytes: Uint8Array): Promise<void>;
  /** Appends any JSON (≤ eventBytes) or bytes (≤ 64 KiB, copied). */
  data(value: Json | Uint8Array): Promise<void>;
  /**
   * `ratio` from 0 to 1, or null when only the message is known; ≤ 64 KiB. At most one report in `LIMITS.progressMs` is
   * logged: of those that come sooner the newest, and their calls do not wait for it.
   */
  progress(ratio: number | null, message?: string): Promise<void>;
  /** Keeps a value (≤ eventBytes of JSON) for a later run of this job; replaces the one before. */
  checkpoint(value: Json): Promise<void>;
  /** A finished, successful job of the same user; null for any other id. */
  previous(jobId: string): Promise<PreviousJob | null>;
}

/** What the check of an input may look at before the job is stored. */
export interface InputContext {
  readonly userId: string;
  previous(jobId: string): Promise<PreviousJob | null>;
}

/** What is known of a job type, whoever does its work: a handler of this process, or a remote worker. */
export interface JobType<Input = unknown> {
  /** Name in `type` of a submit. */
  readonly type: string;
  /** Parses `input`; its JSON Schema is published by GET /v1/types. */
  readonly input: z.ZodType<Input>;
  /** The JSON Schema to publish, where `input` was made from one. */
  readonly inputDocument?: Json;
  /** What a client may expect to hear; anything when absent. */
  readonly output?: readonly ("text" | "audio" | "data")[] | undefined;
  /** Defaults of the submit options for this type, in the options' own units. */
  readonly maxAttempts?: number;
  readonly timeoutMs?: number;
  readonly firstOutputMs?: number;
  readonly idleMs?: number;
  /** Told of the end of every job that names no webhook of its own; its host has to be allowed. */
  readonly webhook?: string;
  readonly webhookAfterMs?: number;
  /** Runs of this type at the same time in one process; the node's whole concurrency when absent. */
  readonly concurrency?: number;
  /** Remote workers do it: no process of ours runs it. */
  readonly remote?: true;
  /** How long text may gather before it is logged as one entry (20). 0: every call is an entry of its own. */
  readonly rollupMs?: number;
  /** true: each run in a thread of its own, where nothing it does can block or end the server. Files only. */
  readonly isolate?: boolean;
  /** Further checks before the job is stored; throws `invalidField(pointer, detail)` with pointers from `/input`. */
  check?(input: Input, context: InputContext): Promise<void> | void;
}

export interface Handler<Input = unknown> extends JobType<Input> {
  /** Does the work. What it returns is the job's result (undefined = null). */
  run(job: RunningJob, input: Input): Promise<Json | void>;
}

/** Any handler, its input type forgotten: what a registry holds. */
// oxlint-disable-next-line typescript/no-explicit-any -- the registry pairs each handler with what its own schema parsed
export type AnyHandler = Handler<any>;

/** Checks nothing at run time; gives `run` the type of its input. */
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

/** An error whose code and message the user sees and which decides whether the job runs again. */
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
