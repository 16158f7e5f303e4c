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

/** How a log is told; `silenced`: without its sound, an entry of audio has an empty payload. */
export interface Telling {
  readonly silenced: boolean;
}

const NO_SOUND = new Uint8Array(0);

/** One entry as one frame. */
export function encodeEvent(job: JobId, event: StoredEvent, { silenced }: Telling): LogFrame {
  const { seq, attempt, kind } = event;
  const data = silenced && kind === "output.audio" ? NO_SOUND : event.data;
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
  units: number;
}

/**
 * A page of the log for somebody who is catching up: neighbouring texts of one attempt and one index become one frame
 * of at most `LIMITS.foldedBytes`; everything else is a frame of its own.
 */
export function encodePage(job: JobId, events: readonly StoredEvent[], telling: Telling): LogFrame[] {
  const frames: LogFrame[] = [];
  let folds: Fold[] = []; // the open one, or none
  const close = (): void => {
    for (const { first, last, text, index } of folds) {
      const data = JSON.stringify({ delta: text, index });
      frames.push({ first, last: last.seq, terminal: false, encoded: frameText(job, last, first, data) });
    }
    folds = [];
  };
  for (const event of events) {
    if (event.kind !== "output.text" || typeof event.data !== "string") {
      close();
      frames.push(encodeEvent(job, event, telling));
      continue;
    }
    const { delta, index } = JSON.parse(event.data) as { delta: string; index: number };
    const units = event.data.length;
    const open = folds[0];
    const joins =
      open?.index === index && open.last.attempt === event.attempt && open.units + units <= FOLD_UNITS;
    if (open !== undefined && joins) {
      open.text += delta;
      open.units += units;
      open.last = event;
    } else {
      close();
      folds = [{ first: event.seq, last: event, index, text: delta, units }];
    }
  }
  close();
  return frames;
}

/** UTF-16 units of folded JSON that are sure to stay below the bound as UTF-8 with the envelope. */
const FOLD_UNITS = Math.floor(LIMITS.foldedBytes / 3) - 512;
