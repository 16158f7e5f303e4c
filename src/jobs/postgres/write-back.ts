/** Writes what a batch of commands changed: one statement for each table, however many rows. */
import { getTableColumns } from "drizzle-orm";
import { isWaitingStatus } from "../../protocol/job-status.ts";
import { createRows, listed, type Rows } from "../../postgres/rows.ts";
import type { PostgresClient } from "../../postgres/connection.ts";
import { eventRow, sumOf } from "../event-row.ts";
import { jobRows } from "./fetched.ts";
import { idempotencyKeys, jobEvents, jobs, schedules, webhookAttempts, webhooks } from "./schema.ts";
import { PUT_OFF, type Changed, type ViewRow } from "./view.ts";

type JobRow = typeof jobs.$inferSelect;
type JobKey = keyof JobRow;

/** What a sign of life of a run changes, and what appending does. */
const HELD: readonly JobKey[] = [
  "num", "head", "logBytes", "hasOutput", "progress", "items", "unheard", "leaseBy", "quietBy",
]; // prettier-ignore
/** Everything that can change. */
const STATE: readonly JobKey[] = [
  ...HELD, "turn", "due", "status", "attempt", "errors", "lostLeases", "oldest", "outputAfter", "resetReason", "startedAt",
  "finishedAt", "readyBy", "startBy", "leaseToken", "leaseOwner", "cancelReason", "cancelBy", "error", "deliveredAt",
  "acknowledged", "purgedAt", "runBy", "endedBy",
]; // prettier-ignore
const ALL = Object.keys(getTableColumns(jobs)) as JobKey[];

const eventRows = createRows(jobEvents);
const keyRows = createRows(idempotencyKeys);
const scheduleRows = createRows(schedules);
const webhookRows = createRows(webhooks);
const attemptRows = createRows(webhookAttempts);

/** `due`: 1 may run now, 0 waits, 2 is not in line, NULL is not waiting. Whoever claims makes a 0 a 1. */
function dueOf({ job, turn, joined }: ViewRow): number | null {
  if (!isWaitingStatus(job.status)) return null;
  if (turn === null) return PUT_OFF;
  return joined && job.status === "queued" ? 1 : 0;
}

function rowOf(row: ViewRow): JobRow {
  return { ...row.job, num: row.num, turn: row.turn ?? 0, due: dueOf(row), trimmed: false };
}

type Statement = readonly [text: string, ...values: string[]];

function inserting<Row>(
  table: string,
  rows: Rows<Row>,
  keys: readonly (keyof Row & string)[],
  values: readonly Partial<Row>[],
  onConflict = "",
): Statement[] {
  if (values.length === 0) return [];
  const names = rows.names(keys);
  return [
    [
      `INSERT INTO ${table} (${names}) SELECT ${names} FROM ${rows.from(keys)} ${onConflict}`,
      rows.json(values, keys),
    ],
  ];
}

function updatingJobs(keys: readonly JobKey[], changed: readonly ViewRow[]): Statement[] {
  if (changed.length === 0) return [];
  const set = jobRows.assignments(keys.filter((key) => key !== "num"));
  return [
    [
      `UPDATE jobs SET ${set} FROM ${jobRows.from(keys)} WHERE jobs.num = x.num`,
      jobRows.json(changed.map(rowOf), keys),
    ],
  ];
}

function insertingEvents({ events }: Changed): Statement[] {
  if (events.length === 0) return [];
  const keys = ["id", "attempt", "at", "kind", "data", "sum"] as const;
  const encoded = events.map(({ num, event: { seq, attempt, at, kind, data } }) => {
    const row = { id: eventRow(num, seq), attempt, at, kind, data };
    // Text goes as it is; base64 of it would be a third longer. A backslash in it is no escape: convert_to knows none.
    const body = typeof data === "string" ? { text: data } : { bytes: Buffer.from(data).toString("base64") };
    return { id: row.id, attempt, at, kind, sum: sumOf(row), ...body };
  });
  return [
    [
      `INSERT INTO job_events (${eventRows.names(keys)})
       SELECT id, attempt, at, kind, coalesce(convert_to(x.text, 'UTF8'), '\\x00'::bytea || decode(x.bytes, 'base64')), sum
       FROM json_to_recordset($1::text::json)
         AS x(id bigint, attempt integer, at bigint, kind text, text text, bytes text, sum bigint)`,
      JSON.stringify(encoded),
    ],
  ];
}

function payloads({ inputs, checkpoints, dropped }: Changed): Statement[] {
  const statements: Statement[] = [];
  const from = "json_to_recordset($1::text::json) AS x(num bigint, value text)";
  const json = (values: ReadonlyMap<number, string>): string =>
    JSON.stringify([...values].map(([num, value]) => ({ num, value })));
  if (inputs.size > 0)
    statements.push([`INSERT INTO job_payloads (num, input) SELECT num, value FROM ${from}`, json(inputs)]);
  if (checkpoints.size > 0)
    statements.push([
      `UPDATE job_payloads SET checkpoint = x.value FROM ${from} WHERE job_payloads.num = x.num`,
      json(checkpoints),
    ]);
  if (dropped.length > 0) {
    const list = "(SELECT json_array_elements_text($1::text::json)::bigint)";
    statements.push(
      [`DELETE FROM job_payloads WHERE num IN ${list}`, listed(dropped)],
      // Retention may have been done with them: their last entries have to go as well now.
      [`UPDATE jobs SET trimmed = false WHERE num IN ${list}`, listed(dropped)],
    );
  }
  return statements;
}

/** What is written of deadlines of jobs that nothing can be done about. */
const DEFUSE = `UPDATE jobs SET start_by = NULL, cancel_by = NULL, lease_by = NULL, lease_owner = NULL, run_by = NULL,
  quiet_by = NULL WHERE id IN (SELECT json_array_elements_text($1::text::json))`;
const KEEP_STEADY = `INSERT INTO clock (id, steady_ms) VALUES (1, $1::text::float8)
  ON CONFLICT (id) DO UPDATE SET steady_ms = greatest(clock.steady_ms, excluded.steady_ms)`;

/** The statements that make the changes last, in an order in which they can be carried out. */
export function statementsOf(changed: Changed): Statement[] {
  const rows = [...changed.rows.values()];
  const kept = rows.filter(({ inserted }) => !inserted);
  const inserted = rows.filter((row) => row.inserted).map(rowOf);
  const schedulesKept = [...changed.schedules.values()];
  const webhooksKept = [...changed.webhooks].map(([num, webhook]) => ({
    num,
    state: webhook.state,
    attempts: webhook.attempts,
    dueBy: webhook.dueBy,
  }));
  return [
    ...inserting("jobs", jobRows, ALL, inserted),
    ...updatingJobs(
      STATE,
      kept.filter(({ saved, joined }) => saved === "state" || joined),
    ),
    ...updatingJobs(
      HELD,
      kept.filter(({ saved, joined }) => saved === "held" && !joined),
    ),
    ...insertingEvents(changed),
    ...payloads(changed),
    ...inserting(
      "idempotency_keys",
      keyRows,
      ["userId", "route", "key", "fingerprint", "jobId", "createdAt"],
      // Who finds a key taken waits for its transaction: in one order, as with all that is locked (fetched.ts).
      [...changed.keys].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key),
    ),
    ...inserting(
      "schedules",
      scheduleRows,
      ["name", "definition", "tick", "jobId"],
      schedulesKept,
      "ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, tick = excluded.tick, job_id = excluded.job_id",
    ),
    ...inserting(
      "webhooks",
      webhookRows,
      ["num", "state", "attempts", "dueBy"],
      webhooksKept,
      "ON CONFLICT (num) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, due_by = excluded.due_by",
    ),
    ...inserting(
      "webhook_attempts",
      attemptRows,
      ["num", "attempt", "at", "tookMs", "status", "error"],
      changed.attempts,
      "ON CONFLICT DO NOTHING",
    ),
    ...(changed.defused.length === 0 ? [] : [[DEFUSE, listed(changed.defused)] as const]),
    ...(changed.steadyMs === null ? [] : [[KEEP_STEADY, String(changed.steadyMs)] as const]),
  ];
}

export async function writeBack(client: PostgresClient, changed: Changed): Promise<void> {
  await Promise.all(statementsOf(changed).map(([text, ...values]) => client.unsafe(text, values)));
}
