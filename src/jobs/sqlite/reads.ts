/** The reading half of the SQLite driver, on a connection of its own: prepared, paged, and never across an await. */
import { and, asc, desc, eq, gt, isNull, lt, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import {
  isSilenced,
  sizeOf,
  type JobHead,
  type JobRecord,
  type JobSummary,
  type StoredEvent,
} from "../job.ts";
import { eventRow, seqOfRow } from "../event-row.ts";
import { resultOf } from "../result.ts";
import type { JobId } from "../../lib/ids.ts";
import { POSITION_MOST, type JobStore, type JobWithResult } from "../store.ts";
import {
  IS_PREPARED_KEY,
  idempotencyKeys,
  jobEvents,
  jobPayloads,
  jobs,
  prepareSteady,
  schedules,
} from "./schema.ts";
import { DUE } from "./line.ts";
import { createList } from "./list.ts";
import { checkSum } from "./sum.ts";
import { RECORD_COLUMNS } from "./tables.ts";
import { createWebhookReads } from "./webhooks.ts";

const p = sql.placeholder;

/** An entry as the driver gives it, in the order of EVENT_COLUMNS. */
type EventRow = readonly [
  id: number,
  attempt: number,
  at: number,
  kind: StoredEvent["kind"],
  data: StoredEvent["data"],
  sum: number | null,
];

const EVENT_COLUMNS = {
  id: jobEvents.id,
  attempt: jobEvents.attempt,
  at: jobEvents.at,
  kind: jobEvents.kind,
  data: jobEvents.data,
  sum: jobEvents.sum,
};

/**
 * Logs are read by millions of entries, and none of these columns needs a conversion: made an object of by the query
 * builder, an entry cost half as much again.
 */
function toEvent([id, attempt, at, kind, data, sum]: EventRow): StoredEvent {
  checkSum({ id, attempt, at, kind, data }, sum);
  return { seq: seqOfRow(id), attempt, at, kind, data };
}

function prepareLog(orm: SqliteConnection["orm"]) {
  return {
    event: orm
      .select(EVENT_COLUMNS)
      .from(jobEvents)
      .where(eq(jobEvents.id, p("row")))
      .prepare(),
    events: orm
      .select(EVENT_COLUMNS)
      .from(jobEvents)
      .where(and(gt(jobEvents.id, p("after")), lt(jobEvents.id, p("before"))))
      .orderBy(asc(jobEvents.id))
      .limit(p("limit"))
      .prepare(),
    audioChunks: orm
      .select({ id: jobEvents.id, bytes: sql<number>`length(${jobEvents.data})` })
      .from(jobEvents)
      .where(
        and(gt(jobEvents.id, p("after")), lt(jobEvents.id, p("before")), eq(jobEvents.kind, "output.audio")),
      )
      .orderBy(asc(jobEvents.id))
      .prepare(),
  };
}

const SUMMARY = {
  id: jobs.id,
  userId: jobs.userId,
  sessionId: jobs.sessionId,
  type: jobs.type,
  status: jobs.status,
  attempt: jobs.attempt,
  head: jobs.head,
};

function prepareJobs(orm: SqliteConnection["orm"]) {
  const record = { num: jobs.num, turn: jobs.turn, due: jobs.due, ...RECORD_COLUMNS };
  return {
    row: orm
      .select(record)
      .from(jobs)
      .where(eq(jobs.id, p("id")))
      .prepare(),
    ownRow: orm
      .select(record)
      .from(jobs)
      // With the plus no index serves the user: there is one row at most by the id.
      .where(and(eq(jobs.id, p("id")), sql`+${jobs.userId} = ${p("userId")}`))
      .prepare(),
    num: orm
      .select({ num: jobs.num })
      .from(jobs)
      // A purged log is gone for every reader, though its entries may wait for retention.
      .where(and(eq(jobs.id, p("id")), isNull(jobs.purgedAt)))
      .prepare(),
    input: orm
      .select({ input: jobPayloads.input })
      .from(jobPayloads)
      .innerJoin(jobs, eq(jobs.num, jobPayloads.num))
      .where(eq(jobs.id, p("id")))
      .prepare(),
    key: orm
      .select({ id: idempotencyKeys.jobId, fingerprint: idempotencyKeys.fingerprint })
      .from(idempotencyKeys)
      .where(IS_PREPARED_KEY)
      .prepare(),
    openJobs: orm
      .select(SUMMARY)
      .from(jobs)
      .where(and(eq(jobs.sessionId, p("sessionId")), sql`acknowledged = 0`, isNull(jobs.purgedAt)))
      .orderBy(desc(jobs.id))
      .limit(p("limit"))
      .prepare(),
  };
}

/** How jobs stand, many at a time: what is asked for is one JSON text, so that the statement stays the same. */
function prepareHeads(orm: SqliteConnection["orm"]) {
  const head = {
    ...SUMMARY,
    cancelReason: jobs.cancelReason,
    acknowledged: jobs.acknowledged,
    purgedAt: jobs.purgedAt,
  };
  return {
    heads: orm
      .select(head)
      .from(jobs)
      .where(sql`${jobs.id} IN (SELECT value FROM json_each(${p("ids")}))`)
      .prepare(),
    newJobsOf: orm
      .select(head)
      .from(jobs)
      .where(
        and(
          sql`${jobs.sessionId} IN (SELECT value FROM json_each(${p("sessions")}))`,
          sql`acknowledged = 0`,
          gt(jobs.id, p("after")),
          isNull(jobs.purgedAt),
        ),
      )
      .orderBy(asc(jobs.id))
      .limit(p("limit"))
      .prepare(),
  };
}

/** Found by the index of such jobs, or by that of a session's open jobs: what has not ended is not receipted. */
function prepareCancelable(orm: SqliteConnection["orm"]) {
  const cancelable = [sql`cancel_on_disconnect = 1`, isNull(jobs.finishedAt)];
  const select = () =>
    orm.select({ id: jobs.id, sessionId: jobs.sessionId, orphanMs: jobs.orphanMs }).from(jobs);
  return {
    cancelable: select()
      .where(and(...cancelable, gt(jobs.num, p("after"))))
      .orderBy(asc(jobs.num))
      .limit(p("limit"))
      .prepare(),
    cancelableOf: select()
      .where(
        and(
          eq(jobs.sessionId, p("sessionId")),
          sql`acknowledged = 0`,
          ...cancelable,
          gt(jobs.id, p("after")),
        ),
      )
      .orderBy(asc(jobs.id))
      .limit(p("limit"))
      .prepare(),
  };
}

/** One partial index for each of the ways to wait: nothing but what waits is counted. */
function prepareWaiting(orm: SqliteConnection["orm"]) {
  return ["due = 0", "due = 1", "due = 2"].map((due) =>
    orm
      .select({ waiting: sql<number>`count(*)` })
      .from(jobs)
      .where(sql.raw(due))
      .prepare(),
  );
}

/** How many of the jobs that are claimed next stand before a given one; none further back is looked at. */
function prepareAhead(orm: SqliteConnection["orm"]) {
  const front = orm
    .select({ num: jobs.num, priority: jobs.priority, turn: jobs.turn })
    .from(jobs)
    .where(and(sql`due = 1`, eq(jobs.type, p("type"))))
    .orderBy(desc(jobs.priority), asc(jobs.turn), asc(jobs.num))
    .limit(POSITION_MOST)
    .as("front");
  return orm
    .select({ count: sql<number>`count(*)` })
    .from(front)
    .where(
      sql`(-${front.priority}, ${front.turn}, ${front.num}) < (${p("placed")}, ${p("turn")}, ${p("num")})`,
    )
    .prepare();
}

type JobRow = JobRecord & { num: number; turn: number; due: number | null };

function toRecord(row: JobRow | undefined): JobRecord | null {
  if (row === undefined) return null;
  const { num: _num, turn: _turn, due: _due, ...job } = row;
  return job;
}

function toHead(row: JobSummary & Pick<JobRecord, "cancelReason" | "acknowledged" | "purgedAt">): JobHead {
  const { cancelReason, acknowledged, purgedAt, ...summary } = row;
  return { ...summary, silenced: isSilenced({ cancelReason }), open: !acknowledged && purgedAt === null };
}

export type JobReads = Omit<JobStore, "execute" | "onCommitted">;

export function createSqliteJobReads({ orm }: SqliteConnection): JobReads {
  const statements = {
    ...prepareJobs(orm),
    ...prepareCancelable(orm),
    ...prepareHeads(orm),
    ...prepareLog(orm),
    ahead: prepareAhead(orm),
    waiting: prepareWaiting(orm),
    steady: prepareSteady(orm),
  };

  const withResult = ({ num, turn: _turn, due: _due, ...job }: JobRow): JobWithResult => {
    if (job.status !== "succeeded" || job.purgedAt !== null) return { job, result: null };
    const [last] = statements.event.values({ row: eventRow(num, job.head) }) as unknown as EventRow[];
    return { job, result: resultOf(job, last === undefined ? undefined : toEvent(last)) };
  };

  const readEvents: JobStore["events"] = async (id, { after, limit, bytes }) => {
    const num = statements.num.get({ id })?.num;
    if (num === undefined) return [];
    const before = eventRow(num + 1, 0);
    const page: StoredEvent[] = [];
    let size = 0;
    let from = eventRow(num, after);
    // The first few say how large they are here: a page of large ones must not read far past its size.
    let step = FIRST_STEP;
    while (page.length < limit && size < bytes) {
      step = Math.min(step, limit - page.length);
      const rows = statements.events.values({ after: from, before, limit: step }) as unknown as EventRow[];
      for (const row of rows) {
        if (size >= bytes) break;
        const event = toEvent(row);
        page.push(event);
        size += sizeOf(event.data);
        from = row[0];
      }
      if (rows.length < step) break;
      step = Math.ceil(((bytes - size) * page.length) / Math.max(1, size));
    }
    return page;
  };

  return {
    ...createWebhookReads(orm),
    find: async (id) => toRecord(statements.row.get({ id })),
    findOwn: async (userId, id) => toRecord(statements.ownRow.get({ userId, id })),
    findWithResult: async (id) => {
      const row = statements.row.get({ id });
      return row === undefined ? null : withResult(row);
    },
    input: async (id) => statements.input.get({ id })?.input ?? null,
    findByKey: async ({ userId, route, key }) => statements.key.get({ userId, route, key }) ?? null,
    events: readEvents,
    audioChunks: async (id, after) => {
      const num = statements.num.get({ id })?.num;
      if (num === undefined) return [];
      const rows = statements.audioChunks.all({ after: eventRow(num, after), before: eventRow(num + 1, 0) });
      return rows.map((row) => ({ seq: seqOfRow(row.id), bytes: row.bytes }));
    },
    list: createList(orm, withResult),

    openJobs: async (sessionId, limit) => statements.openJobs.all({ sessionId, limit }),
    heads: async (ids) => statements.heads.all({ ids: JSON.stringify(ids) }).map(toHead),
    newJobsOf: async ({ sessions, after, limit }) =>
      statements.newJobsOf.all({ sessions: JSON.stringify(sessions), after, limit }).map(toHead),
    cancelable: async ({ sessionId, after, limit }) => {
      const numOf = (id: JobId | null): number => (id === null ? 0 : (statements.row.get({ id })?.num ?? 0));
      const rows =
        sessionId === null
          ? statements.cancelable.all({ after: numOf(after), limit })
          : statements.cancelableOf.all({ sessionId, after: after ?? "", limit });
      return rows.flatMap(({ id, sessionId: owner, orphanMs }) =>
        owner === null ? [] : [{ id, sessionId: owner, orphanMs }],
      );
    },
    waiting: async () =>
      statements.waiting.reduce((sum, statement) => sum + (statement.get()?.waiting ?? 0), 0),
    position: async (id) => {
      const own = statements.row.get({ id });
      if (own === undefined) return 1;
      const { type, priority, num } = own;
      // One that was put off would be the last of those that are in line.
      const turn = own.due === DUE.putOff ? Number.MAX_SAFE_INTEGER : own.turn;
      return (statements.ahead.get({ type, placed: -priority, turn, num })?.count ?? 0) + 1;
    },
    schedules: async () => orm.select().from(schedules).orderBy(asc(schedules.name)).all(),
    steadyMs: async () => statements.steady.get()?.steadyMs ?? 0,
  };
}

/** Entries that are read of a page before it is known how large they are. */
const FIRST_STEP = 8;
