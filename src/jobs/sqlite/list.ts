/** Lists of jobs, filtered by what no index knows: looked through in steps, so that a rare status stalls nobody. */
import { and, desc, eq, gte, isNull, lt } from "drizzle-orm";
import type { JobId, UserId } from "../../lib/ids.ts";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobRecord } from "../job.ts";
import type { JobStore, JobWithResult } from "../store.ts";
import { jobs } from "./schema.ts";
import { RECORD_COLUMNS } from "./tables.ts";

/** Rows of one step of a list that looks for something rare: a few milliseconds, and then others get their turn. */
const SCAN_STEP = 4096;

type ListedRow = JobRecord & { readonly num: number; readonly turn: number; readonly due: number | null };

/** Newest first, by id. Nothing of a filter is indexed: it would cost every change of status, and lists are rare. */
export function createList(
  orm: SqliteConnection["orm"],
  withResult: (row: ListedRow) => JobWithResult,
): JobStore["list"] {
  const among = (userId: UserId | null, before: JobId | null) =>
    and(
      userId === null ? undefined : eq(jobs.userId, userId),
      before === null ? undefined : lt(jobs.id, before),
    );
  /** The id that ends one step's worth of rows; null: there is less than that. */
  const stepEnd = (userId: UserId | null, before: JobId | null): JobId | null =>
    orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(among(userId, before))
      .orderBy(desc(jobs.id))
      .limit(1)
      .offset(SCAN_STEP - 1)
      .get()?.id ?? null;

  return async ({ userId, status, type, before, limit }) => {
    const found: JobWithResult[] = [];
    for (let from = before; ;) {
      const end = status === null && type === null ? null : stepEnd(userId, from);
      const rows = orm
        .select({ num: jobs.num, turn: jobs.turn, due: jobs.due, ...RECORD_COLUMNS })
        .from(jobs)
        .where(
          and(
            among(userId, from),
            end === null ? undefined : gte(jobs.id, end),
            isNull(jobs.purgedAt),
            status === null ? undefined : eq(jobs.status, status),
            type === null ? undefined : eq(jobs.type, type),
          ),
        )
        .orderBy(desc(jobs.id))
        .limit(limit - found.length)
        .all();
      found.push(...rows.map(withResult));
      if (end === null || found.length >= limit) return found;
      from = end;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
}
