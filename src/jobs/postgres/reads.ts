/** The reading half of the PostgreSQL driver: single statements on a pool of connections, paged where a log is long. */
import { seqOfRow, eventRow, sumOf } from "../event-row.ts";
import { createRows, listed } from "../../postgres/rows.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import { DatabaseDamaged } from "../../database/writer.ts";
import type { JobId, SessionId } from "../../lib/ids.ts";
import {
  isSilenced,
  sizeOf,
  type JobHead,
  type JobRecord,
  type JobSummary,
  type StoredEvent,
} from "../job.ts";
import { resultOf } from "../result.ts";
import { POSITION_MOST, type JobStore, type JobWithResult } from "../store.ts";
import { recordOf } from "./fetched.ts";
import { RAW_BYTES, jobEvents, schedules, webhookAttempts, webhooks } from "./schema.ts";

export type JobReads = Omit<JobStore, "execute" | "onCommitted">;

/** Entries of one read step of a page, and the bytes that a step may bring at most before it is cut. */
const READ_STEP = 256;
/** Rows of one step of a list that looks for something rare. */
const SCAN_STEP = 4096;

const eventRows = createRows(jobEvents);
const scheduleRows = createRows(schedules);
const webhookRows = createRows(webhooks);
const attemptRows = createRows(webhookAttempts);

function eventOf(raw: PostgresRow): StoredEvent {
  const { id, sum, data, ...rest } = eventRows.read(raw);
  const body = data[0] === RAW_BYTES ? new Uint8Array(data.subarray(1)) : Buffer.from(data).toString();
  if (sum !== null && sum !== sumOf({ id, ...rest, data: body }))
    throw new DatabaseDamaged(`entry ${seqOfRow(id)} of a log is not what was stored`);
  return { seq: seqOfRow(id), ...rest, data: body };
}

/** The columns of a job, and its last entry where that bears its result. */
const WITH_RESULT = `SELECT jobs.*, e.id AS e_id, e.attempt AS e_attempt, e.at AS e_at, e.kind AS e_kind, e.data AS e_data,
  e.sum AS e_sum FROM jobs LEFT JOIN job_events e
  ON e.id = jobs.num * 4194304 + jobs.head AND jobs.status = 'succeeded' AND jobs.purged_at IS NULL`;

function withResult(raw: PostgresRow): JobWithResult {
  const job = recordOf(raw);
  if (job.status !== "succeeded" || job.purgedAt !== null) return { job, result: null };
  const last = Object.fromEntries(
    Object.entries(raw).flatMap(([name, value]) => (name.startsWith("e_") ? [[name.slice(2), value]] : [])),
  );
  return { job, result: resultOf(job, raw["e_id"] === null ? undefined : eventOf(last)) };
}

function createLogReads(client: PostgresClient): Pick<JobStore, "events" | "audioChunks"> {
  /** The number of a job whose log can be read: a purged one is gone, though its entries may wait for retention. */
  const numOf = async (id: JobId): Promise<number | null> => {
    const [row] = await client.unsafe("SELECT num FROM jobs WHERE id = $1 AND purged_at IS NULL", [id]);
    return row === undefined ? null : Number(row["num"]);
  };
  return {
    async events(id, { after, limit, bytes }) {
      const num = await numOf(id);
      const page: StoredEvent[] = [];
      if (num === null) return page;
      let size = 0;
      let from = eventRow(num, after);
      while (page.length < limit && size < bytes) {
        const step = Math.min(READ_STEP, limit - page.length);
        // The server adds up the sizes (a byte less than they may be), so that a page of large entries is not sent far past its end.
        const rows = await client.unsafe(
          `SELECT * FROM (SELECT *, sum(length(data) - 1) OVER (ORDER BY id) - length(data) AS before FROM
             (SELECT * FROM job_events WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3) AS step) AS sized
           WHERE before < $4 ORDER BY id`,
          [from, eventRow(num + 1, 0), step, Math.min(bytes - size, Number.MAX_SAFE_INTEGER)],
        );
        for (const raw of rows) {
          if (size >= bytes) break;
          const event = eventOf(raw);
          page.push(event);
          size += sizeOf(event.data);
          from = eventRow(num, event.seq);
        }
        if (rows.length < step) break;
      }
      return page;
    },
    async audioChunks(id, after) {
      const num = await numOf(id);
      if (num === null) return [];
      const rows = await client.unsafe(
        `SELECT id, length(data) - 1 AS bytes FROM job_events WHERE id > $1 AND id < $2 AND kind = 'output.audio' ORDER BY id`,
        [eventRow(num, after), eventRow(num + 1, 0)],
      );
      return rows.map((row) => ({ seq: seqOfRow(Number(row["id"])), bytes: Number(row["bytes"]) }));
    },
  };
}

/** As an array, made once: so that an index is asked for each of them. */
const LISTED = "ANY (ARRAY(SELECT json_array_elements_text($1::text::json)))";
const SUMMARY = `id, user_id AS "userId", session_id AS "sessionId", type, status, attempt, head`;
const HEAD = `${SUMMARY}, cancel_reason AS "cancelReason", NOT acknowledged AND purged_at IS NULL AS open`;

function headOf(raw: PostgresRow): JobHead {
  const { cancelReason, ...head } = raw as unknown as JobHead & Pick<JobRecord, "cancelReason">;
  return { ...head, silenced: isSilenced({ cancelReason }) };
}

type Lists = Pick<JobStore, "list" | "openJobs" | "heads" | "newJobsOf" | "cancelable" | "waiting">;

function createLists(client: PostgresClient): Lists {
  return {
    async list({ userId, status, type, before, limit }) {
      const among = "($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR id < $2)";
      const found: JobWithResult[] = [];
      for (let from: JobId | null = before; ;) {
        const [end]: readonly PostgresRow[] =
          status === null && type === null
            ? []
            : await client.unsafe(
                `SELECT id FROM jobs WHERE ${among} ORDER BY id DESC LIMIT 1 OFFSET ${SCAN_STEP - 1}`,
                [userId, from],
              );
        const least = (end?.["id"] as JobId | undefined) ?? null;
        const rows = await client.unsafe(
          `${WITH_RESULT} WHERE ($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR jobs.id < $2)
             AND ($3::text IS NULL OR jobs.id >= $3) AND purged_at IS NULL
             AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR type = $5) ORDER BY jobs.id DESC LIMIT $6`,
          [userId, from, least, status, type, limit - found.length],
        );
        found.push(...rows.map(withResult));
        if (least === null || found.length >= limit) return found;
        from = least;
      }
    },
    openJobs: async (sessionId, limit) => {
      const rows = await client.unsafe(
        `SELECT ${SUMMARY} FROM jobs
         WHERE session_id = $1 AND NOT acknowledged AND purged_at IS NULL ORDER BY id DESC LIMIT $2`,
        [sessionId, limit],
      );
      return rows.map((row) => row as unknown as JobSummary);
    },
    heads: async (ids) =>
      (await client.unsafe(`SELECT ${HEAD} FROM jobs WHERE id = ${LISTED}`, [listed(ids)])).map(headOf),
    newJobsOf: async ({ sessions, after, limit }) => {
      const rows = await client.unsafe(
        `SELECT ${HEAD} FROM jobs WHERE session_id = ${LISTED} AND NOT acknowledged AND id > $2
           AND purged_at IS NULL ORDER BY id LIMIT $3`,
        [listed(sessions), after, limit],
      );
      return rows.map(headOf);
    },
    cancelable: async ({ sessionId, after, limit }) => {
      const rows = await client.unsafe(
        `SELECT id, session_id, orphan_ms FROM jobs
         WHERE cancel_on_disconnect AND finished_at IS NULL AND session_id IS NOT NULL
           AND ($1::text IS NULL OR (session_id = $1 AND NOT acknowledged))
           AND num > coalesce((SELECT num FROM jobs WHERE id = $2), 0) ORDER BY num LIMIT $3`,
        [sessionId, after, limit],
      );
      return rows.map((row) => ({
        id: row["id"] as JobId,
        sessionId: row["session_id"] as SessionId,
        orphanMs: Number(row["orphan_ms"]),
      }));
    },
    waiting: async () => {
      // One partial index for each of the ways to wait.
      const each = [0, 1, 2].map((due) => `(SELECT count(*) FROM jobs WHERE due = ${due})`);
      const [row] = await client.unsafe(`SELECT (${each.join(" + ")})::int AS waiting`);
      return Number(row?.["waiting"]);
    },
  };
}

export function createPostgresJobReads(client: PostgresClient): JobReads {
  const one = async (text: string, ...values: readonly unknown[]): Promise<PostgresRow | null> =>
    (await client.unsafe(text, values))[0] ?? null;
  return {
    ...createLogReads(client),
    ...createLists(client),
    find: async (id) => {
      const row = await one("SELECT * FROM jobs WHERE id = $1", id);
      return row === null ? null : recordOf(row);
    },
    findOwn: async (userId, id) => {
      const row = await one("SELECT * FROM jobs WHERE id = $1 AND user_id = $2", id, userId);
      return row === null ? null : recordOf(row);
    },
    findWithResult: async (id) => {
      const row = await one(`${WITH_RESULT} WHERE jobs.id = $1`, id);
      return row === null ? null : withResult(row);
    },
    input: async (id) => {
      const row = await one("SELECT input FROM job_payloads JOIN jobs USING (num) WHERE id = $1", id);
      return (row?.["input"] as string | null | undefined) ?? null;
    },
    findByKey: async ({ userId, route, key }) => {
      const row = await one(
        "SELECT job_id, fingerprint FROM idempotency_keys WHERE user_id = $1 AND route = $2 AND key = $3",
        userId,
        route,
        key,
      );
      return row === null ? null : { id: row["job_id"] as JobId, fingerprint: row["fingerprint"] as string };
    },
    position: async (id) => {
      const own = await one("SELECT type, priority, turn, num, due FROM jobs WHERE id = $1", id);
      if (own === null) return 1;
      // One that was put off would be the last of those that are in line.
      const turn = own["due"] === 2 ? Number.MAX_SAFE_INTEGER : Number(own["turn"]);
      const row = await one(
        `SELECT count(*)::int AS ahead FROM (SELECT num, priority, turn FROM jobs WHERE due = 1 AND type = $1
           ORDER BY priority DESC, turn, num LIMIT ${POSITION_MOST}) AS front
         WHERE (-priority, turn, num) < ($2, $3, $4)`,
        own["type"],
        -Number(own["priority"]),
        turn,
        own["num"],
      );
      return Number(row?.["ahead"]) + 1;
    },
    schedules: async () =>
      (await client.unsafe("SELECT * FROM schedules ORDER BY name")).map((row) => scheduleRows.read(row)),
    webhook: async (id) => {
      const row = await one(
        "SELECT webhooks.* FROM webhooks JOIN jobs USING (num) WHERE id = $1 AND purged_at IS NULL",
        id,
      );
      if (row === null) return null;
      const { num, ...webhook } = webhookRows.read(row);
      const attempts = await client.unsafe("SELECT * FROM webhook_attempts WHERE num = $1 ORDER BY attempt", [
        num,
      ]);
      return {
        webhook,
        attempts: attempts.map((raw) => {
          const { num: _num, ...attempt } = attemptRows.read(raw);
          return attempt;
        }),
      };
    },
    nextWebhook: async () => {
      const row = await one("SELECT min(due_by) AS due FROM webhooks WHERE due_by IS NOT NULL");
      const due = row?.["due"] ?? null;
      return due === null ? null : Number(due);
    },
    steadyMs: async () => Number((await one("SELECT steady_ms FROM clock WHERE id = 1"))?.["steady_ms"] ?? 0),
  };
}
