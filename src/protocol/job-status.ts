/** How far a job has come. Beside jobs.ts, since the threads that count jobs have no use for its schemas. */
export const JOB_STATUSES = [
  "queued",
  "running",
  "retrying",
  "canceling",
  "succeeded",
  "failed",
  "canceled",
  "expired",
] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];

const terminalStatuses: ReadonlySet<string> = new Set(["succeeded", "failed", "canceled", "expired"]);

export function isTerminalStatus(status: JobStatus): boolean {
  return terminalStatuses.has(status);
}

/** It waits for a run: its first, or the next one. */
export function isWaitingStatus(status: JobStatus | null): boolean {
  return status === "queued" || status === "retrying";
}
