/**
 * Binary frames: a 24-byte header, big endian, then the payload (PROTOCOL section 5).
 * byte 0 version = 1 · byte 1 kind · 2–3 attempt · 4–7 seq · 8–23 the job's UUID · 24… payload.
 * Runs in browsers too: nothing of Bun or Node in here.
 */

export const BINARY_VERSION = 1;
export const BINARY_HEADER_BYTES = 24;

const KIND_CODES = { "output.audio": 1, "output.data": 2 } as const;
export type BinaryKind = keyof typeof KIND_CODES;

export interface BinaryFrame {
  readonly kind: BinaryKind;
  readonly attempt: number;
  readonly seq: number;
  /** UUID text. */
  readonly job: string;
  readonly payload: Uint8Array;
}

function hexDigit(char: number): number {
  // '0'–'9' is 48–57, 'a'–'f' 97–102: ids are lower-case by construction.
  return char <= 57 ? char - 48 : char - 87;
}

function writeUuid(target: Uint8Array, offset: number, uuid: string): void {
  let at = offset;
  for (let i = 0; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) i += 1;
    target[at] = (hexDigit(uuid.charCodeAt(i)) << 4) | hexDigit(uuid.charCodeAt(i + 1));
    at += 1;
  }
}

function readUuid(source: Uint8Array, offset: number): string {
  let hex = "";
  for (let i = 0; i < 16; i += 1) {
    if (i === 4 || i === 6 || i === 8 || i === 10) hex += "-";
    hex += (source[offset + i] ?? 0).toString(16).padStart(2, "0");
  }
  return hex;
}

/** The whole frame in a fresh buffer; the payload is copied. */
export function encodeBinaryFrame(frame: BinaryFrame): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BINARY_HEADER_BYTES + frame.payload.byteLength);
  const view = new DataView(bytes.buffer);
  bytes[0] = BINARY_VERSION;
  bytes[1] = KIND_CODES[frame.kind];
  view.setUint16(2, frame.attempt);
  view.setUint32(4, frame.seq);
  writeUuid(bytes, 8, frame.job);
  bytes.set(frame.payload, BINARY_HEADER_BYTES);
  return bytes;
}

/** The parts of a frame (the payload is a view, not a copy), or null for a version or kind this code does not know. */
export function decodeBinaryFrame(bytes: Uint8Array): BinaryFrame | null {
  if (bytes.byteLength < BINARY_HEADER_BYTES || bytes[0] !== BINARY_VERSION) return null;
  const kind = bytes[1] === 1 ? "output.audio" : bytes[1] === 2 ? "output.data" : null;
  if (kind === null) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind,
    attempt: view.getUint16(2),
    seq: view.getUint32(4),
    job: readUuid(bytes, 8),
    payload: bytes.subarray(BINARY_HEADER_BYTES),
  };
}
