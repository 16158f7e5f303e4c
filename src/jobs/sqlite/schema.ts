/** The job tables for drizzle; the SQL in migrations/sqlite is what makes them (a test holds the two together). */
import { and, eq, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { customType, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { JobId, LeaseToken, SessionId, UserId } from "../../lib/ids.ts";
import type { CancelReason, EventKind, ResetReason } from "../../protocol/events.ts";
import type { JobStatus } from "../../protocol/jobs.ts";

export const jobs = sqliteTable("jobs", {
  num: integer("num").primaryKey(),
  id: text("id").$type<JobId>().notNull(),
  userId: text("user_id").$type<UserId>().notNull(),
  sessionId: text("session_id").$type<SessionId>(),
  type: text("type").notNull(),
  metadata: text("metadata", { mode: "json" }).$type<Record<string, string>>().notNull(),
  priority: integer("priority").notNull(),
  lane: text("lane"),
  startWithinMs: integer("start_within_ms"),
  timeoutMs: integer("timeout_ms").notNull(),
  firstOutputMs: integer("first_output_ms"),
  idleMs: integer("idle_ms"),
  maxAttempts: integer("max_attempts").notNull(),
  retryAfterOutput: integer("retry_after_output", { mode: "boolean" }).notNull(),
  cancelOnDisconnect: integer("cancel_on_disconnect", { mode: "boolean" }).notNull(),
  orphanMs: integer("orphan_ms").notNull(),
  traceparent: text("traceparent").notNull(),
  tracestate: text("tracestate"),
  correlationId: text("correlation_id"),
  retryOf: text("retry_of").$type<JobId>(),
  createdAt: integer("created_at").notNull(),
  turn: integer("turn").notNull(),

  status: text("status").$type<JobStatus>().notNull(),
  attempt: integer("attempt").notNull(),
  errors: integer("errors").notNull(),
  lostLeases: integer("lost_leases").notNull(),
  head: integer("head").notNull(),
  oldest: integer("oldest").notNull(),
  logBytes: integer("log_bytes").notNull(),
  outputAfter: integer("output_after").notNull(),
  hasOutput: integer("has_output", { mode: "boolean" }).notNull(),
  resetReason: text("reset_reason").$type<ResetReason>(),
  startedAt: integer("started_at"),
  finishedAt: integer("finished_at"),
  readyBy: real("ready_by").notNull(),
  due: integer("due"),
  startBy: real("start_by"),
  leaseToken: text("lease_token").$type<LeaseToken>(),
  leaseOwner: text("lease_owner"),
  leaseBy: real("lease_by"),
  cancelReason: text("cancel_reason").$type<CancelReason>(),
  cancelBy: real("cancel_by"),
  progress: text("progress"),
  error: text("error"),
  deliveredAt: integer("delivered_at"),
  acknowledged: integer("acknowledged", { mode: "boolean" }).notNull(),
  purgedAt: integer("purged_at"),
  trimmed: integer("trimmed", { mode: "boolean" }).notNull(),
  runAt: integer("run_at"),
  delayMs: integer("delay_ms"),

  items: integer("items").notNull(),
  unheard: integer("unheard", { mode: "boolean" }).notNull(),
  runBy: real("run_by"),
  quietBy: real("quiet_by"),
  endedBy: text("ended_by"),
  webhookUrl: text("webhook_url"),
  webhookAfterMs: integer("webhook_after_ms").notNull().default(0),
});

export const jobPayloads = sqliteTable("job_payloads", {
  num: integer("num").primaryKey(),
  input: text("input"),
  checkpoint: text("checkpoint"),
});

/** JSON text or bytes, kept as what they are (column type ANY of a STRICT table). */
const textOrBytes = customType<{ data: string | Uint8Array; driverData: string | Uint8Array }>({
  dataType: () => "any",
});

export const jobEvents = sqliteTable("job_events", {
  id: integer("id").primaryKey(),
  attempt: integer("attempt").notNull(),
  at: integer("at").notNull(),
  kind: text("kind").$type<EventKind>().notNull(),
  data: textOrBytes("data").notNull(),
  sum: integer("sum"),
});

export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    userId: text("user_id").notNull(),
    route: text("route").notNull(),
    key: text("key").notNull(),
    fingerprint: text("fingerprint").notNull(),
    jobId: text("job_id").$type<JobId>().notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userId, table.route, table.key] })],
);

/** One row: how far steady time had come. */
export const clock = sqliteTable("clock", {
  id: integer("id").primaryKey(),
  steadyMs: real("steady_ms").notNull(),
  wallMs: real("wall_ms"),
});

/** Whichever connection asks: the writer at its start, the reader when a process begins. */
export function prepareSteady(orm: BunSQLiteDatabase) {
  return orm.select({ steadyMs: clock.steadyMs }).from(clock).where(eq(clock.id, 1)).prepare();
}

export const schedules = sqliteTable("schedules", {
  name: text("name").primaryKey(),
  definition: text("definition").notNull(),
  tick: integer("tick").notNull(),
  jobId: text("job_id").$type<JobId>(),
});

/** The row of one key, with placeholders of these names: a part of prepared statements. */
export const IS_PREPARED_KEY = and(
  eq(idempotencyKeys.userId, sql.placeholder("userId")),
  eq(idempotencyKeys.route, sql.placeholder("route")),
  eq(idempotencyKeys.key, sql.placeholder("key")),
);
