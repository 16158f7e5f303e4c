/** Retention on PostgreSQL, in bounded steps: what a step deletes is counted in rows, so that no transaction gets long. */
import { listed } from "../../postgres/rows.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import { eventRow } from "../event-row.ts";

interface Trimmable {
  readonly num: number;
  readonly head: number;
  readonly oldest: number;
  readonly purged: boolean;
}

const COLUMNS = "SELECT num, head, oldest, purged_at FROM jobs";
const LOCKED = "LIMIT $1 FOR UPDATE SKIP LOCKED";
const PURGED = `${COLUMNS} WHERE purged_at IS NOT NULL AND NOT trimmed ${LOCKED}`;
const OLD = `${COLUMNS} WHERE finished_at < $2 AND purged_at IS NULL AND NOT trimmed ORDER BY finished_at ${LOCKED}`;
const OVER = `${COLUMNS} WHERE finished_at < $2 ORDER BY finished_at ${LOCKED}`;

function trimmable(row: PostgresRow): Trimmable {
  return {
    num: Number(row["num"]),
    head: Number(row["head"]),
    oldest: Number(row["oldest"]),
    purged: row["purged_at"] !== null,
  };
}

/** What a step does, gathered: one statement for each table. */
interface Step {
  readonly ranges: { readonly first: number; readonly last: number }[];
  readonly trimmed: { readonly num: number; readonly oldest: number; readonly trimmed: boolean }[];
  readonly forgotten: number[];
}

/** Deletes from the front of one log; the terminal entry stays as long as the job, unless its user deleted it. */
function trimOne(step: Step, { num, head, oldest, purged }: Trimmable, limit: number): number {
  const last = purged ? head : head - 1;
  const upTo = Math.min(last, oldest + limit - 1);
  if (upTo >= oldest) step.ranges.push({ first: eventRow(num, oldest), last: eventRow(num, upTo) });
  step.trimmed.push({ num, oldest: Math.max(oldest, upTo + 1), trimmed: upTo >= last });
  return Math.max(upTo - oldest + 1, 0);
}

async function carryOut(client: PostgresClient, { ranges, trimmed, forgotten }: Step): Promise<void> {
  if (ranges.length > 0) {
    await client.unsafe(
      `DELETE FROM job_events USING json_to_recordset($1::text::json) AS x(first bigint, last bigint)
       WHERE job_events.id BETWEEN x.first AND x.last`,
      [JSON.stringify(ranges)],
    );
  }
  if (trimmed.length > 0) {
    await client.unsafe(
      `UPDATE jobs SET oldest = x.oldest, trimmed = x.trimmed
       FROM json_to_recordset($1::text::json) AS x(num bigint, oldest integer, trimmed boolean) WHERE jobs.num = x.num`,
      [JSON.stringify(trimmed)],
    );
  }
  if (forgotten.length === 0) return;
  for (const table of ["job_payloads", "jobs", "webhooks", "webhook_attempts"]) {
    await client.unsafe(
      `DELETE FROM ${table} WHERE num IN (SELECT json_array_elements_text($1::text::json)::bigint)`,
      [listed(forgotten)],
    );
  }
}

const emptyStep = (): Step => ({ ranges: [], trimmed: [], forgotten: [] });

/** As `JobTables.trimSome`. */
export async function trimSome(client: PostgresClient, eventsBefore: number, limit: number): Promise<number> {
  const step = emptyStep();
  let deleted = 0;
  const candidates = [
    ...(await client.unsafe(PURGED, [limit])),
    ...(await client.unsafe(OLD, [limit, eventsBefore])),
  ];
  for (const row of candidates) {
    if (deleted >= limit) break;
    deleted += trimOne(step, trimmable(row), limit - deleted);
  }
  await carryOut(client, step);
  return deleted;
}

/** As `JobTables.forgetSome`. */
export async function forgetSome(client: PostgresClient, jobsBefore: number, limit: number): Promise<number> {
  const step = emptyStep();
  let deleted = 0;
  for (const row of await client.unsafe(OVER, [limit, jobsBefore])) {
    const job = trimmable(row);
    const last = job.purged ? job.head : job.head - 1;
    // A log that is too long for this step is begun; the rest of it, and the job, go with the next.
    if (last - job.oldest + 1 >= limit - deleted) {
      deleted += trimOne(step, job, limit - deleted);
      break;
    }
    // The last entry goes with its job: what can still be found can still be answered.
    step.ranges.push({ first: eventRow(job.num, job.oldest), last: eventRow(job.num, job.head) });
    step.forgotten.push(job.num);
    deleted += Math.max(last - job.oldest + 1, 0) + 1;
  }
  await carryOut(client, step);
  return deleted;
}

/** As `JobTables.dropKeys`. */
export async function dropKeys(client: PostgresClient, before: number, limit: number): Promise<number> {
  const rows = await client.unsafe(
    `DELETE FROM idempotency_keys WHERE ctid IN
       (SELECT ctid FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING 1`,
    [before, limit],
  );
  return rows.length;
}
