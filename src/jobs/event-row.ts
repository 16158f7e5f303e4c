/** How the entries of all logs lie in one table: the id of a row, and the checksum that goes with it. */
import type { StoredEvent } from "./job.ts";

/** Sequence numbers' share of an event's row id; LIMITS.jobEvents stays below it. */
const SEQ_SPAN = 2 ** 22;

/** Row id of one entry: the logs lie in one b-tree, each job's entries side by side. Exact up to 2^31 jobs. */
export function eventRow(num: number, seq: number): number {
  return num * SEQ_SPAN + seq;
}

export function seqOfRow(row: number): number {
  return row % SEQ_SPAN;
}

/** An entry as a row holds it. */
export interface EventRow extends Omit<StoredEvent, "seq"> {
  readonly id: number;
}

/** CRC-32 (ISO 3309) of everything the row holds. */
export function sumOf({ id, attempt, at, kind, data }: EventRow): number {
  return Bun.hash.crc32(data, Bun.hash.crc32(`${id} ${attempt} ${at} ${kind} `));
}
