/** The tables of the memory driver: plain maps, slow where slowness is simpler. */
import type { JobId } from "../lib/ids.ts";
import { isTerminalStatus, isWaitingStatus } from "../protocol/job-status.ts";
import { byPlace } from "./execute.ts";
import { hasPrefix } from "./holder.ts";
import type { JobRecord, StoredEvent } from "./job.ts";
import { createQueueBook } from "./queue-book.ts";
import { NO_DEADLINES, type JobTables, type Overdue } from "./tables.ts";
import { dueBy } from "./transitions.ts";
import type { IdempotencyKey, ScheduleRow } from "./store.ts";
import type { WebhookAttempt, WebhookRecord } from "./webhook.ts";

/** A job with everything that belongs to it. */
export interface Row {
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

export const keyName = (key: IdempotencyKey): string => JSON.stringify([key.userId, key.route, key.key]);

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
      ({ job, turn }) => turn === null && isWaitingStatus(job.status) && job.readyBy <= steadyMs,
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
      const due = all().filter(({ job }) => isWaitingStatus(job.status) && job.readyBy <= steadyMs);
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
        .filter(({ job }) => isWaitingStatus(job.status) && job.readyBy > steadyMs)
        .map(({ job }) => job.readyBy);
      return times.length === 0 ? null : Math.min(...times);
    },
    realign(at) {
      const waits = all().filter(
        ({ job, turn }) => turn === null && job.runAt !== null && isWaitingStatus(job.status),
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
