/** Frames of the server as schemas, for /asyncapi.json; test/http/objects.test.ts holds them to the types in protocol/frames.ts. */
import { z } from "zod";
import { CLOSE_CODES, ERROR_CODES, type ErrorCode } from "../../protocol/codes.ts";
import { EVENT_KINDS } from "../../protocol/events.ts";
import type { ServerFrame } from "../../protocol/frames.ts";
import { JOB_STATUSES } from "../../protocol/jobs.ts";
import { anyJson, limitsSchema, outputSchema, presenceSchema, tokenSchema } from "../../protocol/objects.ts";

const count = z.int().min(0);
const uuid = z.string().meta({ format: "uuid" });
const time = z.string().meta({ format: "date-time" });
const at = count.describe("Milliseconds since the epoch.");
const attempt = count.describe("Number of the run; 0 before the first.");
const seq = count.describe("Number of an entry of the log; 0 stands before the first.");
const jobStatus = z.enum(JOB_STATUSES);
const answered = z.string().exactOptional().describe("`id` of the frame that asked.");
const durationMs = z.number().min(0);

export const roomMemberSchema = z.object({
  userId: z.string(),
  sessionId: uuid,
  status: presenceSchema,
  since: time.describe("Since when it is seen like this."),
});

export const welcomeJobSchema = z.object({
  id: uuid,
  type: z.string(),
  status: jobStatus,
  attempt,
  head: seq.describe("Seq of the newest entry."),
  terminal: z.boolean(),
});

const members = z.array(roomMemberSchema);

export const presenceListSchema = z.object({
  members: members.describe("Those that came first at the top; at most 1000."),
  count: count.describe("All of them."),
});
const closeNames = Object.keys(CLOSE_CODES);
const errorCodes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

export const serverFrameSchemas = {
  welcome: tokenSchema.extend({
    type: z.literal("welcome"),
    protocol: z.literal(1),
    session: z.object({ id: uuid, userId: z.string(), resumed: z.boolean(), createdAt: time }),
    jobs: z
      .array(welcomeJobSchema)
      .describe("Jobs of the session that are unfinished or not acknowledged, newest first."),
    moreJobs: z.boolean().describe("There are more than listed: GET /v1/jobs."),
    rooms: z.array(z.string()),
    heartbeat: z.object({ pingMs: durationMs, timeoutMs: durationMs }),
    limits: limitsSchema,
    node: z.string(),
    at,
  }),
  event: z.object({
    type: z.literal("event"),
    job: uuid,
    seq: z.int().min(1),
    first: z.int().min(1).exactOptional().describe("The frame folds the entries first…seq."),
    attempt,
    at,
    kind: z.enum(EVENT_KINDS),
    data: anyJson,
    terminal: z.literal(true).exactOptional().describe("On the last entry of a log, and only there."),
  }),
  attached: z.object({
    type: z.literal("attached"),
    re: answered,
    job: uuid,
    after: seq.describe("Events after this seq follow."),
    head: seq.describe("Seq of the newest entry."),
    oldest: seq.describe("First seq that can still be read."),
    status: jobStatus,
    attempt,
    terminal: z.boolean(),
    recovered: z.boolean().describe("false: the log cannot be read from there; `output` takes its place."),
    reason: z.enum(["trimmed", "ahead"]).exactOptional().describe("Why it was not recovered."),
    output: outputSchema.exactOptional().describe("Output so far; its `seq` takes the place of `after`."),
  }),
  message: z.object({
    type: z.literal("message"),
    room: z.string().exactOptional(),
    to: z
      .enum(["user", "session", "all"])
      .exactOptional()
      .describe("In place of `room`: a push of the operator."),
    id: z.string(),
    from: z.object({ userId: z.string(), sessionId: uuid }).nullable().describe("null: the server side."),
    data: anyJson,
    at,
  }),
  history: z.object({
    type: z.literal("history"),
    re: answered,
    room: z.string(),
    after: z.string(),
    recovered: z.boolean().describe("Every message after `after` follows, then what is new."),
    reason: z
      .enum(["trimmed", "none"])
      .exactOptional()
      .describe("`after` is no longer kept, and what is kept follows; or the room keeps nothing."),
  }),
  presence: z.object({
    type: z.literal("presence"),
    room: z.string(),
    joined: members,
    left: members.describe("`offline`, since when."),
    changed: members,
    count: count.describe("Members of the room."),
    whole: z
      .literal(true)
      .exactOptional()
      .describe("`joined` is the whole room and takes the place of what was known of it."),
  }),
  token: tokenSchema.extend({ type: z.literal("token") }),
  ping: z.object({ type: z.literal("ping"), at }),
  ok: z.object({ type: z.literal("ok"), re: z.string().describe("`id` of the frame that asked.") }),
  error: z.object({
    type: z.literal("error"),
    job: z.string().exactOptional().describe("A job that was followed until now and cannot be any more."),
    re: answered,
    code: z.enum(errorCodes),
    detail: z.string().describe("For humans."),
    retryable: z.boolean(),
  }),
  goodbye: z.object({
    type: z.literal("goodbye"),
    code: z.int().describe("The close code that follows."),
    reason: z.string().describe(`Its name: ${closeNames.map((name) => `\`${name}\``).join(" ")}.`),
    reconnect: z.boolean().describe("The client may come back by itself."),
    reconnectAfterMs: durationMs.describe("Not before; spread by the server."),
  }),
} as const satisfies { readonly [Type in ServerFrame["type"]]: z.ZodType };
