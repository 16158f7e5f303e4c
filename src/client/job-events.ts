/** What the application hears about a job: the log's own events, typed, and the few things the client adds. */
import type { BinaryFrame } from "../protocol/binary.ts";
import {
  EVENT_KINDS,
  type AudioFormat,
  type CancelReason,
  type EventData,
  type EventKind,
  type Json,
  type JobErrorBody,
  type ResetReason,
} from "../protocol/events.ts";
import type { EventFrame } from "../protocol/frames.ts";
import type { JobStatus, OutputObject } from "../protocol/jobs.ts";

type DataOf<Kind extends EventKind> = Kind extends "output.audio"
  ? Uint8Array
  : Kind extends "output.data"
    ? Json | Uint8Array
    : EventData[Kind];

/** One entry of the log (or a run of entries of one kind, when `first` < `seq`). */
export type LogEvent = {
  [Kind in EventKind]: {
    readonly kind: Kind;
    readonly job: string;
    readonly seq: number;
    /** First entry covered; equal to `seq` unless the server folded entries while catching up. */
    readonly first: number;
    readonly attempt: number;
    /** Milliseconds since the epoch; null for what came as a binary frame, which does not carry it. */
    readonly at: number | null;
    readonly data: DataOf<Kind>;
    /** true for what was committed before the present attachment: it is caught up with, not live. */
    readonly replayed: boolean;
  };
}[EventKind];

/** Made by the client: the log could not be read from the cursor, so the output so far takes the place of what was heard. */
export interface ReplacedEvent {
  readonly kind: "output.replaced";
  readonly job: string;
  readonly seq: number;
  readonly attempt: number;
  readonly reason: "trimmed" | "ahead";
  readonly data: OutputObject;
}

export type JobEvent = LogEvent | ReplacedEvent;

/** How a job ended; `lost` when the server will never say (deleted, or another user's now). */
export type JobEnd =
  | { readonly outcome: "succeeded"; readonly result: Json }
  | { readonly outcome: "failed"; readonly error: JobErrorBody }
  | { readonly outcome: "canceled"; readonly reason: CancelReason }
  | { readonly outcome: "expired" }
  | { readonly outcome: "lost"; readonly code: string; readonly detail: string };

export interface JobListeners {
  /** Every event, in order. */
  event: JobEvent;
  status: JobStatus;
  text: { readonly delta: string; readonly index: number; readonly seq: number; readonly replayed: boolean };
  audioFormat: AudioFormat;
  audio: {
    readonly bytes: Uint8Array;
    readonly format: AudioFormat | null;
    readonly seq: number;
    readonly replayed: boolean;
  };
  /**
   * Nobody wants to hear it any more: it is being canceled, or another job of its lane was submitted here. Stop playing at
   * once. Comes at most once, also after the end, when sound may still be playing; no `audio` follows.
   */
  silenced: Record<string, never>;
  data: Json | Uint8Array;
  progress: { readonly ratio?: number; readonly message?: string };
  /** All text, audio and data so far is void: the next run starts anew. */
  reset: { readonly reason: ResetReason };
  /** All text and data so far is replaced by this. */
  replaced: ReplacedEvent;
  /** The job is followed again after a loss, from `after` on; entries up to `head` are replayed. */
  attached: { readonly after: number; readonly head: number; readonly recovered: boolean };
  /** Entries were missing or overlapped and were asked for again; nothing of it was handed on. */
  gap: { readonly cursor: number; readonly first: number; readonly seq: number };
  end: JobEnd;
}

const known: ReadonlySet<string> = new Set(EVENT_KINDS);

/** The event a text frame carries; a kind this client does not know keeps its seq and is not handed on. */
export function fromTextFrame(frame: EventFrame, replayUntil: number): LogEvent {
  return {
    kind: frame.kind,
    job: frame.job,
    seq: frame.seq,
    first: frame.first ?? frame.seq,
    attempt: frame.attempt,
    at: frame.at,
    data: frame.data,
    replayed: frame.seq <= replayUntil,
    // The server wrote `data` in the shape its own kind has.
  } as LogEvent;
}

/** The event a binary frame carries. The bytes are a view of the frame. */
export function fromBinaryFrame(frame: BinaryFrame, replayUntil: number): LogEvent {
  return {
    kind: frame.kind,
    job: frame.job,
    seq: frame.seq,
    first: frame.seq,
    attempt: frame.attempt,
    at: null,
    data: frame.payload,
    replayed: frame.seq <= replayUntil,
  };
}

export function isKnownKind(event: LogEvent): boolean {
  return known.has(event.kind);
}
