/** The kinds of entries of a job's log and the shape of each one's `data` (PROTOCOL section 5). */

/** Anything JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export const TERMINAL_KINDS = ["job.succeeded", "job.failed", "job.canceled", "job.expired"] as const;

export const OUTPUT_KINDS = ["output.text", "output.audio.format", "output.audio", "output.data"] as const;

export const EVENT_KINDS = [
  "job.queued",
  "job.started",
  "job.progress",
  "job.retrying",
  "job.canceling",
  "output.reset",
  ...OUTPUT_KINDS,
  ...TERMINAL_KINDS,
] as const;

export type EventKind = (typeof EVENT_KINDS)[number];
export type TerminalKind = (typeof TERMINAL_KINDS)[number];
export type OutputKind = (typeof OUTPUT_KINDS)[number];

export type CancelReason = "requested" | "disconnected" | "logged_out" | "lane" | "admin";
export type ResetReason = "retry" | "worker_lost" | "restart" | "released";
export type ErrorOrigin = "input" | "handler" | "upstream" | "worker_lost" | "timeout" | "server";

/** Why a run or a job ended badly; `message` is shown to the user. */
export interface JobErrorBody {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly attempt: number;
  readonly origin: ErrorOrigin;
}

export interface AudioFormat {
  readonly codec: "pcm_s16le" | "opus" | "mp3";
  readonly sampleRate: number;
  readonly channels: number;
}

/** `data` of each kind as it stands in a frame; the two binary kinds carry `{bytes: base64}` in JSON. */
export interface EventData {
  "job.queued": { readonly position: number; readonly runAt?: number };
  "job.started": { readonly worker?: string };
  "job.progress": { readonly ratio?: number; readonly message?: string };
  "job.retrying": {
    readonly reason: "error" | "worker_lost" | "restart" | "released";
    readonly delayMs: number;
    readonly error?: JobErrorBody;
  };
  "job.canceling": { readonly reason: CancelReason };
  "output.text": { readonly delta: string; readonly index: number };
  "output.audio.format": AudioFormat;
  "output.audio": { readonly bytes: string };
  "output.data": Json;
  "output.reset": { readonly reason: ResetReason };
  "job.succeeded": { readonly result: Json };
  "job.failed": { readonly error: JobErrorBody };
  "job.canceled": { readonly reason: CancelReason };
  "job.expired": Record<string, never>;
}

const terminalKinds: ReadonlySet<string> = new Set(TERMINAL_KINDS);
const outputKinds: ReadonlySet<string> = new Set(OUTPUT_KINDS);

export function isTerminalKind(kind: string): kind is TerminalKind {
  return terminalKinds.has(kind);
}

export function isOutputKind(kind: string): kind is OutputKind {
  return outputKinds.has(kind);
}
