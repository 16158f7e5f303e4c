/** What goes in and out of `/v1/worker` (PROTOCOL section 6): bodies as schemas, answers as schemas and types. */
import { z } from "zod";
import type { CancelReason, Json } from "./events.ts";
import { JOB_STATUSES } from "./jobs.ts";
import { LIMITS } from "./limits.ts";
import { anyJson } from "./objects.ts";

const worker = z
  .string()
  .max(LIMITS.workerNameChars)
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without blanks")
  .describe("What the worker calls itself; the job's user sees it in `job.started`.");

export const leaseBodySchema = z.strictObject({
  worker,
  types: z
    .array(z.string().min(1).max(LIMITS.typeChars))
    .min(1)
    .max(LIMITS.workerTypes)
    .describe("Job types it takes."),
  max: z.int().min(1).max(LIMITS.workerJobs).default(1).describe("Most jobs of this answer."),
  waitMs: z
    .int()
    .min(0)
    .max(LIMITS.workerWaitMs)
    .default(0)
    .describe("How long the call may wait for a job."),
});

export type LeaseBody = z.output<typeof leaseBodySchema>;

export const progressSchema = z.strictObject({
  ratio: z.number().min(0).max(1).exactOptional(),
  message: z.string().max(LIMITS.progressMessageChars).exactOptional(),
});

const leaseToken = z.string().min(1).max(LIMITS.tokenChars).describe("Secret: whoever has it may write.");

export const heartbeatBodySchema = z.strictObject({
  worker,
  leases: z
    .array(
      z.strictObject({
        job: z.string().max(64),
        leaseToken,
        progress: progressSchema.optional().describe("Logged as `job.progress` if it is news."),
        checkpoint: z.unknown().optional().describe("Any JSON, kept for a later run of the job."),
      }),
    )
    .max(LIMITS.heartbeatLeases),
});

export const completeBodySchema = z.strictObject({
  result: z.unknown().optional().describe("Any JSON; null when absent."),
});

export const failBodySchema = z.strictObject({
  code: z
    .string()
    .max(LIMITS.jobErrorCodeChars)
    .regex(/^\w[\w.-]*$/, "must be a name of letters, digits, _ . -")
    .describe("The user sees it as `error.code`."),
  message: z.string().max(LIMITS.jobErrorMessageChars).describe("For the user."),
  retryable: z.boolean().default(true).describe("false: the job ends with this run."),
  retryAfterMs: z.int().min(0).max(LIMITS.timeoutMs).optional().describe("Instead of the usual back-off."),
});

export const releaseBodySchema = z.strictObject({});

/** As it is announced before the sound. */
export const audioFormatSchema = z.strictObject({
  codec: z.enum(["pcm_s16le", "opus", "mp3"]),
  sampleRate: z.int().min(1).max(LIMITS.sampleRate),
  channels: z.int().min(1).max(LIMITS.channels),
});

/** One line of a worker's output. */
export const itemSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("output.text"),
    data: z.strictObject({ delta: z.string(), index: z.int().min(0).default(0) }),
  }),
  z.strictObject({ kind: z.literal("output.audio.format"), data: audioFormatSchema }),
  z.strictObject({ kind: z.literal("output.audio"), data: z.strictObject({ bytes: z.base64() }) }),
  z.strictObject({ kind: z.literal("output.data"), data: z.unknown() }),
  z.strictObject({ kind: z.literal("job.progress"), data: progressSchema }),
]);

export type WorkerItem = z.output<typeof itemSchema>;

export const CONTROLS = ["run", "quiet", "terminate"] as const;
export type Control = (typeof CONTROLS)[number];

const control = z
  .enum(CONTROLS)
  .describe("`quiet`: lease no more here, the server drains. `terminate`: finish or release now.");
const jobId = z.string().meta({ format: "uuid" });
const durationMs = z.int().min(0);

export const leasedJobSchema = z.object({
  id: jobId,
  type: z.string(),
  input: anyJson,
  attempt: z.int().min(1).describe("Number of this run."),
  leaseToken: z.string().describe("Sent as `Holdline-Lease` with every call about this job. Secret."),
  leaseMs: durationMs.describe("How long the lease lasts after each sign of life."),
  timeoutMs: durationMs.describe("How long this run may take."),
  checkpoint: anyJson
    .exactOptional()
    .describe("What an earlier run left; its output starts anew all the same."),
  traceparent: z.string(),
  tracestate: z.string().exactOptional(),
  correlationId: z.string().exactOptional(),
  metadata: z.record(z.string(), z.string()),
});

export type LeasedJobObject = z.infer<typeof leasedJobSchema>;

export const leasedSchema = z.object({ jobs: z.array(leasedJobSchema), control });
export type LeasedObject = z.infer<typeof leasedSchema>;

export const itemsTakenSchema = z.object({
  next: z.int().min(0).describe("Number of the next item of this run."),
  control,
});
export type ItemsTakenObject = z.infer<typeof itemsTakenSchema>;

export const leaseStateSchema = z.object({
  job: z.string(),
  status: z.enum(["ok", "cancel", "lost"]).describe("`lost`: stop, nothing of this run counts any more."),
  leaseMs: durationMs
    .exactOptional()
    .describe("How long the lease lasts from now on; absent when it is lost."),
  reason: z.string().exactOptional().describe("Of a cancel."),
  stopWithinMs: durationMs.exactOptional().describe("Of a cancel: after that the lease is fenced."),
});

export type LeaseStateObject = z.infer<typeof leaseStateSchema> & { readonly reason?: CancelReason };

export const heartbeatSchema = z.object({ leases: z.array(leaseStateSchema), control });
export type HeartbeatObject = z.infer<typeof heartbeatSchema>;

export const runEndedSchema = z.object({
  job: jobId,
  status: z.enum(JOB_STATUSES).describe("Of the job, after the end of this run."),
});
export type RunEndedObject = z.infer<typeof runEndedSchema>;

export const workerSchema = z.object({
  name: z.string(),
  tokenId: z.string().describe("Id of the worker token it uses."),
  types: z.array(z.string()).describe("Those it asked for last."),
  leases: z.array(jobId).describe("Jobs it holds, as far as this process knows."),
  polling: z.int().min(0).describe("Its calls that wait for a job."),
  lastHeardAt: z.string().meta({ format: "date-time" }),
});

export type WorkerObject = z.infer<typeof workerSchema>;
export const workersSchema = z.object({ items: z.array(workerSchema) });

/** JSON as it stands after `parseBody`: the reader refused whatever JSON cannot say. */
export function asJson(value: unknown): Json {
  return (value ?? null) as Json;
}
