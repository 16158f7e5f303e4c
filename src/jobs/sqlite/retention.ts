/** Retention on SQLite, in bounded steps: what a step deletes is counted in rows, so that no transaction gets long. */
import { and, asc, eq, gte, isNotNull, lt, lte, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobTables } from "../execute.ts";
import { eventRow, idempotencyKeys, jobEvents, jobPayloads, jobs } from "./schema.ts";

type Orm = SqliteConnection["orm"];

interface Trimmable {
  readonly num: number;
  readonly head: number;
  readonly oldest: number;
  readonly purgedAt: number | null;
}

const trimmable = { num: jobs.num, head: jobs.head, oldest: jobs.oldest, purgedAt: jobs.purgedAt };

/** Deletes from the front of one log; the terminal entry stays as long as the job, unless its user deleted it. */
function trimOne(orm: Orm, job: Trimmable, limit: number): number {
  const last = job.purgedAt === null ? job.head - 1 : job.head;
  const upTo = Math.min(last, job.oldest + limit - 1);
  if (upTo >= job.oldest) {
    orm
      .delete(jobEvents)
      .where(
        and(gte(jobEvents.id, eventRow(job.num, job.oldest)), lte(jobEvents.id, eventRow(job.num, upTo))),
      )
      .run();
  }
  orm
    .update(jobs)
    .set({ oldest: Math.max(job.oldest, upTo + 1), trimmed: upTo >= last })
    .where(eq(jobs.num, job.num))
    .run();
  return Math.max(upTo - job.oldest + 1, 0);
}

export function createRetention(orm: Orm): Pick<JobTables, "trimSome" | "forgetSome" | "dropKeys"> {
  const trimAll = (candidates: readonly Trimmable[], limit: number): number => {
    let deleted = 0;
    for (const job of candidates) {
      if (deleted >= limit) break;
      deleted += trimOne(orm, job, limit - deleted);
    }
    return deleted;
  };

  return {
    trimSome(eventsBefore, limit) {
      const purged = orm
        .select(trimmable)
        .from(jobs)
        .where(and(isNotNull(jobs.purgedAt), sql`trimmed = 0`))
        .limit(limit)
        .all();
      const old = orm
        .select(trimmable)
        .from(jobs)
        .where(and(lt(jobs.finishedAt, eventsBefore), sql`trimmed = 0`))
        .orderBy(asc(jobs.finishedAt))
        .limit(limit)
        .all();
      const deleted = trimAll(purged, limit);
      return deleted + trimAll(old, limit - deleted);
    },

    forgetSome(jobsBefore, limit) {
      let deleted = 0;
      while (deleted < limit) {
        const job = orm
          .select(trimmable)
          .from(jobs)
          .where(lt(jobs.finishedAt, jobsBefore))
          .orderBy(asc(jobs.finishedAt))
          .limit(1)
          .get();
        if (job === undefined) break;
        deleted += trimOne(orm, { ...job, purgedAt: job.purgedAt ?? 0 }, limit - deleted);
        if (deleted >= limit) break;
        orm.delete(jobPayloads).where(eq(jobPayloads.num, job.num)).run();
        orm.delete(jobs).where(eq(jobs.num, job.num)).run();
        deleted += 1;
      }
      return deleted;
    },

    dropKeys(before, limit) {
      const old = orm
        .select()
        .from(idempotencyKeys)
        .where(lt(idempotencyKeys.createdAt, before))
        .orderBy(asc(idempotencyKeys.createdAt))
        .limit(limit)
        .all();
      for (const { userId, route, key } of old) {
        orm
          .delete(idempotencyKeys)
          .where(
            and(
              eq(idempotencyKeys.userId, userId),
              eq(idempotencyKeys.route, route),
              eq(idempotencyKeys.key, key),
            ),
          )
          .run();
      }
      return old.length;
    },
  };
}
