/**
 * A checksum with each entry of a log: SQLite notices damage to its own structure, but not a byte of a text that is
 * another one now. What does not have its sum is not shown.
 */
import { DatabaseDamaged } from "../../database/writer.ts";
import { seqOfRow, sumOf } from "../event-row.ts";
import type { jobEvents } from "./schema.ts";

type EventRow = typeof jobEvents.$inferSelect;

/** Throws DatabaseDamaged for a row that is not as it was written. */
export function checkSum(row: EventRow): void {
  if (row.sum !== null && row.sum !== sumOf(row)) {
    throw new DatabaseDamaged(`entry ${seqOfRow(row.id)} of a log is not what was stored`);
  }
}
