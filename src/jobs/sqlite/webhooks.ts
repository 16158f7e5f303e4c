/** Webhooks on SQLite: the tables, the writer's half and the readers' half. */
import { and, asc, eq, isNotNull, isNull, lte, min, sql } from "drizzle-orm";
import { integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { WebhookState } from "../../protocol/webhooks.ts";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobTables } from "../tables.ts";
import type { JobRecord } from "../job.ts";
import type { JobStore } from "../store.ts";
import { jobs } from "./schema.ts";

export const webhooks = sqliteTable("webhooks", {
  num: integer("num").primaryKey(),
  state: text("state").$type<WebhookState>().notNull(),
  attempts: integer("attempts").notNull(),
  dueBy: real("due_by"),
});

export const webhookAttempts = sqliteTable(
  "webhook_attempts",
  {
    num: integer("num").notNull(),
    attempt: integer("attempt").notNull(),
    at: integer("at").notNull(),
    tookMs: integer("took_ms").notNull(),
    status: integer("status"),
    error: text("error"),
  },
  (table) => [primaryKey({ columns: [table.num, table.attempt] })],
);

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

/** What `forgetSome` deletes with a job. */
export function prepareForgetting(orm: Orm): (num: number) => void {
  const webhook = orm
    .delete(webhooks)
    .where(eq(webhooks.num, p("num")))
    .prepare();
  const attempts = orm
    .delete(webhookAttempts)
    .where(eq(webhookAttempts.num, p("num")))
    .prepare();
  return (num) => {
    webhook.run({ num });
    attempts.run({ num });
  };
}

type WebhookTables = Pick<JobTables, "webhook" | "putWebhook" | "logWebhook" | "dueWebhooks">;

/** `numOf`: the row number of a record that was loaded or inserted. */
export function createWebhookTables(orm: Orm, numOf: (job: JobRecord) => number): WebhookTables {
  const row = { state: webhooks.state, attempts: webhooks.attempts, dueBy: webhooks.dueBy };
  const find = orm
    .select(row)
    .from(webhooks)
    .where(eq(webhooks.num, p("num")))
    .prepare();
  const put = orm
    .insert(webhooks)
    .values({ num: p("num"), state: p("state"), attempts: p("attempts"), dueBy: p("dueBy") } as never)
    .onConflictDoUpdate({
      target: webhooks.num,
      set: { state: sql`excluded.state`, attempts: sql`excluded.attempts`, dueBy: sql`excluded.due_by` },
    })
    .prepare();
  const log = orm
    .insert(webhookAttempts)
    .values({
      num: p("num"),
      attempt: p("attempt"),
      at: p("at"),
      tookMs: p("tookMs"),
      status: p("status"),
      error: p("error"),
    } as never)
    .onConflictDoNothing()
    .prepare();
  const due = orm
    .select({ id: jobs.id })
    .from(webhooks)
    .innerJoin(jobs, eq(jobs.num, webhooks.num))
    .where(and(isNotNull(webhooks.dueBy), lte(webhooks.dueBy, p("steadyMs"))))
    .orderBy(asc(webhooks.dueBy))
    .limit(p("limit"))
    .prepare();
  return {
    webhook: (job) => find.get({ num: numOf(job) }) ?? null,
    putWebhook(job, webhook) {
      put.run({ ...webhook, num: numOf(job) });
    },
    logWebhook(job, attempt) {
      log.run({ ...attempt, num: numOf(job) });
    },
    dueWebhooks: (steadyMs, limit) => due.all({ steadyMs, limit }).map(({ id }) => id),
  };
}

export function createWebhookReads(orm: Orm): Pick<JobStore, "webhook" | "nextWebhook"> {
  const found = orm
    .select({ num: webhooks.num, state: webhooks.state, attempts: webhooks.attempts, dueBy: webhooks.dueBy })
    .from(webhooks)
    .innerJoin(jobs, eq(jobs.num, webhooks.num))
    .where(and(eq(jobs.id, p("id")), isNull(jobs.purgedAt)))
    .prepare();
  const attemptsOf = orm
    .select({
      attempt: webhookAttempts.attempt,
      at: webhookAttempts.at,
      tookMs: webhookAttempts.tookMs,
      status: webhookAttempts.status,
      error: webhookAttempts.error,
    })
    .from(webhookAttempts)
    .where(eq(webhookAttempts.num, p("num")))
    .orderBy(asc(webhookAttempts.attempt))
    .prepare();
  const next = orm
    .select({ dueBy: min(webhooks.dueBy) })
    .from(webhooks)
    .where(isNotNull(webhooks.dueBy))
    .prepare();
  return {
    async webhook(id) {
      const row = found.get({ id });
      if (row === undefined) return null;
      const { num, ...webhook } = row;
      return { webhook, attempts: attemptsOf.all({ num }) };
    },
    nextWebhook: async () => next.get()?.dueBy ?? null,
  };
}
