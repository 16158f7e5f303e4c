/** `JobTables` on SQLite: the writer's side, every statement prepared once. Runs inside a transaction it does not see. */
import { and, eq, getTableColumns, isNotNull, like, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import { isWaitingStatus, type JobStatus } from "../../protocol/job-status.ts";
import { NO_DEADLINES, type JobTables } from "../tables.ts";
import type { JobRecord } from "../job.ts";
import { createLine, DUE } from "./line.ts";
import { createOwnQueue, createSharedQueue, turnOf } from "./queue.ts";
import { createRetention } from "./retention.ts";
import { eventRow, sumOf } from "../event-row.ts";
import { clock, idempotencyKeys, jobEvents, jobPayloads, jobs, prepareSteady } from "./schema.ts";
import { createSchedules } from "./schedules.ts";
import { createSearches } from "./searches.ts";
import { createCommonTime } from "./time.ts";
import { createWebhookTables } from "./webhooks.ts";

const { num: _num, due: _due, turn: _turn, trimmed: _trimmed, ...recordColumns } = getTableColumns(jobs);

/** The columns of a JobRecord: all but those that only this driver needs. */
export const RECORD_COLUMNS = recordColumns;

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

/** What belongs to a record that was loaded or inserted, beside what the domain sees of it. */
interface Known {
  readonly num: number;
  readonly turn: number | null;
  readonly status: JobStatus;
}

function placeholders(names: readonly string[]): Record<string, ReturnType<typeof p>> {
  return Object.fromEntries(names.map((name) => [name, p(name)]));
}

/** drizzle types `set` and `values` for values, not for placeholders. */
function asValues<Row>(row: Record<string, unknown>): Row {
  return row as Row;
}

function prepareRows(orm: Orm) {
  type Update = Partial<typeof jobs.$inferInsert>;
  const { num: _row, ...insertable } = getTableColumns(jobs);
  const state = placeholders([
    "status", "attempt", "errors", "lostLeases", "head", "oldest", "logBytes", "outputAfter", "hasOutput", "resetReason",
    "startedAt", "finishedAt", "readyBy", "due", "startBy", "leaseToken", "leaseOwner", "leaseBy", "cancelReason",
    "cancelBy", "progress", "error", "deliveredAt", "acknowledged", "purgedAt", "items", "unheard", "runBy", "quietBy",
    "endedBy",
  ]); // prettier-ignore
  const output = placeholders(["head", "logBytes", "hasOutput", "progress"]);
  const held = { ...output, ...placeholders(["items", "unheard", "leaseBy", "quietBy"]) };
  return {
    load: orm
      .select({ num: jobs.num, turn: jobs.turn, due: jobs.due, ...RECORD_COLUMNS })
      .from(jobs)
      .where(eq(jobs.id, p("id")))
      .prepare(),
    insert: orm
      .insert(jobs)
      .values(asValues<typeof jobs.$inferInsert>(placeholders(Object.keys(insertable))))
      .returning({ num: jobs.num })
      .prepare(),
    saveState: orm
      .update(jobs)
      .set(asValues<Update>(state))
      .where(eq(jobs.num, p("num")))
      .prepare(),
    saveOutput: orm
      .update(jobs)
      .set(asValues<Update>(output))
      .where(eq(jobs.num, p("num")))
      .prepare(),
    saveHeld: orm
      .update(jobs)
      .set(asValues<Update>(held))
      .where(eq(jobs.num, p("num")))
      .prepare(),
    untrim: orm
      .update(jobs)
      .set({ trimmed: false })
      .where(eq(jobs.num, p("num")))
      .prepare(),
    defuse: orm
      .update(jobs)
      .set(NO_DEADLINES)
      .where(eq(jobs.id, p("id")))
      .prepare(),
    renew: orm
      .update(jobs)
      .set(asValues<Update>(placeholders(["leaseBy"])))
      .where(and(isNotNull(jobs.leaseBy), eq(jobs.leaseOwner, p("owner"))))
      .returning({ num: jobs.num })
      .prepare(),
    grant: orm
      .update(jobs)
      .set({
        leaseBy: sql`${p("leaseBy")}`,
        // NULL stays NULL: where there is no limit none begins.
        runBy: sql`max(${jobs.runBy}, ${p("leaseBy")})`,
        quietBy: sql`max(${jobs.quietBy}, ${p("leaseBy")})`,
      })
      .where(and(isNotNull(jobs.leaseBy), like(jobs.leaseOwner, "worker:%")))
      .returning({ num: jobs.num })
      .prepare(),
  };
}

/** What stands beside the rows: logs, payloads, keys. */
function prepareRest(orm: Orm) {
  return {
    log: orm
      .insert(jobEvents)
      .values(
        asValues<typeof jobEvents.$inferInsert>(placeholders(["id", "attempt", "at", "kind", "data", "sum"])),
      )
      .prepare(),
    putPayload: orm
      .insert(jobPayloads)
      .values(asValues<typeof jobPayloads.$inferInsert>(placeholders(["num", "input"])))
      .prepare(),
    payload: orm
      .select()
      .from(jobPayloads)
      .where(eq(jobPayloads.num, p("num")))
      .prepare(),
    setCheckpoint: orm
      .update(jobPayloads)
      .set(asValues<Partial<typeof jobPayloads.$inferInsert>>(placeholders(["checkpoint"])))
      .where(eq(jobPayloads.num, p("num")))
      .prepare(),
    dropPayload: orm
      .delete(jobPayloads)
      .where(eq(jobPayloads.num, p("num")))
      .prepare(),
    putKey: orm
      .insert(idempotencyKeys)
      .values(
        asValues<typeof idempotencyKeys.$inferInsert>(
          placeholders(["userId", "route", "key", "fingerprint", "jobId", "createdAt"]),
        ),
      )
      .prepare(),
    keepSteady: orm
      .insert(clock)
      .values({ id: 1, steadyMs: p("steadyMs") })
      .onConflictDoUpdate({ target: clock.id, set: { steadyMs: sql`max(steady_ms, excluded.steady_ms)` } })
      .prepare(),
  };
}

export interface SqliteJobTables extends JobTables {
  /** A transaction has begun. */
  begun(): void;
  /** It is about to be committed. */
  ending(): void;
  /** Forgets what it remembered: the transaction was rolled back. */
  rolledBack(): void;
  /** The time of all who write this file, in this transaction; null: commands come with the right one. */
  commonMs(): number | null;
}

/** Other processes write the same file. */
export interface Sharing {
  /** The machine's clock, by which their time is counted; null: commands come with the time of all. */
  readonly wallMs: (() => number) | null;
}

/** `sharing` null: nobody else writes. */
export function createSqliteJobTables(
  connection: SqliteConnection,
  sharing: Sharing | null = null,
): SqliteJobTables {
  const { orm } = connection;
  const writes = { ...prepareRows(orm), ...prepareRest(orm) };
  const queue = sharing === null ? createOwnQueue(orm) : createSharedQueue(connection);
  const wallMs = sharing?.wallMs ?? null;
  const commonTime = wallMs === null ? null : createCommonTime(orm, wallMs);
  const storedSteady = prepareSteady(orm);
  let commonMs: number | null = null;
  /** Null: not known, such as after a rollback; the next command keeps its own. */
  let steady: number | null = storedSteady.get()?.steadyMs ?? 0;
  const known = new WeakMap<JobRecord, Known>();
  const knownOf = (job: JobRecord): Known => {
    const found = known.get(job);
    if (found === undefined) throw new Error(`job ${job.id} was neither loaded nor inserted here`);
    return found;
  };

  return {
    load(id) {
      const row = writes.load.get({ id });
      if (row === undefined) return null;
      const { num, turn, due, ...job } = row;
      known.set(job, { num, turn: turnOf(turn, due), status: job.status });
      return job;
    },
    insert(job, input, due) {
      const book = queue.now();
      const turn = due ? book.nextTurn(job.userId, job.priority) : null;
      const place = { turn: turn ?? 0, due: due ? DUE.now : DUE.putOff };
      const { num } = writes.insert.get({ ...job, ...place, trimmed: false });
      writes.putPayload.run({ num, input });
      known.set(job, { num, turn, status: job.status });
      book.moved({ userId: job.userId, priority: job.priority, turn }, null, job.status);
    },
    save(job, what) {
      const { num, turn, status } = knownOf(job);
      if (what !== "state") {
        const { head, logBytes, hasOutput, progress } = job;
        const output = { num, head, logBytes, hasOutput, progress };
        if (what === "output") writes.saveOutput.run(output);
        else {
          const { items, unheard, leaseBy, quietBy } = job;
          writes.saveHeld.run({ ...output, items, unheard, leaseBy, quietBy });
        }
        return;
      }
      const book = queue.now();
      writes.saveState.run({ ...job, num, due: isWaitingStatus(job.status) ? DUE.later : null });
      book.moved({ userId: job.userId, priority: job.priority, turn }, status, job.status);
      known.set(job, { num, turn, status: job.status });
    },
    log(job, events) {
      const { num } = knownOf(job);
      for (const { seq, attempt, at, kind, data } of events) {
        const row = { id: eventRow(num, seq), attempt, at, kind, data };
        writes.log.run({ ...row, sum: sumOf(row) });
      }
    },
    input: (job) => writes.payload.get({ num: knownOf(job).num })?.input ?? "null",
    checkpoint: (job) => writes.payload.get({ num: knownOf(job).num })?.checkpoint ?? null,
    setCheckpoint(job, value) {
      writes.setCheckpoint.run({ num: knownOf(job).num, checkpoint: value });
    },
    unfinished: (userId) => queue.now().unfinished(userId),
    queued: () => queue.now().queued,
    grant: (leaseBy) => writes.grant.all({ leaseBy }).length,
    defuse(id) {
      writes.defuse.run({ id });
    },
    renew: (owner, leaseBy) => writes.renew.all({ owner, leaseBy }).length,
    putKey({ userId, route, key }, fingerprint, id, at) {
      writes.putKey.run({ userId, route, key, fingerprint, jobId: id, createdAt: at });
    },
    dropPayload(job) {
      const { num } = knownOf(job);
      writes.dropPayload.run({ num });
      // Retention may have been done with it: its last entry has to go as well now.
      writes.untrim.run({ num });
    },
    ...createSearches(orm),
    ...createLine(orm, () => queue.now()),
    ...createSchedules(orm),
    ...createRetention(orm),
    ...createWebhookTables(orm, (job) => knownOf(job).num),
    steadyMs: () => steady ?? 0,
    keepSteady(steadyMs) {
      writes.keepSteady.run({ steadyMs });
      steady = steadyMs;
    },
    begun() {
      queue.begun();
      commonMs = commonTime?.() ?? null;
      if (sharing !== null) steady = commonMs ?? storedSteady.get()?.steadyMs ?? 0;
    },
    ending: () => queue.ending(),
    rolledBack() {
      queue.rolledBack();
      steady = null;
    },
    commonMs: () => commonMs,
  };
}
