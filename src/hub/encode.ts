/** Entries of a log as they go over a socket. Text is put together from what the store keeps; nothing is parsed for it. */
import type { JobId } from "../lib/ids.ts";
import type { StoredEvent } from "../jobs/job.ts";
import { encodeBinaryFrame, type BinaryKind } from "../protocol/binary.ts";
import { isTerminalKind } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";

export type Encoded = string | Uint8Array<ArrayBuffer>;

/** One frame: covers the entries first…last of a log. */
export interface LogFrame {
  readonly first: number;
  readonly last: number;
  readonly terminal: boolean;
  readonly encoded: Encoded;
}

function frameText(job: JobId, event: StoredEvent, first: number, data: string): string {
  const folded = first === event.seq ? "" : `"first":${first},`;
  const terminal = isTerminalKind(event.kind) ? ',"terminal":true' : "";
  return `{"type":"event","job":"${job}","seq":${event.seq},${folded}"attempt":${event.attempt},"at":${event.at},"kind":"${event.kind}","data":${data}${terminal}}`;
}

/** One entry as one frame. */
export function encodeEvent(job: JobId, event: StoredEvent): LogFrame {
  const { seq, attempt, kind, data } = event;
  const encoded =
    typeof data === "string"
      ? frameText(job, event, seq, data)
      : encodeBinaryFrame({ kind: kind as BinaryKind, attempt, seq, job, payload: data });
  return { first: seq, last: seq, terminal: isTerminalKind(kind), encoded };
}

interface Fold {
  readonly first: number;
  last: StoredEvent;
  readonly index: number;
  text: string;
  bytes: number;
}

/**
 * A page of the log for somebody who is catching up: neighbouring texts of one attempt and one index become one frame
 * of at most `LIMITS.foldedBytes`; everything else is a frame of its own.
 */
export function encodePage(job: JobId, events: readonly StoredEvent[]): LogFrame[] {
  const frames: LogFrame[] = [];
  let fold: Fold | null = null;
  const close = (): void => {
    if (fold === null) return;
    const data = JSON.stringify({ delta: fold.text, index: fold.index });
    frames.push({
      first: fold.first,
      last: fold.last.seq,
      terminal: false,
      encoded: frameText(job, fold.last, fold.first, data),
    });
    fold = null;
  };
  for (const event of events) {
    if (event.kind !== "output.text" || typeof event.data !== "string") {
      close();
      frames.push(encodeEvent(job, event));
      continue;
    }
    const { delta, index } = JSON.parse(event.data) as { delta: string; index: number };
    const open: Fold | null = fold;
    const bytes = event.data.length;
    if (
      open !== null &&
      open.index === index &&
      open.last.attempt === event.attempt &&
      open.bytes + bytes <= FOLD_BYTES
    ) {
      open.text += delta;
      open.bytes += bytes;
      open.last = event;
    } else {
      close();
      fold = { first: event.seq, last: event, index, text: delta, bytes };
    }
  }
  close();
  return frames;
}

/** UTF-16 units of folded JSON that are sure to stay below the bound as UTF-8 with the envelope. */
const FOLD_BYTES = Math.floor(LIMITS.foldedBytes / 3) - 512;

/** One entry as JSON, for HTTP: bytes become base64. */
export function toEventText(job: JobId, event: StoredEvent): string {
  const data = typeof event.data === "string" ? event.data : `{"bytes":"${event.data.toBase64()}"}`;
  const terminal = isTerminalKind(event.kind) ? ',"terminal":true' : "";
  return `{"job":"${job}","seq":${event.seq},"attempt":${event.attempt},"at":${event.at},"kind":"${event.kind}","data":${data}${terminal}}`;
}
