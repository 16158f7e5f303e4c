/**
 * What a batch of commands needs to know, fetched before they are carried out: a round trip for each kind of question, not
 * for each command. What is going to be changed is locked, so that it stays as it was fetched until the commit.
 *
 * Several nodes do so at once. Nobody waits for who waits for it, since everybody locks in one order: lanes by name, jobs
 * by number, webhooks by number, schedules by name; and the rest is skipped where somebody else is at it.
 */
import type { JobId, SessionId } from "../../lib/ids.ts";
import { listed, createRows } from "../../postgres/rows.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import type { JobRecord } from "../job.ts";
import type { QueueLine } from "../queue-book.ts";
import type { IdempotencyKey, ScheduleRow } from "../store.ts";
import type { ReadyJob } from "../tables.ts";
import type { WebhookRecord } from "../webhook.ts";
import { jobs, schedules, webhooks } from "./schema.ts";
import { search, type Search } from "./searches.ts";

export interface Lane {
  readonly sessionId: SessionId;
  readonly lane: string;
}

/** What is to be fetched. */
export interface Wanted {
  readonly jobs?: readonly JobId[];
  /** By the numbers of their jobs. */
  readonly payloads?: readonly number[];
  readonly webhooks?: readonly number[];
  readonly keys?: readonly IdempotencyKey[];
  readonly users?: readonly string[];
  readonly lanes?: readonly Lane[];
  /** Jobs that may run at `steadyMs`. */
  readonly ready?: { readonly steadyMs: number; readonly types: readonly { type: string; limit: number }[] };
  /** Jobs that wait until after `steadyMs`, soonest first. */
  readonly next?: { readonly steadyMs: number; readonly limit: number };
  /** Numbers for new jobs. */
  readonly nums?: number;
  readonly schedules?: readonly string[];
  /** A question about all jobs, or a change of many: asked once, in the middle of a command. */
  readonly search?: Search;
}

export interface Payload {
  readonly input: string | null;
  readonly checkpoint: string | null;
}

/** The answers so far. What is no key of a map was not asked for. */
export interface Fetched {
  /** As they came: reading one may fail, and is up to whoever needs it. */
  readonly jobs: Map<JobId, PostgresRow | null>;
  readonly payloads: Map<number, Payload>;
  readonly webhooks: Map<number, WebhookRecord | null>;
  readonly keys: Map<string, { readonly id: JobId; readonly fingerprint: string } | null>;
  readonly users: Map<string, readonly QueueLine[]>;
  readonly lanes: Map<string, JobId | null>;
  /** Best first; `last`: how far was looked, null: there are no more. */
  readonly ready: Map<
    string,
    { readonly ids: readonly JobId[]; readonly last: ReadyJob | null; readonly limit: number }
  >;
  /** Those that were put off and are due. */
  line: readonly JobId[] | null;
  next: { readonly rows: readonly { id: JobId; readyBy: number }[]; readonly complete: boolean } | null;
  readonly nums: number[];
  readonly schedules: Map<string, ScheduleRow | null>;
  readonly answers: Map<string, unknown>;
}

export function createFetched(): Fetched {
  return {
    jobs: new Map(),
    payloads: new Map(),
    webhooks: new Map(),
    keys: new Map(),
    users: new Map(),
    lanes: new Map(),
    ready: new Map(),
    line: null,
    next: null,
    nums: [],
    schedules: new Map(),
    answers: new Map(),
  };
}

export function keyName({ userId, route, key }: IdempotencyKey): string {
  return JSON.stringify([userId, route, key]);
}

export function laneName({ sessionId, lane }: Lane): string {
  return JSON.stringify([sessionId, lane]);
}

const LIST = "(SELECT json_array_elements_text($1::text::json))";
const NUMBERS = "(SELECT json_array_elements_text($1::text::json)::bigint)";
/** Most that get in line in one batch; the next one goes on. */
const LINE_UP_MOST = 1000;

const webhookRows = createRows(webhooks);
const scheduleRows = createRows(schedules);
export const jobRows = createRows(jobs);

function keepJobs(fetched: Fetched, rows: readonly PostgresRow[]): JobId[] {
  return rows.map((row) => {
    const id = row["id"] as JobId;
    fetched.jobs.set(id, row);
    return id;
  });
}

function keepPayloads(fetched: Fetched, rows: readonly PostgresRow[]): void {
  for (const row of rows) {
    const { num, input, checkpoint } = row as {
      num: string;
      input: string | null;
      checkpoint: string | null;
    };
    fetched.payloads.set(Number(num), { input, checkpoint });
  }
}

async function fetchJobs(client: PostgresClient, fetched: Fetched, ids: readonly JobId[]): Promise<void> {
  for (const id of ids) fetched.jobs.set(id, null);
  keepJobs(
    fetched,
    await client.unsafe(`SELECT * FROM jobs WHERE id IN ${LIST} ORDER BY num FOR UPDATE`, [listed(ids)]),
  );
}

async function fetchPayloads(
  client: PostgresClient,
  fetched: Fetched,
  nums: readonly number[],
): Promise<void> {
  for (const num of nums) fetched.payloads.set(num, { input: null, checkpoint: null });
  keepPayloads(
    fetched,
    await client.unsafe(`SELECT * FROM job_payloads WHERE num IN ${NUMBERS}`, [listed(nums)]),
  );
}

async function fetchWebhooks(
  client: PostgresClient,
  fetched: Fetched,
  nums: readonly number[],
): Promise<void> {
  for (const num of nums) fetched.webhooks.set(num, null);
  const rows = await client.unsafe(`SELECT * FROM webhooks WHERE num IN ${NUMBERS} ORDER BY num FOR UPDATE`, [
    listed(nums),
  ]);
  for (const raw of rows) {
    const { num, ...webhook } = webhookRows.read(raw);
    fetched.webhooks.set(num, webhook);
  }
}

async function fetchKeys(
  client: PostgresClient,
  fetched: Fetched,
  keys: readonly IdempotencyKey[],
): Promise<void> {
  for (const key of keys) fetched.keys.set(keyName(key), null);
  const rows = await client.unsafe(
    `SELECT k.user_id, k.route, k.key, k.job_id, k.fingerprint FROM idempotency_keys k
     JOIN json_to_recordset($1::text::json) AS x(u text, r text, k text) ON k.user_id = x.u AND k.route = x.r AND k.key = x.k`,
    [JSON.stringify(keys.map(({ userId, route, key }) => ({ u: userId, r: route, k: key })))],
  );
  for (const row of rows as unknown as Record<
    "user_id" | "route" | "key" | "job_id" | "fingerprint",
    string
  >[]) {
    const name = JSON.stringify([row.user_id, row.route, row.key]);
    fetched.keys.set(name, { id: row.job_id as JobId, fingerprint: row.fingerprint });
  }
}

async function fetchUsers(client: PostgresClient, fetched: Fetched, users: readonly string[]): Promise<void> {
  const lines = new Map<string, QueueLine[]>(users.map((user) => [user, []]));
  const rows = await client.unsafe(
    // User by user: together they would be a walk through the jobs of everybody.
    `SELECT asked.user_id, line.* FROM json_array_elements_text($1::text::json) AS asked (user_id) CROSS JOIN LATERAL (
       SELECT priority, count(*)::int AS unfinished, count(*) FILTER (WHERE due < 2)::int AS waiting,
         coalesce(max(turn) FILTER (WHERE due < 2), 0)::float8 AS last
       FROM jobs WHERE finished_at IS NULL AND jobs.user_id = asked.user_id GROUP BY priority) AS line`,
    [listed(users)],
  );
  for (const row of rows) {
    const userId = row["user_id"] as string;
    lines.get(userId)?.push({
      userId,
      priority: Number(row["priority"]),
      unfinished: Number(row["unfinished"]),
      waiting: Number(row["waiting"]),
      lastTurn: Number(row["last"]),
    });
  }
  for (const [user, found] of lines) fetched.users.set(user, found);
}

/** Takes the lanes; returns the jobs in them, which are not locked yet. */
async function fetchLanes(
  client: PostgresClient,
  fetched: Fetched,
  lanes: readonly Lane[],
): Promise<readonly JobId[]> {
  const names = [...new Set(lanes.map(laneName))].toSorted();
  for (const name of names) fetched.lanes.set(name, null);
  const [, rows] = await Promise.all([
    // Two nodes may submit to one lane at once: the second one has to see the first one's job.
    client.unsafe(
      `SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM json_array_elements_text($1::text::json) AS name`,
      [listed(names)],
    ),
    client.unsafe(
      `SELECT id, session_id, lane FROM jobs
       JOIN json_to_recordset($1::text::json) AS x(s text, l text) ON session_id = x.s AND lane = x.l
       WHERE finished_at IS NULL AND status <> 'canceling'`,
      [JSON.stringify(lanes.map(({ sessionId, lane }) => ({ s: sessionId, l: lane })))],
    ),
  ]);
  return rows.map((row) => {
    const id = row["id"] as JobId;
    const lane = { sessionId: row["session_id"] as SessionId, lane: row["lane"] as string };
    fetched.lanes.set(laneName(lane), id);
    return id;
  });
}

async function fetchReady(
  client: PostgresClient,
  fetched: Fetched,
  { steadyMs, types }: NonNullable<Wanted["ready"]>,
): Promise<void> {
  await client.unsafe(
    `UPDATE jobs SET due = 1 WHERE num IN (SELECT num FROM jobs WHERE due = 0 AND ready_by <= $1 FOR UPDATE SKIP LOCKED)`,
    [steadyMs],
  );
  const due = await client.unsafe(
    `SELECT * FROM jobs WHERE due = 2 AND ready_by <= $1 ORDER BY ready_by, num LIMIT ${LINE_UP_MOST} FOR UPDATE SKIP LOCKED`,
    [steadyMs],
  );
  fetched.line = keepJobs(fetched, due);
  const users = new Set(due.map((row) => row["user_id"] as string));
  if (users.size > 0) await fetchUsers(client, fetched, [...users]);
  for (const { type, limit } of types) {
    // Who is taken by another node at this moment is passed over.
    const rows = await client.unsafe(
      `SELECT * FROM jobs WHERE due = 1 AND type = $1 ORDER BY priority DESC, turn, num LIMIT $2 FOR UPDATE SKIP LOCKED`,
      [type, limit],
    );
    const ids = keepJobs(fetched, rows);
    const last = rows.length < limit ? undefined : rows.at(-1);
    fetched.ready.set(type, {
      ids,
      limit,
      last:
        last === undefined
          ? null
          : {
              id: last["id"] as JobId,
              priority: Number(last["priority"]),
              turn: Number(last["turn"]),
              num: Number(last["num"]),
            },
    });
  }
  const ready = [...fetched.ready.values()].flatMap(({ ids }) =>
    ids.map((id) => Number(fetched.jobs.get(id)?.["num"])),
  );
  if (ready.length > 0) await fetchPayloads(client, fetched, ready);
}

async function fetchNext(
  client: PostgresClient,
  fetched: Fetched,
  { steadyMs, limit }: NonNullable<Wanted["next"]>,
): Promise<void> {
  const rows = await client.unsafe(
    `(SELECT id, ready_by FROM jobs WHERE due = 0 AND ready_by > $1 ORDER BY ready_by LIMIT $2)
     UNION ALL (SELECT id, ready_by FROM jobs WHERE due = 2 AND ready_by > $1 ORDER BY ready_by LIMIT $2)`,
    [steadyMs, limit],
  );
  fetched.next = {
    rows: rows.map((row) => ({ id: row["id"] as JobId, readyBy: Number(row["ready_by"]) })),
    complete: rows.length < limit,
  };
}

async function fetchNums(client: PostgresClient, fetched: Fetched, count: number): Promise<void> {
  const rows = await client.unsafe(
    "SELECT nextval(pg_get_serial_sequence('jobs', 'num'))::float8 AS num FROM generate_series(1, $1)",
    [count],
  );
  fetched.nums.push(...rows.map((row) => Number(row["num"])));
}

async function fetchSchedules(
  client: PostgresClient,
  fetched: Fetched,
  names: readonly string[],
): Promise<void> {
  for (const name of names) fetched.schedules.set(name, null);
  const rows = await client.unsafe(`SELECT * FROM schedules WHERE name IN ${LIST} ORDER BY name FOR UPDATE`, [
    listed(names),
  ]);
  for (const raw of rows) {
    const row = scheduleRows.read(raw);
    fetched.schedules.set(row.name, row);
  }
}

/** Asks everything that is wanted, and adds the answers. */
export async function fetchWanted(client: PostgresClient, fetched: Fetched, wanted: Wanted): Promise<void> {
  const { jobs: ids, payloads, webhooks: hooks, keys, users, lanes, schedules: names } = wanted;
  const some = <One>(list: readonly One[] | undefined): list is readonly One[] =>
    list !== undefined && list.length > 0;
  const laned = some(lanes) ? await fetchLanes(client, fetched, lanes) : [];
  const all = [...new Set([...(ids ?? []), ...laned])];
  await Promise.all([
    some(all) ? fetchJobs(client, fetched, all) : null,
    some(payloads) ? fetchPayloads(client, fetched, payloads) : null,
    some(hooks) ? fetchWebhooks(client, fetched, hooks) : null,
    some(keys) ? fetchKeys(client, fetched, keys) : null,
    some(users) ? fetchUsers(client, fetched, users) : null,
    some(names) ? fetchSchedules(client, fetched, names) : null,
    wanted.nums === undefined || wanted.nums === 0 ? null : fetchNums(client, fetched, wanted.nums),
    wanted.ready === undefined ? null : fetchReady(client, fetched, wanted.ready),
    wanted.next === undefined ? null : fetchNext(client, fetched, wanted.next),
  ]);
  if (wanted.search === undefined) return;
  const { answer, rows } = await search(client, wanted.search);
  keepJobs(fetched, rows);
  fetched.answers.set(JSON.stringify(wanted.search), answer);
}

/** What the domain sees of a row of jobs. */
export function recordOf(raw: PostgresRow): JobRecord {
  const { num: _num, turn: _turn, due: _due, trimmed: _trimmed, ...job } = jobRows.read(raw);
  return job;
}
