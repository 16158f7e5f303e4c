/** One line about a frame that went either way, for whoever watches the wire: a timeline, a log, a test. */
import type { BinaryFrame } from "../protocol/binary.ts";
import type { ClientFrame, ServerFrame } from "../protocol/frames.ts";

export interface FrameNote {
  readonly direction: "in" | "out";
  /** Frame type, or `binary`. */
  readonly type: string;
  /** Event kind, where it is an event. */
  readonly kind: string | null;
  readonly job: string | null;
  readonly seq: number | null;
  /** Below `seq` when the frame folds several entries. */
  readonly first: number | null;
  /** Size of the frame's payload on the socket. */
  readonly bytes: number;
  readonly replayed: boolean;
}

const encoder = new TextEncoder();

function sizeOf(raw: string | ArrayBuffer): number {
  return typeof raw === "string" ? encoder.encode(raw).byteLength : raw.byteLength;
}

export function noteSent(frame: ClientFrame, raw: string): FrameNote {
  const job = "job" in frame ? frame.job : null;
  const seq = frame.type === "ack" ? frame.seq : frame.type === "attach" ? (frame.after ?? 0) : null;
  return {
    direction: "out",
    type: frame.type,
    kind: null,
    job,
    seq,
    first: null,
    bytes: sizeOf(raw),
    replayed: false,
  };
}

/** `replayUntil`: last seq that counts as replay for the frame's job. */
export function noteReceived(
  frame: ServerFrame | BinaryFrame,
  raw: string | ArrayBuffer,
  replayUntil: number,
): FrameNote {
  const bytes = sizeOf(raw);
  if ("payload" in frame || frame.type === "event") {
    const { kind, job, seq } = frame;
    const first = "first" in frame ? (frame.first ?? null) : null;
    const type = "payload" in frame ? "binary" : frame.type;
    return { direction: "in", type, kind, job, seq, first, bytes, replayed: seq <= replayUntil };
  }
  const job = frame.type === "attached" ? frame.job : null;
  const seq = frame.type === "attached" ? frame.after : null;
  return {
    direction: "in",
    type: frame.type,
    kind: null,
    job,
    seq,
    first: null,
    bytes,
    replayed: false,
  };
}
