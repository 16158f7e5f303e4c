/** What the writer looks for inside its transaction: overdue jobs, lanes, keys; each by an index of its own. */
import { and, eq, isNotNull, isNull, lte, ne, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobTables, Overdue } from "../tables.ts";
import type { JobRecord } from "../job.ts";
import { IS_PREPARED_KEY, idempotencyKeys, jobs } from "./schema.ts";

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

function prepareSearches(orm: Orm) {
  return {
    key: orm
      .select({ id: idempotencyKeys.jobId, fingerprint: idempotencyKeys.fingerprint })
      .from(idempotencyKeys)
      .where(IS_PREPARED_KEY)
      .prepare(),
    inLane: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(
        and(
          eq(jobs.sessionId, p("sessionId")),
          eq(jobs.lane, p("lane")),
          isNull(jobs.finishedAt),
          ne(jobs.status, "canceling"),
        ),
      )
      .limit(1)
      .prepare(),
  };
}

/** Jobs that time, or somebody's end, has caught up with. */
function prepareOverdue(orm: Orm) {
  return {
    late: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(lte(jobs.startBy, p("steadyMs")))
      .limit(p("limit"))
      .prepare(),
    unstopped: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(lte(jobs.cancelBy, p("steadyMs")))
      .limit(p("limit"))
      .prepare(),
    longRun: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(lte(jobs.runBy, p("steadyMs")))
      .limit(p("limit"))
      .prepare(),
    quiet: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(lte(jobs.quietBy, p("steadyMs")))
      .limit(p("limit"))
      .prepare(),
    lost: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(lte(jobs.leaseBy, p("steadyMs")), ne(jobs.leaseOwner, p("owner"))))
      .limit(p("limit"))
      .prepare(),
    heldByOthers: orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(
        and(
          isNotNull(jobs.leaseBy),
          ne(jobs.leaseOwner, p("owner")),
          sql`substr(${jobs.leaseOwner} || ':', 1, length(${p("prefix")})) = ${p("prefix")}`,
        ),
      )
      .limit(p("limit"))
      .prepare(),
  };
}

type Searches = Pick<JobTables, "inLane" | "overdue" | "heldByOthers" | "findKey">;

export function createSearches(orm: Orm): Searches {
  const searches = { ...prepareSearches(orm), ...prepareOverdue(orm) };
  return {
    inLane: (sessionId, lane) => searches.inLane.get({ sessionId, lane })?.id ?? null,
    overdue(steadyMs, owner, limit) {
      const of = (why: Overdue, rows: readonly { id: JobRecord["id"] }[]) =>
        rows.map(({ id }) => ({ id, why }));
      return [
        ...of("start", searches.late.all({ steadyMs, limit })),
        ...of("cancel", searches.unstopped.all({ steadyMs, limit })),
        ...of("run", searches.longRun.all({ steadyMs, limit })),
        ...of("quiet", searches.quiet.all({ steadyMs, limit })),
        ...of("lease", searches.lost.all({ steadyMs, owner, limit })),
      ].slice(0, limit);
    },
    heldByOthers: (owner, prefix, limit) =>
      searches.heldByOthers.all({ owner, prefix, limit }).map(({ id }) => id),
    findKey: ({ userId, route, key }) => searches.key.get({ userId, route, key }) ?? null,
  };
}
