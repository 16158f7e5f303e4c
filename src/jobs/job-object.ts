/** A job as routes show it. */
import type { Json, JobErrorBody } from "../protocol/events.ts";
import { isTerminalStatus } from "../protocol/job-status.ts";
import type { JobObject } from "../protocol/jobs.ts";
import type { JobRecord } from "./job.ts";
import { putOffUntil } from "./transitions.ts";

const time = (ms: number): string => new Date(ms).toISOString();

/** The 32 hex digits of a traceparent that name the trace. */
export function traceIdOf(traceparent: string): string {
  return traceparent.split("-")[1] ?? "";
}

/** `result` is JSON text or null; `position` is given while the job is queued. */
export function toJobObject(job: JobRecord, result: string | null, position: number | null): JobObject {
  const self = `/v1/jobs/${job.id}`;
  const dueAt = putOffUntil(job, job.createdAt);
  return {
    id: job.id,
    type: job.type,
    status: job.status,
    terminal: isTerminalStatus(job.status),
    attempt: job.attempt,
    head: job.head,
    createdAt: time(job.createdAt),
    ...(dueAt === null ? {} : { runAt: time(dueAt) }),
    ...(job.startedAt === null ? {} : { startedAt: time(job.startedAt) }),
    ...(job.finishedAt === null ? {} : { finishedAt: time(job.finishedAt) }),
    ...(job.progress === null
      ? {}
      : { progress: JSON.parse(job.progress) as { ratio?: number; message?: string } }),
    ...(result === null ? {} : { result: JSON.parse(result) as Json }),
    ...(job.error === null ? {} : { error: JSON.parse(job.error) as JobErrorBody }),
    ...(position === null ? {} : { queue: { position } }),
    metadata: job.metadata,
    traceId: traceIdOf(job.traceparent),
    ...(job.retryOf === null ? {} : { retryOf: job.retryOf }),
    ...(job.deliveredAt === null ? {} : { deliveredAt: time(job.deliveredAt) }),
    urls: { self, events: `${self}/events`, output: `${self}/output`, cancel: `${self}/cancel` },
  };
}
