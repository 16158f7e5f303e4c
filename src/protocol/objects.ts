/**
 * The answers of the server as schemas, for those who read contracts by machine: what /openapi.json and /asyncapi.json
 * publish. The server itself answers by the interfaces beside this file; test/http/objects.test.ts holds that each
 * schema says what its interface says. Objects are open: a client ignores fields it does not know.
 */
import { z } from "zod";
import { NODE_ROLES, NODE_STATES } from "./admin.ts";
import { ERROR_CODES, type ErrorCode, JOB_ERROR_CODES } from "./codes.ts";
import { EVENT_KINDS, type EventData, type EventKind, type Json } from "./events.ts";
import { JOB_STATUSES } from "./jobs.ts";
import { PRESENCES } from "./sessions.ts";

/** Any JSON. `z.json()` would say the same with a recursive definition that no reader needs. */
export const anyJson = z.unknown().describe("Any JSON value.") as unknown as z.ZodType<Json>;

const count = z.int().min(0);
const uuid = z.string().meta({ format: "uuid" });
const time = z.string().meta({ format: "date-time" });
const path = z.string().meta({ format: "uri-reference" });
const seq = count.describe("Number of an entry of the log; 0 stands before the first.");
const attempt = count.describe("Number of the run; 0 before the first.");
const metadata = z.record(z.string(), z.string()).describe("As it was submitted.");

/** Order is kept: clients show it. */
const errorCodes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

export const fieldErrorSchema = z.object({
  pointer: z
    .string()
    .describe("JSON Pointer (RFC 6901) from the root of the body; a parameter is named as `/name`."),
  detail: z.string().describe("What is wrong there."),
});

/** RFC 9457 problem details with this product's members. */
export const problemSchema = z.object({
  type: z.string().describe("`urn:holdline:problem:` and the code."),
  title: z.string(),
  status: z.int().describe("The HTTP status again."),
  detail: z.string().describe("What was wrong with this call, for humans."),
  instance: z.string().describe("Path of the call."),
  code: z.enum(errorCodes).describe("What clients switch on."),
  traceId: z.string().describe("Names the call in the log of the server; `X-Trace-Id` again."),
  retryable: z.boolean().describe("The same call may succeed later without being changed."),
  errors: z.array(fieldErrorSchema).exactOptional().describe("Every fault of a body or parameter."),
  limit: z.string().exactOptional().describe("Name of the limit that was crossed."),
  limitBytes: count.exactOptional().describe("Its size in bytes."),
  next: count
    .exactOptional()
    .describe("Of a worker's output: the number of the first item that was not taken."),
  reason: z.enum(["trimmed", "ahead"]).exactOptional().describe("Why the log cannot be read from there."),
  oldest: seq.exactOptional().describe("With `cursor_expired`: first entry that can still be read."),
  head: seq.exactOptional().describe("With `cursor_expired`: newest entry."),
  outputUrl: path.exactOptional().describe("With `cursor_expired`: where the output so far can be had."),
});

export type ProblemObject = z.infer<typeof problemSchema>;

export const jobErrorSchema = z.object({
  code: z
    .string()
    .describe(`${JOB_ERROR_CODES.map((code) => `\`${code}\``).join(" ")}, or the handler's own.`),
  message: z.string().describe("For the user."),
  retryable: z.boolean(),
  attempt,
  origin: z.enum(["input", "handler", "upstream", "worker_lost", "timeout", "server"]),
});

export const jobSchema = z.object({
  id: uuid,
  type: z.string(),
  status: z.enum(JOB_STATUSES),
  terminal: z.boolean().describe("It has ended; nothing of it changes any more."),
  attempt: attempt.describe("Number of the current or last run; 0 before the first."),
  head: seq.describe("Seq of the newest entry of the log."),
  createdAt: time,
  runAt: time.exactOptional().describe("Of a job that was put off: not run before."),
  startedAt: time.exactOptional(),
  finishedAt: time.exactOptional(),
  progress: z
    .object({ ratio: z.number().min(0).max(1).exactOptional(), message: z.string().exactOptional() })
    .exactOptional()
    .describe("What the run last said of itself."),
  result: anyJson.exactOptional().describe("Once it succeeded: whatever its type returns."),
  error: jobErrorSchema.exactOptional().describe("Once it failed, and between runs: why."),
  queue: z
    .object({ position: z.int().min(1).describe("1-based estimate.") })
    .exactOptional()
    .describe("While queued."),
  metadata,
  traceId: z.string().describe("W3C trace id, 32 hex digits."),
  retryOf: uuid.exactOptional().describe("The job that this one repeats."),
  deliveredAt: time.exactOptional().describe("When its terminal event was first acknowledged."),
  urls: z.object({ self: path, events: path, output: path, cancel: path }),
});

const nextCursor = z.string().nullable().describe("`cursor` of the next page; null on the last one.");
export const jobsPageSchema = z.object({ items: z.array(jobSchema), next: nextCursor });

export const audioFormatSchema = z.object({
  codec: z.enum(["pcm_s16le", "opus", "mp3"]),
  sampleRate: z.int().min(1).describe("Hz."),
  channels: z.int().min(1),
});

const cancelReason = z.enum(["requested", "disconnected", "logged_out", "lane", "admin"]);
const ended = z.enum(["error", "worker_lost", "restart", "released"]);

/** `data` of each kind of entry, as it stands in JSON. */
export const eventDataSchemas = {
  "job.queued": z.object({
    position: z.int().min(1).describe("1-based estimate."),
    runAt: count.exactOptional().describe("Of a job that was put off: not run before (ms since the epoch)."),
  }),
  "job.started": z.object({ worker: z.string().exactOptional().describe("Name of a remote worker.") }),
  "job.progress": z.object({
    ratio: z.number().min(0).max(1).exactOptional(),
    message: z.string().exactOptional(),
  }),
  "job.retrying": z.object({
    reason: ended.describe("How the run ended."),
    delayMs: z.number().min(0).describe("Wait before the next run."),
    error: jobErrorSchema.exactOptional(),
  }),
  "job.canceling": z.object({ reason: cancelReason }),
  "output.reset": z.object({
    reason: z.enum(["retry", "worker_lost", "restart", "released"]).describe("All output before it is void."),
  }),
  "output.text": z.object({
    delta: z.string().describe("Text to append; never split inside a code point."),
    index: count.describe("Which of several parallel texts; 0 where there is one."),
  }),
  "output.audio.format": audioFormatSchema.describe("Stands before the first audio of each run."),
  "output.audio": z.object({ bytes: z.string().meta({ contentEncoding: "base64" }).describe("The chunk.") }),
  "output.data": anyJson.describe('Any JSON value; bytes come as `{"bytes": "<base64>"}` over HTTP.'),
  "job.succeeded": z.object({ result: anyJson }),
  "job.failed": z.object({ error: jobErrorSchema }),
  "job.canceled": z.object({ reason: cancelReason }),
  "job.expired": z.record(z.string(), z.never()),
} as const satisfies { readonly [Kind in EventKind]: z.ZodType<EventData[Kind]> };

export const eventSchema = z.object({
  job: uuid,
  seq: z.int().min(1).describe("1, 2, 3 … of this job, without gap or repeat."),
  attempt,
  at: count.describe("Milliseconds since the epoch."),
  kind: z.enum(EVENT_KINDS),
  data: anyJson,
  terminal: z.literal(true).exactOptional().describe("On the last entry of a log, and only there."),
});

export const eventsPageSchema = z.object({
  events: z.array(eventSchema),
  head: seq.describe("Seq of the newest entry."),
  oldest: seq.describe("First seq that can still be read."),
  terminal: z.boolean().describe("The log is complete."),
  next: count.nullable().describe("`after` of the next call; null once the terminal event was given."),
});

export const webhookSchema = z.strictObject({
  url: z.string(),
  state: z.enum(["pending", "delivered", "failed", "unneeded"]),
  attempts: z.int().min(0).describe("Attempts so far."),
  deliveries: z.array(
    z.strictObject({
      attempt: z.int().min(1),
      at: z.iso.datetime(),
      tookMs: z.int().min(0),
      status: z.int().optional().describe("The receiver's answer."),
      error: z.string().optional().describe("Why there was none."),
    }),
  ),
});

export const outputSchema = z.object({
  text: z.string().describe("The text of index 0."),
  texts: z
    .array(z.object({ index: count, text: z.string() }))
    .exactOptional()
    .describe("All texts, when there are more than that one."),
  seq: seq.describe("Where to go on from: `after` of the events, or of an attach."),
  attempt,
  data: z.array(anyJson).describe("Every `output.data`, in order."),
  audio: z
    .object({
      format: anyJson.describe("As the `output.audio.format` entry says it."),
      bytes: count,
      url: path,
    })
    .exactOptional(),
});

export const jobTypeSchema = z.object({
  type: z.string(),
  input: anyJson.describe("JSON Schema (2020-12) of `input`."),
  output: z.array(z.enum(["text", "audio", "data"])).describe("What it may write."),
  limits: z.record(z.string(), anyJson).describe("Defaults of the submit options, and its concurrency."),
});

export const jobTypesSchema = z.object({ items: z.array(jobTypeSchema) });

export const presenceSchema = z.enum(PRESENCES);

export const sessionSchema = z.object({
  id: uuid,
  userId: z.string(),
  nodeId: z.string().describe("The node that holds, or last held, its socket."),
  createdAt: time,
  connectedAt: time.exactOptional().describe("When the present socket was opened; absent without one."),
  lastSeenAt: time,
  presence: presenceSchema,
  rooms: z.array(z.string()),
});

export const sessionsSchema = z.object({ items: z.array(sessionSchema) });

export const tokenSchema = z.object({
  token: z.string().describe("Session token, to be sent as `Authorization: Bearer`."),
  tokenExpiresAt: z.int().describe("Milliseconds since the epoch."),
});

export const limitsSchema = z.object({
  frameBytes: count.describe("Largest frame a client may send."),
  eventBytes: count.describe("Largest `output.data` or result."),
  queueBytes: count.describe("Most that waits for one connection."),
  rooms: count.describe("Rooms of one session."),
  attachments: count.describe("Jobs that one connection may follow at a time."),
  resumeMs: count.describe("How long a session without a socket can be resumed."),
});

export const sessionCreatedSchema = tokenSchema.extend({ session: sessionSchema, limits: limitsSchema });

export const sessionsPageSchema = z.object({ items: z.array(sessionSchema), next: nextCursor });

export const adminJobSchema = jobSchema.extend({
  userId: z.string(),
  sessionId: uuid.exactOptional().describe("The session it was submitted with."),
});

export const adminJobsPageSchema = z.object({ items: z.array(adminJobSchema), next: nextCursor });

export const nodeSchema = z.object({
  id: z.string(),
  boot: z.string().describe("Of this start of it."),
  role: z.enum(NODE_ROLES).describe("What it takes part in."),
  state: z
    .enum(NODE_STATES)
    .describe("`lost`: silent, and what it held is being given to others; `dead`: that is done."),
  version: z.string(),
  host: z.string().describe("The machine it runs on."),
  url: z.string().describe("Where it listens there."),
  startedAt: time,
  lastSeenAt: time.describe("Its last sign of life."),
  connections: count.describe("Open sockets."),
  running: count.describe("Runs of jobs in this process."),
});

export const scheduleSchema = z.object({
  name: z.string(),
  cron: z.string(),
  timeZone: z.string().describe("Whose time of day `cron` means."),
  type: z.string().describe("Of its jobs."),
  userId: z.string().describe("Whose they are."),
  catchUp: z.enum(["one", "none"]).describe("What becomes of ticks that passed while no server ran."),
  next: time.nullable().describe("Its next tick; null when there is none."),
  last: z
    .object({ tick: time, job: uuid })
    .exactOptional()
    .describe("Its latest job, and the tick that it is of."),
});

export const schedulesSchema = z.object({ items: z.array(scheduleSchema) });

export const nodesSchema = z.object({ items: z.array(nodeSchema) });

export const pushedSchema = z.object({
  id: z.string(),
  delivered: count.describe("Connections that it was handed to; nobody else will get it."),
});

export const saidSchema = z.object({ id: z.string().describe("Id of the message; later ones are greater.") });

export const drainingSchema = z.object({ status: z.literal("draining") });
export const liveSchema = z.object({ status: z.literal("ok") });
export const readySchema = z.union([
  z.object({ status: z.literal("ready") }),
  z.object({
    status: z.literal("degraded"),
    disk: z.enum(["low", "full"]).optional().describe("Submits are refused until there is room."),
    backplane: z
      .literal("unhealthy")
      .optional()
      .describe(
        "Some node is not heard, or does not hear this one: what others do is found by asking the stores.",
      ),
  }),
]);
