/**
 * `JobTables` over what was fetched: commands are carried out in memory, and what they changed is written together
 * afterwards. What nobody foresaw is thrown as `NeedsMore`; it is fetched, and the commands are carried out anew, on a view
 * that knows nothing of the first time. So a view is used once, and writes nothing itself.
 */
import type { JobId } from "../../lib/ids.ts";
import { isTerminalStatus, isWaitingStatus } from "../../protocol/job-status.ts";
import { byPlace } from "../execute.ts";
import type { JobRecord, StoredEvent } from "../job.ts";
import { createQueueBook, type QueueBook } from "../queue-book.ts";
import type { IdempotencyKey, ScheduleRow } from "../store.ts";
import type { JobTables, ReadyJob } from "../tables.ts";
import type { WebhookAttempt, WebhookRecord } from "../webhook.ts";
import { keyName, laneName, recordOf, type Fetched, type Wanted } from "./fetched.ts";
import type { Search } from "./searches.ts";

/** Not an error: a question that was not foreseen. */
export class NeedsMore extends Error {
  override readonly name = "NeedsMore";
  readonly wanted: Wanted;
  constructor(wanted: Wanted) {
    super("something was not fetched");
    this.wanted = wanted;
  }
}

/** One job as the view has it by now. */
export interface ViewRow {
  readonly num: number;
  job: JobRecord;
  /** null: it was put off and is not in line yet. */
  turn: number | null;
  /** It got in line here. */
  joined: boolean;
  readonly inserted: boolean;
  saved: "held" | "state" | null;
}

export interface Logged {
  readonly num: number;
  readonly event: StoredEvent;
}

export interface KeyRow extends IdempotencyKey {
  readonly fingerprint: string;
  readonly jobId: JobId;
  readonly createdAt: number;
}

/** What was changed. */
export interface Changed {
  readonly rows: ReadonlyMap<JobId, ViewRow>;
  readonly events: readonly Logged[];
  /** Of jobs that were inserted. */
  readonly inputs: ReadonlyMap<number, string>;
  readonly checkpoints: ReadonlyMap<number, string>;
  /** Jobs without input and checkpoint from here on. */
  readonly dropped: readonly number[];
  readonly defused: readonly JobId[];
  readonly keys: ReadonlyMap<string, KeyRow>;
  readonly schedules: ReadonlyMap<string, ScheduleRow>;
  readonly webhooks: ReadonlyMap<number, WebhookRecord>;
  readonly attempts: readonly (WebhookAttempt & { num: number })[];
  /** How far time had come; null: as before. */
  readonly steadyMs: number | null;
}

/** What a process remembers of the whole queue between its batches. */
export interface QueueFacts {
  readonly queued: number;
  readonly served: ReadonlyMap<number, number>;
  readonly steadyMs: number;
}

export interface View {
  readonly tables: JobTables;
  readonly changed: Changed;
  readonly book: QueueBook;
}

export const PUT_OFF = 2;

/** Answers of questions about all jobs: asked of the database in the middle of a command. */
function createSearches(fetched: Fetched) {
  const ask = <Name extends Search["name"]>(name: Name): JobTables[Name] =>
    ((...given: readonly unknown[]) => {
      const search = { name, given } as unknown as Search;
      const key = JSON.stringify(search);
      if (!fetched.answers.has(key)) throw new NeedsMore({ search });
      return fetched.answers.get(key);
    }) as unknown as JobTables[Name];
  return {
    overdue: ask("overdue"),
    heldByOthers: ask("heldByOthers"),
    realign: ask("realign"),
    renew: ask("renew"),
    grant: ask("grant"),
    dueWebhooks: ask("dueWebhooks"),
    trimSome: ask("trimSome"),
    forgetSome: ask("forgetSome"),
    dropKeys: ask("dropKeys"),
  };
}

/** Who may run, of what was fetched and what changed since. `known`: a job by its id, `rows`: all that were looked at. */
function createLine(
  fetched: Fetched,
  rows: ReadonlyMap<JobId, ViewRow>,
  known: (id: JobId) => ViewRow | null,
  book: QueueBook,
): Pick<JobTables, "ready" | "nextReady"> {
  const placeOf = ({ job, turn, num }: ViewRow): ReadyJob => ({
    id: job.id,
    priority: job.priority,
    turn: turn ?? 0,
    num,
  });
  const lineUp = (steadyMs: number): void => {
    for (const id of fetched.line ?? []) known(id);
    const due = [...rows.values()].filter(
      ({ job, turn }) => turn === null && isWaitingStatus(job.status) && job.readyBy <= steadyMs,
    );
    for (const row of due.toSorted((a, b) => a.job.readyBy - b.job.readyBy || a.num - b.num)) {
      const { userId, priority } = row.job;
      if (!fetched.users.has(userId)) throw new NeedsMore({ users: [userId] });
      row.turn = book.nextTurn(userId, priority);
      row.joined = true;
      book.joined({ userId, priority, turn: row.turn });
    }
  };
  const readyOf = (type: string, steadyMs: number, limit: number): ReadyJob[] => {
    const found = fetched.ready.get(type);
    const more = (most: number): NeedsMore =>
      new NeedsMore({ ready: { steadyMs, types: [{ type, limit: most }] } });
    if (found === undefined) throw more(limit);
    lineUp(steadyMs);
    for (const id of found.ids) known(id);
    const { last } = found;
    const ready = [...rows.values()]
      .filter(({ job }) => job.type === type && isWaitingStatus(job.status) && job.readyBy <= steadyMs)
      .map(placeOf)
      // Behind the last one that was looked at there may be others in between.
      .filter((place) => last === null || byPlace(place, last) <= 0)
      .toSorted(byPlace);
    if (ready.length < limit && last !== null) throw more(2 * found.limit + limit);
    return ready.slice(0, limit);
  };
  return {
    ready: (types, steadyMs) => types.flatMap(({ type, limit }) => readyOf(type, steadyMs, limit)),
    nextReady(steadyMs) {
      const { next } = fetched;
      const limit = next === null ? 100 : 2 * next.rows.length + 100;
      if (next === null) throw new NeedsMore({ next: { steadyMs, limit } });
      const unseen = next.rows.filter(({ id }) => !rows.has(id));
      if (unseen.length === 0 && !next.complete) throw new NeedsMore({ next: { steadyMs, limit } });
      const seen = [...rows.values()].filter(({ job }) => isWaitingStatus(job.status)).map(({ job }) => job);
      const times = [...unseen, ...seen]
        .map(({ readyBy }) => readyBy)
        .filter((readyBy) => readyBy > steadyMs);
      return times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b));
    },
  };
}

type Side = Pick<
  JobTables,
  | "findKey"
  | "putKey"
  | "schedule"
  | "putSchedule"
  | "webhook"
  | "putWebhook"
  | "logWebhook"
  | "steadyMs"
  | "keepSteady"
>;

/** What stands beside the jobs. */
function createSide(fetched: Fetched, facts: QueueFacts, numOf: (job: JobRecord) => number) {
  const keys = new Map<string, KeyRow>();
  const schedules = new Map<string, ScheduleRow>();
  const webhooks = new Map<number, WebhookRecord>();
  const attempts: (WebhookAttempt & { num: number })[] = [];
  let steady: number | null = null;
  const tables: Side = {
    findKey(key) {
      const own = keys.get(keyName(key));
      if (own !== undefined) return { id: own.jobId, fingerprint: own.fingerprint };
      const found = fetched.keys.get(keyName(key));
      if (found === undefined) throw new NeedsMore({ keys: [key] });
      return found;
    },
    putKey({ userId, route, key }, fingerprint, id, at) {
      keys.set(keyName({ userId, route, key }), {
        userId,
        route,
        key,
        fingerprint,
        jobId: id,
        createdAt: at,
      });
    },
    schedule(name) {
      const found = schedules.get(name) ?? fetched.schedules.get(name);
      if (found === undefined) throw new NeedsMore({ schedules: [name] });
      return found;
    },
    putSchedule: (row) => void schedules.set(row.name, row),
    webhook(job) {
      const num = numOf(job);
      const found = webhooks.get(num) ?? fetched.webhooks.get(num);
      if (found === undefined) throw new NeedsMore({ webhooks: [num] });
      return found === null ? null : { ...found };
    },
    putWebhook: (job, webhook) => void webhooks.set(numOf(job), { ...webhook }),
    logWebhook: (job, attempt) => void attempts.push({ ...attempt, num: numOf(job) }),
    steadyMs: () => steady ?? facts.steadyMs,
    keepSteady(steadyMs) {
      steady = steadyMs;
    },
  };
  return {
    tables,
    keys,
    schedules,
    webhooks,
    attempts,
    get steadyMs() {
      return steady;
    },
  };
}

function bookOf(fetched: Fetched, facts: QueueFacts): QueueBook {
  const book = createQueueBook();
  for (const [priority, turn] of facts.served) book.serve(priority, turn);
  for (const lines of fetched.users.values()) for (const line of lines) book.fill(line);
  return book;
}

/** The jobs themselves, their logs and payloads. */
function createJobs(fetched: Fetched, book: QueueBook) {
  const rows = new Map<JobId, ViewRow>();
  const events: Logged[] = [];
  const inputs = new Map<number, string>();
  const checkpoints = new Map<number, string>();
  const dropped: number[] = [];
  const defused: JobId[] = [];
  let numbered = 0;

  const known = (id: JobId): ViewRow | null => {
    const seen = rows.get(id);
    if (seen !== undefined) return seen;
    const raw = fetched.jobs.get(id);
    if (raw === undefined) throw new NeedsMore({ jobs: [id] });
    if (raw === null) return null;
    const turn = raw["due"] === PUT_OFF ? null : Number(raw["turn"]);
    const row = {
      num: Number(raw["num"]),
      job: recordOf(raw),
      turn,
      joined: false,
      inserted: false,
      saved: null,
    };
    rows.set(id, row);
    return row;
  };
  const rowOf = (job: JobRecord): ViewRow => {
    const row = rows.get(job.id);
    if (row === undefined) throw new Error(`job ${job.id} was neither loaded nor inserted here`);
    return row;
  };
  const payloadOf = (num: number) => {
    const found = fetched.payloads.get(num);
    if (found === undefined) throw new NeedsMore({ payloads: [num] });
    return found;
  };
  const tables = {
    load(id) {
      const row = known(id);
      return row === null ? null : { ...row.job };
    },
    insert(job, input, due) {
      if (due && !fetched.users.has(job.userId)) throw new NeedsMore({ users: [job.userId] });
      const num = fetched.nums[numbered];
      if (num === undefined) throw new NeedsMore({ nums: 1 });
      numbered += 1;
      const turn = due ? book.nextTurn(job.userId, job.priority) : null;
      rows.set(job.id, { num, job: { ...job }, turn, joined: due, inserted: true, saved: null });
      inputs.set(num, input);
      book.moved({ userId: job.userId, priority: job.priority, turn }, null, job.status);
    },
    save(job, what) {
      const row = rowOf(job);
      if (what === "state")
        book.moved(
          { userId: job.userId, priority: job.priority, turn: row.turn },
          row.job.status,
          job.status,
        );
      if (row.saved !== "state") row.saved = what === "state" ? "state" : "held";
      row.job = { ...job };
    },
    log(job, logged) {
      const { num } = rowOf(job);
      for (const event of logged) events.push({ num, event });
    },
    input(job) {
      const { num } = rowOf(job);
      return inputs.get(num) ?? payloadOf(num).input ?? "null";
    },
    checkpoint(job) {
      const { num, inserted } = rowOf(job);
      return checkpoints.get(num) ?? (inserted ? null : payloadOf(num).checkpoint);
    },
    setCheckpoint: (job, value) => void checkpoints.set(rowOf(job).num, value),
    dropPayload: (job) => void dropped.push(rowOf(job).num),
    defuse: (id) => void defused.push(id),
    inLane(sessionId, lane) {
      const found = fetched.lanes.get(laneName({ sessionId, lane }));
      if (found === undefined) throw new NeedsMore({ lanes: [{ sessionId, lane }] });
      if (found !== null) known(found);
      for (const { job } of rows.values()) {
        const open = job.status !== "canceling" && !isTerminalStatus(job.status);
        if (open && job.sessionId === sessionId && job.lane === lane) return job.id;
      }
      return null;
    },
  } satisfies Partial<JobTables>;
  return { tables, rows, known, rowOf, events, inputs, checkpoints, dropped, defused };
}

/** A fresh view of what was fetched. */
export function createView(fetched: Fetched, facts: QueueFacts): View {
  const book = bookOf(fetched, facts);
  const { tables, known, rowOf, ...jobs } = createJobs(fetched, book);
  const side = createSide(fetched, facts, (job) => rowOf(job).num);
  return {
    book,
    tables: {
      ...tables,
      ...side.tables,
      ...createSearches(fetched),
      ...createLine(fetched, jobs.rows, known, book),
      unfinished(userId) {
        if (!fetched.users.has(userId)) throw new NeedsMore({ users: [userId] });
        return book.unfinished(userId);
      },
      queued: () => facts.queued + book.queued,
    },
    changed: {
      ...jobs,
      keys: side.keys,
      schedules: side.schedules,
      webhooks: side.webhooks,
      attempts: side.attempts,
      get steadyMs() {
        return side.steadyMs;
      },
    },
  };
}
