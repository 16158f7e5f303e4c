/**
 * A checksum with each entry of a log: SQLite notices damage to its own structure, but not a byte of a text that is
 * another one now. What does not have its sum is not shown.
 */
import { DatabaseDamaged } from "../../database/writer.ts";
import { seqOfRow, sumOf, type EventRow } from "../event-row.ts";

/** Throws DatabaseDamaged for a row that does not have the sum it was written with; null: written before there were any. */
export function checkSum(row: EventRow, sum: number | null): void {
  if (sum !== null && sum !== sumOf(row)) {
    throw new DatabaseDamaged(`entry ${seqOfRow(row.id)} of a log is not what was stored`);
  }
}
