/** The job tables on PostgreSQL for drizzle; the SQL in migrations/postgres is what makes them (a test holds the two together). */
import { boolean, doublePrecision, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { JobId, LeaseToken, SessionId, UserId } from "../../lib/ids.ts";
import type { CancelReason, EventKind, ResetReason } from "../../protocol/events.ts";
import type { JobStatus } from "../../protocol/jobs.ts";
import type { WebhookState } from "../../protocol/webhooks.ts";
import { big, bytes, jsonText } from "../../postgres/columns.ts";

export const jobs = pgTable("jobs", {
  num: big("num").primaryKey(),
  id: text("id").$type<JobId>().notNull(),
  userId: text("user_id").$type<UserId>().notNull(),
  sessionId: text("session_id").$type<SessionId>(),
  type: text("type").notNull(),
  metadata: jsonText<Record<string, string>>()("metadata").notNull(),
  priority: integer("priority").notNull(),
  lane: text("lane"),
  startWithinMs: big("start_within_ms"),
  timeoutMs: big("timeout_ms").notNull(),
  firstOutputMs: big("first_output_ms"),
  idleMs: big("idle_ms"),
  maxAttempts: integer("max_attempts").notNull(),
  retryAfterOutput: boolean("retry_after_output").notNull(),
  cancelOnDisconnect: boolean("cancel_on_disconnect").notNull(),
  orphanMs: big("orphan_ms").notNull(),
  traceparent: text("traceparent").notNull(),
  tracestate: text("tracestate"),
  correlationId: text("correlation_id"),
  retryOf: text("retry_of").$type<JobId>(),
  createdAt: big("created_at").notNull(),
  turn: big("turn").notNull(),

  status: text("status").$type<JobStatus>().notNull(),
  attempt: integer("attempt").notNull(),
  errors: integer("errors").notNull(),
  lostLeases: integer("lost_leases").notNull(),
  head: integer("head").notNull(),
  oldest: integer("oldest").notNull(),
  logBytes: big("log_bytes").notNull(),
  outputAfter: integer("output_after").notNull(),
  hasOutput: boolean("has_output").notNull(),
  resetReason: text("reset_reason").$type<ResetReason>(),
  startedAt: big("started_at"),
  finishedAt: big("finished_at"),
  readyBy: doublePrecision("ready_by").notNull(),
  due: integer("due"),
  startBy: doublePrecision("start_by"),
  leaseToken: text("lease_token").$type<LeaseToken>(),
  leaseOwner: text("lease_owner"),
  leaseBy: doublePrecision("lease_by"),
  cancelReason: text("cancel_reason").$type<CancelReason>(),
  cancelBy: doublePrecision("cancel_by"),
  progress: text("progress"),
  error: text("error"),
  deliveredAt: big("delivered_at"),
  acknowledged: boolean("acknowledged").notNull(),
  purgedAt: big("purged_at"),
  trimmed: boolean("trimmed").notNull(),
  runAt: big("run_at"),
  delayMs: big("delay_ms"),

  items: integer("items").notNull(),
  unheard: boolean("unheard").notNull(),
  runBy: doublePrecision("run_by"),
  quietBy: doublePrecision("quiet_by"),
  endedBy: text("ended_by"),
  webhookUrl: text("webhook_url"),
  webhookAfterMs: big("webhook_after_ms").notNull().default(0),
});

export const jobPayloads = pgTable("job_payloads", {
  num: big("num").primaryKey(),
  input: text("input"),
  checkpoint: text("checkpoint"),
});

/** First byte of an entry that is raw bytes; the first one of JSON text never is. */
export const RAW_BYTES = 0;

export const jobEvents = pgTable("job_events", {
  id: big("id").primaryKey(),
  attempt: integer("attempt").notNull(),
  at: big("at").notNull(),
  kind: text("kind").$type<EventKind>().notNull(),
  data: bytes("data").notNull(),
  sum: big("sum"),
});

export const idempotencyKeys = pgTable(
  "idempotency_keys",
  {
    userId: text("user_id").notNull(),
    route: text("route").notNull(),
    key: text("key").notNull(),
    fingerprint: text("fingerprint").notNull(),
    jobId: text("job_id").$type<JobId>().notNull(),
    createdAt: big("created_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userId, table.route, table.key] })],
);

/** One row: how far steady time had come. */
export const clock = pgTable("clock", {
  id: big("id").primaryKey(),
  steadyMs: doublePrecision("steady_ms").notNull(),
  wallMs: doublePrecision("wall_ms"),
});

export const schedules = pgTable("schedules", {
  name: text("name").primaryKey(),
  definition: text("definition").notNull(),
  tick: big("tick").notNull(),
  jobId: text("job_id").$type<JobId>(),
});

export const webhooks = pgTable("webhooks", {
  num: big("num").primaryKey(),
  state: text("state").$type<WebhookState>().notNull(),
  attempts: integer("attempts").notNull(),
  dueBy: doublePrecision("due_by"),
});

export const webhookAttempts = pgTable(
  "webhook_attempts",
  {
    num: big("num").notNull(),
    attempt: integer("attempt").notNull(),
    at: big("at").notNull(),
    tookMs: big("took_ms").notNull(),
    status: integer("status"),
    error: text("error"),
  },
  (table) => [primaryKey({ columns: [table.num, table.attempt] })],
);
