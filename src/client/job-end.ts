/** How a job's end looks in its last event, in the job object and as an error: three shapes of one fact. */
import type { EventKind } from "../protocol/events.ts";
import type { JobObject, JobStatus } from "../protocol/jobs.ts";
import { ClientError } from "./errors.ts";
import type { JobEnd, LogEvent } from "./job-events.ts";

const STATUS_AFTER: Partial<Record<EventKind, JobStatus>> = {
  "job.queued": "queued",
  "job.started": "running",
  "job.retrying": "retrying",
  "job.canceling": "canceling",
};

/** The status an event that is not terminal puts the job in; null when it changes none. */
export function statusAfter(kind: EventKind): JobStatus | null {
  return STATUS_AFTER[kind] ?? null;
}

/** The end a terminal event tells of; null for any other. */
export function endOfEvent(event: LogEvent): JobEnd | null {
  if (event.kind === "job.succeeded") return { outcome: "succeeded", result: event.data.result };
  if (event.kind === "job.failed") return { outcome: "failed", error: event.data.error };
  if (event.kind === "job.canceled") return { outcome: "canceled", reason: event.data.reason };
  return event.kind === "job.expired" ? { outcome: "expired" } : null;
}

/** The end a finished job tells of; null for any other. */
export function endOfJob(job: JobObject): JobEnd | null {
  if (job.status === "succeeded") return { outcome: "succeeded", result: job.result ?? null };
  if (job.status === "failed" && job.error !== undefined) return { outcome: "failed", error: job.error };
  // The job object does not keep the reason, and the log that did is gone.
  if (job.status === "canceled") return { outcome: "canceled", reason: "requested" };
  return job.status === "expired" ? { outcome: "expired" } : null;
}

/** The error a caller gets who waits for the result of a job that ended like this. */
export function errorOf(end: Exclude<JobEnd, { outcome: "succeeded" }>): ClientError {
  if (end.outcome === "failed") return new ClientError(end.error.code, end.error.message);
  if (end.outcome === "canceled") return new ClientError("canceled", `The job was canceled (${end.reason}).`);
  if (end.outcome === "lost") return new ClientError(end.code, end.detail);
  return new ClientError("expired", "The job was not started in time.");
}
