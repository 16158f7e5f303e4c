/** Where a job's result is kept: in its terminal entry and nowhere else, so that log and answer cannot disagree. */
import type { JobRecord, StoredEvent } from "./job.ts";

const BEFORE = '{"result":';

/** JSON text of the result of a job that succeeded, from the last entry of its log; null for any other. */
export function resultOf(job: JobRecord, last: StoredEvent | undefined): string | null {
  if (job.status !== "succeeded" || last?.kind !== "job.succeeded" || typeof last.data !== "string")
    return null;
  return last.data.slice(BEFORE.length, -1);
}

/** The data of the terminal entry around a result that is JSON text already. */
export function succeededData(result: string): string {
  return `${BEFORE}${result}}`;
}
