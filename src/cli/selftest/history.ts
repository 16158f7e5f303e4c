/**
 * What a load client writes down: each operation with how it ended, and each event with the attachment that brought it.
 * Contents are kept as hashes, so that minutes of load fit into memory.
 */
import { canonicalJson } from "../../lib/json.ts";

/**
 * `ok`: answered as asked. `failed`: refused, and the server says that nothing was done. `unknown`: no answer, or one
 * that does not say (503); it may have been done. `invoked`: still under way.
 */
export type Outcome = "invoked" | "ok" | "failed" | "unknown";

export interface Operation {
  readonly name: "submit" | "connect" | "attach" | "ack";
  /** Of a submit: its idempotency key. */
  readonly key: string | null;
  /** Milliseconds of the client's steady clock. */
  readonly invokedMs: number;
  job: string | null;
  outcome: Outcome;
  endedMs: number | null;
  /** What a refusal or a broken connection said. */
  detail: string | null;
}

/** One entry of a log, or a fold of several, as a connection brought it. */
export interface SeenEvent {
  /** First entry it covers; equal to `seq` unless it is a fold. */
  readonly first: number;
  readonly seq: number;
  readonly attempt: number;
  readonly kind: string;
  /** null for a binary frame, which does not carry it. */
  readonly at: number | null;
  readonly terminal: boolean;
  /** `contentOf` what it said. */
  readonly content: string;
}

/** What one attachment brought of one job: everything after `after`, in order. */
export interface Delivery {
  /** Counts the connections of one client from 1. */
  readonly connection: number;
  readonly after: number;
  readonly events: readonly SeenEvent[];
}

/** `data` of an entry as far as the checker reads it; what else stands in it is compared and not understood. */
export interface EntryData {
  readonly reason?: string;
  readonly delta?: string;
  readonly index?: number;
  /** Base64. */
  readonly bytes?: string;
  readonly result?: unknown;
  readonly error?: { readonly code: string };
}

/** One entry of a log as HTTP tells it (PROTOCOL section 5). */
export interface LogEntry {
  readonly job: string;
  readonly seq: number;
  readonly first?: number;
  readonly attempt: number;
  readonly at: number;
  readonly kind: string;
  readonly data: EntryData | null;
}

function hash(bytes: string | Uint8Array): string {
  return Bun.hash(bytes).toString(36);
}

/** The content of bytes that came as a binary frame. */
export function contentOfBytes(bytes: Uint8Array): string {
  return `bytes ${hash(bytes)}`;
}

/** The content of text that came in one or several deltas. */
export function contentOfText(delta: string, index: number): string {
  return `text ${index} ${hash(delta)}`;
}

/** The content of an entry, the same for JSON and binary frames, whatever the order of its fields. */
export function contentOf(kind: string, data: unknown): string {
  const fields = typeof data === "object" && data !== null ? (data as EntryData) : {};
  if (kind === "output.text") return contentOfText(fields.delta ?? "", fields.index ?? 0);
  if (kind === "output.audio" && fields.bytes !== undefined)
    return contentOfBytes(Uint8Array.fromBase64(fields.bytes));
  return `json ${hash(canonicalJson(data))}`;
}

/** One text that stands for a whole log: equal logs have equal digests. */
export function digestOf(log: readonly LogEntry[]): string {
  return hash(
    log
      .map(({ seq, attempt, at, kind, data }) => `${seq} ${attempt} ${at} ${kind} ${contentOf(kind, data)}`)
      .join("\n"),
  );
}

export interface History {
  readonly operations: readonly Operation[];
  /** Writes down that it begins; the caller fills in how it ends. */
  begin(name: Operation["name"], nowMs: number, key?: string): Operation;
}

export function createHistory(): History {
  const operations: Operation[] = [];
  return {
    operations,
    begin(name, nowMs, key) {
      const operation: Operation = {
        name,
        key: key ?? null,
        invokedMs: nowMs,
        job: null,
        outcome: "invoked",
        endedMs: null,
        detail: null,
      };
      operations.push(operation);
      return operation;
    },
  };
}
