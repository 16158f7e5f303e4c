/** `/v1/jobs` in words: accepting, reading, ending and repeating jobs. */
import { JOB_STATUSES } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { example, intQuery, json, type Described, type DescribedAnswer } from "./describe.ts";
import { canceledJob, endedJob, queuedJob, submitExample } from "./examples.ts";
import type { Parameter } from "./shape.ts";

const idempotencyKey: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  description: `Makes a repeated call safe: the same key with the same body gives the same job for 24 h. 1 to ${LIMITS.idempotencyKeyChars} printable ASCII characters, quoted or bare.`,
  schema: { type: "string", minLength: 1, maxLength: LIMITS.idempotencyKeyChars },
};

const prefer: Parameter = {
  name: "Prefer",
  in: "header",
  description: `\`wait=N\`: wait up to N seconds (at most ${LIMITS.waitMs / 1000}) for the end of the job.`,
  schema: { type: "string", pattern: "wait=\\d+" },
};

/** What submit and retry have in common: a new job. */
const accepted: Readonly<Record<number, DescribedAnswer>> = {
  202: {
    description: "The job is stored. It will be answered, whatever dies in between.",
    headers: ["Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied"],
    content: json("Job", example("queued", queuedJob)),
  },
  200: {
    description: "Asked to wait, and the job has ended in time.",
    headers: ["Location", "Idempotent-Replayed", "Preference-Applied"],
    content: json("Job", example("succeeded", endedJob)),
  },
};

export const JOB_OPERATIONS: readonly Described[] = [
  {
    method: "POST",
    path: "/v1/jobs",
    id: "submitJob",
    tag: "Jobs",
    summary: "Submit a job",
    description:
      "Everything is validated before anything is stored. A session whose socket is open is attached to the job by itself; the first events may come before this answer was read.",
    credential: "needed",
    parameters: [idempotencyKey, prefer],
    body: { description: "What to do.", content: json("Submit", example("chat", submitExample)) },
    answers: accepted,
    problems: [
      "invalid_idempotency_key",
      "idempotency_key_reused",
      "unknown_type",
      "too_many_jobs",
      "queue_full",
      "draining",
      "storage_unavailable",
    ],
  },
  {
    method: "GET",
    path: "/v1/jobs",
    id: "listJobs",
    tag: "Jobs",
    summary: "List your jobs, newest first",
    credential: "needed",
    parameters: [
      {
        name: "status",
        in: "query",
        description: "Only jobs of this status.",
        schema: { type: "string", enum: JOB_STATUSES },
      },
      { name: "type", in: "query", description: "Only jobs of this type.", schema: { type: "string" } },
      {
        name: "cursor",
        in: "query",
        description: "`next` of the page before.",
        schema: { type: "string" },
      },
      intQuery("limit", "Jobs of one page.", {
        minimum: 1,
        maximum: LIMITS.jobsPage,
        default: LIMITS.jobsPageDefault,
      }),
    ],
    answers: {
      200: {
        description: "A page of jobs.",
        content: json("JobsPage", example("one", { items: [endedJob], next: null })),
      },
    },
    problems: ["invalid_request", "invalid_cursor"],
  },
  {
    method: "GET",
    path: "/v1/jobs/:id",
    id: "readJob",
    tag: "Jobs",
    summary: "Read a job",
    description: "A job of somebody else and one that never was are the same `404`.",
    credential: "needed",
    parameters: [
      intQuery("waitMs", "Wait this long for the end of the job.", {
        minimum: 0,
        maximum: LIMITS.waitMs,
        default: 0,
      }),
      {
        name: "If-None-Match",
        in: "header",
        description: "An `ETag` of an earlier answer.",
        schema: { type: "string" },
      },
    ],
    answers: {
      200: {
        description: "The job as it is.",
        headers: ["ETag", "Retry-After"],
        content: json("Job", { ...example("queued", queuedJob), ...example("succeeded", endedJob) }),
      },
      304: { description: "It is as it was.", headers: ["ETag", "Retry-After"] },
    },
    problems: ["invalid_request", "not_found", "job_purged"],
  },
  {
    method: "DELETE",
    path: "/v1/jobs/:id",
    id: "deleteJob",
    tag: "Jobs",
    summary: "Delete a job that has ended",
    description:
      "Its log and its result are gone at once. From then on it answers `job_purged`, later `not_found`.",
    credential: "needed",
    answers: { 204: { description: "It is gone." } },
    problems: ["not_found", "job_purged", "job_not_terminal", "storage_unavailable"],
  },
  {
    method: "POST",
    path: "/v1/jobs/:id/cancel",
    id: "cancelJob",
    tag: "Jobs",
    summary: "Cancel a job",
    description: `May be repeated. A run gets ${LIMITS.cancelGraceMs / 1000} s to stop; a result that is committed before still counts.`,
    credential: "needed",
    answers: {
      200: {
        description: "It has ended, by this or before.",
        content: json("Job", example("canceled", canceledJob)),
      },
      202: {
        description: "Its run is being stopped.",
        content: json("Job", example("canceling", { ...queuedJob, status: "canceling", attempt: 1 })),
      },
    },
    problems: ["not_found", "job_purged", "storage_unavailable"],
  },
  {
    method: "POST",
    path: "/v1/jobs/:id/retry",
    id: "retryJob",
    tag: "Jobs",
    summary: "Run a job that has ended once more",
    description: "A new job with the same type, input and options; its `retryOf` names the old one.",
    credential: "needed",
    parameters: [idempotencyKey, prefer],
    answers: accepted,
    problems: [
      "not_found",
      "job_purged",
      "job_not_terminal",
      "invalid_idempotency_key",
      "idempotency_key_reused",
      "too_many_jobs",
      "queue_full",
      "draining",
      "storage_unavailable",
    ],
  },
];
