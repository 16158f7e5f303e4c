/** Retention on SQLite, in bounded steps: what a step deletes is counted in rows, so that no transaction gets long. */
import { and, asc, eq, gte, isNotNull, isNull, lt, lte, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobTables } from "../tables.ts";
import { eventRow } from "../event-row.ts";
import { IS_PREPARED_KEY, idempotencyKeys, jobEvents, jobPayloads, jobs } from "./schema.ts";
import { prepareForgetting } from "./webhooks.ts";

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

interface Trimmable {
  readonly num: number;
  readonly head: number;
  readonly oldest: number;
  readonly purgedAt: number | null;
}

function prepareSearches(orm: Orm) {
  const trimmable = { num: jobs.num, head: jobs.head, oldest: jobs.oldest, purgedAt: jobs.purgedAt };
  return {
    purged: orm
      .select(trimmable)
      .from(jobs)
      .where(and(isNotNull(jobs.purgedAt), sql`trimmed = 0`))
      .limit(p("limit"))
      .prepare(),
    old: orm
      .select(trimmable)
      .from(jobs)
      .where(and(lt(jobs.finishedAt, p("before")), isNull(jobs.purgedAt), sql`trimmed = 0`))
      .orderBy(asc(jobs.finishedAt))
      .limit(p("limit"))
      .prepare(),
    over: orm
      .select(trimmable)
      .from(jobs)
      .where(lt(jobs.finishedAt, p("before")))
      .orderBy(asc(jobs.finishedAt))
      .limit(p("limit"))
      .prepare(),
    keys: orm
      .select({ userId: idempotencyKeys.userId, route: idempotencyKeys.route, key: idempotencyKeys.key })
      .from(idempotencyKeys)
      .where(lt(idempotencyKeys.createdAt, p("before")))
      .orderBy(asc(idempotencyKeys.createdAt))
      .limit(p("limit"))
      .prepare(),
  };
}

function prepareDeletes(orm: Orm) {
  return {
    events: orm
      .delete(jobEvents)
      .where(and(gte(jobEvents.id, p("from")), lte(jobEvents.id, p("upTo"))))
      .prepare(),
    trimmed: orm
      .update(jobs)
      .set({ oldest: sql`${p("oldest")}`, trimmed: sql`${p("trimmed")}` })
      .where(eq(jobs.num, p("num")))
      .prepare(),
    payload: orm
      .delete(jobPayloads)
      .where(eq(jobPayloads.num, p("num")))
      .prepare(),
    job: orm
      .delete(jobs)
      .where(eq(jobs.num, p("num")))
      .prepare(),
    key: orm.delete(idempotencyKeys).where(IS_PREPARED_KEY).prepare(),
  };
}

export function createRetention(orm: Orm): Pick<JobTables, "trimSome" | "forgetSome" | "dropKeys"> {
  const searches = prepareSearches(orm);
  const deletes = prepareDeletes(orm);
  const forgetWebhook = prepareForgetting(orm);

  const deleteEvents = (num: number, oldest: number, upTo: number): void => {
    deletes.events.run({ from: eventRow(num, oldest), upTo: eventRow(num, upTo) });
  };

  /** Deletes from the front of one log; the terminal entry stays as long as the job, unless its user deleted it. */
  const trimOne = ({ num, head, oldest, purgedAt }: Trimmable, limit: number): number => {
    const last = purgedAt === null ? head - 1 : head;
    const upTo = Math.min(last, oldest + limit - 1);
    if (upTo >= oldest) deleteEvents(num, oldest, upTo);
    deletes.trimmed.run({ num, oldest: Math.max(oldest, upTo + 1), trimmed: upTo >= last ? 1 : 0 });
    return Math.max(upTo - oldest + 1, 0);
  };

  const trimAll = (candidates: readonly Trimmable[], limit: number): number => {
    let deleted = 0;
    for (const job of candidates) {
      if (deleted >= limit) break;
      deleted += trimOne(job, limit - deleted);
    }
    return deleted;
  };

  return {
    trimSome(eventsBefore, limit) {
      const deleted = trimAll(searches.purged.all({ limit }), limit);
      return deleted + trimAll(searches.old.all({ before: eventsBefore, limit }), limit - deleted);
    },

    forgetSome(jobsBefore, limit) {
      let deleted = 0;
      for (const job of searches.over.all({ before: jobsBefore, limit })) {
        const last = job.purgedAt === null ? job.head - 1 : job.head;
        // A log that is too long for this step is begun; the rest of it, and the job, go with the next.
        if (last - job.oldest + 1 >= limit - deleted) return deleted + trimOne(job, limit - deleted);
        // The last entry goes with its job: what can still be found can still be answered.
        deleteEvents(job.num, job.oldest, job.head);
        deletes.payload.run({ num: job.num });
        deletes.job.run({ num: job.num });
        forgetWebhook(job.num);
        deleted += Math.max(last - job.oldest + 1, 0) + 1;
      }
      return deleted;
    },

    dropKeys(before, limit) {
      const old = searches.keys.all({ before, limit });
      for (const key of old) deletes.key.run(key);
      return old.length;
    },
  };
}
