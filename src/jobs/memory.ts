/**
 * The reference driver of `JobStore`: plain maps, nothing survives the process. Slow where slowness is simpler; it is
 * what the other drivers are held against, and what the simulation runs on.
 */
import { createGroup } from "../lib/group.ts";
import type { JobId } from "../lib/ids.ts";
import { isTerminalStatus, type JobStatus } from "../protocol/jobs.ts";
import { byPlace, execute } from "./execute.ts";
import { hasPrefix } from "./holder.ts";
import { headOf, sizeOf, summarize, type Change, type JobRecord, type StoredEvent } from "./job.ts";
import { createQueueBook } from "./queue-book.ts";
import { resultOf } from "./result.ts";
import { NO_DEADLINES, type JobTables, type Overdue } from "./tables.ts";
import { dueBy } from "./transitions.ts";
import type {
  IdempotencyKey,
  JobCommand,
  JobOutcome,
  JobStore,
  JobWithResult,
  ScheduleRow,
} from "./store.ts";
import type { WebhookAttempt, WebhookRecord } from "./webhook.ts";

interface Row {
  job: JobRecord;
  input: string | null;
  checkpoint: string | null;
  /** null: put off, and not in line yet. */
  turn: number | null;
  readonly num: number;
  events: StoredEvent[];
  webhook: WebhookRecord | null;
  attempts: readonly WebhookAttempt[];
}

interface KeyRow {
  readonly id: JobId;
  readonly fingerprint: string;
  readonly at: number;
}

/** All that is stored: what a disk would hold. */
export interface MemoryJobs {
  readonly rows: Map<JobId, Row>;
  readonly keys: Map<string, KeyRow>;
  readonly schedules: Map<string, ScheduleRow>;
  /** How far steady time had come. */
  steadyMs: number;
}

const NO_WEBHOOK = { webhook: null, attempts: [] };

export function createMemoryJobs(): MemoryJobs {
  return { rows: new Map(), keys: new Map(), schedules: new Map(), steadyMs: 0 };
}

/** A copy that later commands do not change. */
export function copyMemoryJobs({ rows, keys, schedules, steadyMs }: MemoryJobs): MemoryJobs {
  const copied = new Map<JobId, Row>();
  for (const [id, row] of rows) copied.set(id, { ...row, job: { ...row.job }, events: [...row.events] });
  return { rows: copied, keys: new Map(keys), schedules: new Map(schedules), steadyMs };
}

const keyName = (key: IdempotencyKey): string => JSON.stringify([key.userId, key.route, key.key]);

const waiting = (status: JobStatus): boolean => status === "queued" || status === "retrying";

/** The tables over what is stored; a queue that is there already is taken over. */
export function createMemoryJobTables(stored: MemoryJobs): JobTables {
  const { rows, keys, schedules } = stored;
  const book = createQueueBook();
  let count = 0;
  for (const { job, turn, num } of rows.values()) {
    book.moved({ userId: job.userId, priority: job.priority, turn }, null, job.status);
    if (job.attempt > 0 && turn !== null) book.serve(job.priority, turn);
    count = Math.max(count, num);
  }
  const row = (job: JobRecord): Row => {
    const found = rows.get(job.id);
    if (found === undefined) throw new Error(`no row for job ${job.id}`);
    return found;
  };
  const all = (): Row[] => [...rows.values()];
  /** Those that were put off and are due now get in line, in the order in which they became due. */
  const lineUp = (steadyMs: number): void => {
    const due = all().filter(
      ({ job, turn }) => turn === null && waiting(job.status) && job.readyBy <= steadyMs,
    );
    for (const one of due.toSorted((a, b) => a.job.readyBy - b.job.readyBy || a.num - b.num)) {
      one.turn = book.nextTurn(one.job.userId, one.job.priority);
      book.joined({ ...one.job, turn: one.turn });
    }
  };

  return {
    load(id) {
      const found = rows.get(id);
      return found === undefined ? null : { ...found.job };
    },
    insert(job, input, due) {
      const turn = due ? book.nextTurn(job.userId, job.priority) : null;
      count += 1;
      rows.set(job.id, {
        job: { ...job },
        input,
        checkpoint: null,
        turn,
        num: count,
        events: [],
        ...NO_WEBHOOK,
      });
      book.moved({ userId: job.userId, priority: job.priority, turn }, null, job.status);
    },
    save(job) {
      const target = row(job);
      book.moved(
        { userId: job.userId, priority: job.priority, turn: target.turn },
        target.job.status,
        job.status,
      );
      target.job = { ...job };
    },
    log(job, events) {
      row(job).events.push(...events);
    },
    input: (job) => row(job).input ?? "null",
    checkpoint: (job) => row(job).checkpoint,
    setCheckpoint(job, value) {
      row(job).checkpoint = value;
    },
    unfinished: (userId) => book.unfinished(userId),
    queued: () => book.queued,
    inLane(sessionId, lane) {
      const found = all().find(
        ({ job }) =>
          job.sessionId === sessionId &&
          job.lane === lane &&
          job.status !== "canceling" &&
          !isTerminalStatus(job.status),
      );
      return found?.job.id ?? null;
    },
    ready(types, steadyMs) {
      lineUp(steadyMs);
      const due = all().filter(({ job }) => waiting(job.status) && job.readyBy <= steadyMs);
      return types.flatMap(({ type, limit }) =>
        due
          .filter(({ job }) => job.type === type)
          .map(({ job, turn, num }) => ({ id: job.id, priority: job.priority, turn: turn ?? 0, num }))
          .toSorted(byPlace)
          .slice(0, limit),
      );
    },
    overdue(steadyMs, owner, limit) {
      const found: { id: JobId; why: Overdue }[] = [];
      const isOver = (by: number | null): boolean => by !== null && by <= steadyMs;
      for (const { job } of rows.values()) {
        if (isOver(job.startBy)) found.push({ id: job.id, why: "start" });
        else if (isOver(job.cancelBy)) found.push({ id: job.id, why: "cancel" });
        else if (isOver(job.runBy)) found.push({ id: job.id, why: "run" });
        else if (isOver(job.quietBy)) found.push({ id: job.id, why: "quiet" });
        else if (isOver(job.leaseBy) && job.leaseOwner !== owner) found.push({ id: job.id, why: "lease" });
      }
      return found.slice(0, limit);
    },
    nextReady(steadyMs) {
      const times = all()
        .filter(({ job }) => waiting(job.status) && job.readyBy > steadyMs)
        .map(({ job }) => job.readyBy);
      return times.length === 0 ? null : Math.min(...times);
    },
    realign(at) {
      const waits = all().filter(
        ({ job, turn }) => turn === null && job.runAt !== null && waiting(job.status),
      );
      for (const { job } of waits) Object.assign(job, dueBy(job, at));
      return waits.length;
    },
    heldByOthers: (owner, prefix, limit) =>
      all()
        .filter(({ job }) => job.leaseOwner !== owner && hasPrefix(job.leaseOwner, prefix))
        .slice(0, limit)
        .map(({ job }) => job.id),
    renew(owner, leaseBy) {
      const held = all().filter(({ job }) => job.leaseOwner === owner);
      for (const { job } of held) job.leaseBy = leaseBy;
      return held.length;
    },
    grant(leaseBy) {
      const held = all().filter(({ job }) => job.leaseOwner?.startsWith("worker:") === true);
      for (const { job } of held) {
        job.leaseBy = leaseBy;
        if (job.runBy !== null) job.runBy = Math.max(job.runBy, leaseBy);
        if (job.quietBy !== null) job.quietBy = Math.max(job.quietBy, leaseBy);
      }
      return held.length;
    },
    defuse(id) {
      const found = rows.get(id);
      if (found !== undefined) Object.assign(found.job, NO_DEADLINES);
    },
    findKey: (key) => keys.get(keyName(key)) ?? null,
    putKey(key, fingerprint, id, at) {
      keys.set(keyName(key), { id, fingerprint, at });
    },
    schedule: (name) => schedules.get(name) ?? null,
    putSchedule: (schedule) => void schedules.set(schedule.name, schedule),
    dropPayload(job) {
      const target = row(job);
      target.input = null;
      target.checkpoint = null;
    },
    trimSome(eventsBefore, limit) {
      let deleted = 0;
      for (const target of rows.values()) {
        const { job } = target;
        if (job.purgedAt === null && (job.finishedAt === null || job.finishedAt >= eventsBefore)) continue;
        // The terminal entry stays as long as the job, unless its user deleted it.
        const removable = job.purgedAt === null ? target.events.length - 1 : target.events.length;
        const some = Math.min(removable, limit - deleted);
        if (some <= 0) continue;
        target.events.splice(0, some);
        job.oldest += some;
        deleted += some;
      }
      return deleted;
    },
    forgetSome(jobsBefore, limit) {
      const old = all().filter(({ job }) => job.finishedAt !== null && job.finishedAt < jobsBefore);
      for (const { job } of old.slice(0, limit)) rows.delete(job.id);
      return Math.min(old.length, limit);
    },
    dropKeys(before, limit) {
      const old = [...keys].filter(([, key]) => key.at < before).slice(0, limit);
      for (const [name] of old) keys.delete(name);
      return old.length;
    },
    webhook(job) {
      const { webhook } = row(job);
      return webhook === null ? null : { ...webhook };
    },
    putWebhook(job, webhook) {
      row(job).webhook = { ...webhook };
    },
    logWebhook(job, attempt) {
      const target = row(job);
      if (target.attempts.some((known) => known.attempt === attempt.attempt)) return;
      target.attempts = [...target.attempts, attempt];
    },
    dueWebhooks: (steadyMs, limit) =>
      all()
        .map(({ job, webhook }) => ({ id: job.id, atMs: webhook?.dueBy ?? Number.POSITIVE_INFINITY }))
        .filter(({ atMs }) => atMs <= steadyMs)
        .toSorted((a, b) => a.atMs - b.atMs)
        .slice(0, limit)
        .map(({ id }) => id),
    steadyMs: () => stored.steadyMs,
    keepSteady(steadyMs) {
      stored.steadyMs = steadyMs;
    },
  };
}

/** Counted no further than this: an estimate need not be exact, and counting must not be slow. */
const POSITION_MOST = 1000;

export function createMemoryJobReads(stored: MemoryJobs): Omit<JobStore, "execute" | "onCommitted"> {
  const { rows, keys } = stored;
  /** The log as reads see it: a purged one is gone, though its entries may wait for retention. */
  const logOf = (id: JobId): readonly StoredEvent[] => {
    const row = rows.get(id);
    return row === undefined || row.job.purgedAt !== null ? [] : row.events;
  };
  const withResult = (row: Row): JobWithResult => ({
    job: { ...row.job },
    result: resultOf(row.job, logOf(row.job.id).at(-1)),
  });

  return {
    find: async (id) => {
      const row = rows.get(id);
      return row === undefined ? null : { ...row.job };
    },
    findOwn: async (userId, id) => {
      const row = rows.get(id);
      return row === undefined || row.job.userId !== userId ? null : { ...row.job };
    },
    findWithResult: async (id) => {
      const row = rows.get(id);
      return row === undefined ? null : withResult(row);
    },
    input: async (id) => rows.get(id)?.input ?? null,
    findByKey: async (key) => {
      const found = keys.get(keyName(key));
      return found === undefined ? null : { id: found.id, fingerprint: found.fingerprint };
    },
    events: async (id, { after, limit, bytes }) => {
      const page: StoredEvent[] = [];
      let size = 0;
      for (const event of logOf(id)) {
        if (event.seq <= after) continue;
        if (page.length >= limit || size >= bytes) break;
        page.push(event);
        size += sizeOf(event.data);
      }
      return page;
    },
    audioChunks: async (id, after) =>
      logOf(id)
        .filter((event) => event.kind === "output.audio" && event.seq > after)
        .map((event) => ({ seq: event.seq, bytes: sizeOf(event.data) })),
    list: async (query) =>
      [...rows.values()]
        .filter(
          ({ job }) =>
            (query.userId === null || job.userId === query.userId) &&
            job.purgedAt === null &&
            (query.status === null || job.status === query.status) &&
            (query.type === null || job.type === query.type) &&
            (query.before === null || job.id < query.before),
        )
        .toSorted((a, b) => (a.job.id < b.job.id ? 1 : -1))
        .slice(0, query.limit)
        .map(withResult),
    openJobs: async (sessionId, limit) =>
      [...rows.values()]
        .filter(({ job }) => job.sessionId === sessionId && !job.acknowledged && job.purgedAt === null)
        .toSorted((a, b) => (a.job.id < b.job.id ? 1 : -1))
        .slice(0, limit)
        .map(({ job }) => summarize(job)),
    heads: async (ids) =>
      [...new Set(ids)].flatMap((id) => {
        const row = rows.get(id);
        return row === undefined ? [] : [headOf(row.job)];
      }),
    newJobsOf: async ({ sessions, after, limit }) => {
      const wanted = new Set<string | null>(sessions);
      return [...rows.values()]
        .map(({ job }) => headOf(job))
        .filter(({ id, sessionId, open }) => open && id > after && wanted.has(sessionId))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit);
    },
    cancelable: async ({ sessionId, after, limit }) =>
      [...rows.values()]
        .filter(({ job, num }) => {
          if (!job.cancelOnDisconnect || isTerminalStatus(job.status)) return false;
          return num > (after === null ? 0 : (rows.get(after)?.num ?? 0));
        })
        .toSorted((a, b) => a.num - b.num)
        .flatMap(({ job }) =>
          job.sessionId === null || (sessionId !== null && job.sessionId !== sessionId)
            ? []
            : [{ id: job.id, sessionId: job.sessionId, orphanMs: job.orphanMs }],
        )
        .slice(0, limit),
    waiting: async () => [...rows.values()].filter(({ job }) => waiting(job.status)).length,
    position: async (id) => {
      const own = rows.get(id);
      if (own === undefined) return 1;
      // One that was put off would be the last of those that are in line.
      const place = { ...own, priority: own.job.priority, id, turn: own.turn ?? Number.POSITIVE_INFINITY };
      const ahead = [...rows.values()].filter(
        ({ job, turn, num }) =>
          waiting(job.status) &&
          turn !== null &&
          job.type === own.job.type &&
          byPlace({ id: job.id, priority: job.priority, turn, num }, place) < 0,
      );
      return Math.min(ahead.length, POSITION_MOST) + 1;
    },
    schedules: async () => [...stored.schedules.values()],
    webhook: async (id) => {
      const row = rows.get(id);
      if (row === undefined || row.webhook === null || row.job.purgedAt !== null) return null;
      return { webhook: { ...row.webhook }, attempts: row.attempts };
    },
    nextWebhook: async () => {
      const times = [...rows.values()].flatMap(({ webhook }) => webhook?.dueBy ?? []);
      return times.length === 0 ? null : Math.min(...times);
    },
    steadyMs: async () => stored.steadyMs,
  };
}

/** A store that lives as long as the process. Several over the same tables are those of nodes that share a database. */
export function createMemoryJobStore(
  stored: MemoryJobs = createMemoryJobs(),
  tables: JobTables = createMemoryJobTables(stored),
): JobStore {
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const group = createGroup<JobCommand, unknown>({
    most: 1000,
    commit: async (commands) => {
      const executed = commands.map((command) => execute(tables, command));
      const changes = executed.flatMap((one) => one.changes);
      for (const listener of listeners) listener(changes);
      return executed.map((one) => one.outcome);
    },
  });

  return {
    ...createMemoryJobReads(stored),
    execute: async (command) => (await group.add(command)) as JobOutcome<typeof command.op>,
    onCommitted(listener) {
      listeners.push(listener);
    },
  };
}
