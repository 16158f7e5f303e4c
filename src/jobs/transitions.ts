/**
 * The life of a job as pure functions: given a record and what happened, change the record and say what is logged.
 *
 * Every store runs these same functions inside its transaction, so what may follow what is decided once (PROTOCOL
 * section 3, "Attempts and runs"). A function either refuses before it changed anything, or changes the record and
 * returns the entries; nothing here reads a clock, a random source or a store.
 */
import { backoffMs } from "../lib/backoff.ts";
import type { Instant } from "../lib/clock.ts";
import type { LeaseToken } from "../lib/ids.ts";
import {
  isOutputKind,
  type CancelReason,
  type EventKind,
  type JobErrorBody,
  type ResetReason,
  type TerminalKind,
} from "../protocol/events.ts";
import { isTerminalStatus } from "../protocol/job-status.ts";
import { LIMITS } from "../protocol/limits.ts";
import {
  isUnderWay,
  sizeOf,
  type Item,
  type JobRecord,
  type JobSpec,
  type RunError,
  type StoredEvent,
} from "./job.ts";
import { succeededData } from "./result.ts";

const RETRY_BACKOFF = { baseMs: LIMITS.retryBaseMs, mostMs: LIMITS.retryMostMs };

function log(job: JobRecord, at: Instant, kind: EventKind, data: string | Uint8Array): StoredEvent {
  job.head += 1;
  return { seq: job.head, attempt: job.attempt, at: at.wallMs, kind, data };
}

function logJson(job: JobRecord, at: Instant, kind: EventKind, data: unknown): StoredEvent {
  return log(job, at, kind, JSON.stringify(data));
}

/** Whether `lease` is the current hold of a run that may still write. */
export function holdsLease(job: JobRecord, lease: LeaseToken): boolean {
  return job.leaseToken === lease && isUnderWay(job);
}

/** Wall time before which a job accepted at `acceptedAt` does not run; null for one that was not put off. */
export function putOffUntil({ runAt, delayMs }: JobSpec, acceptedAt: number): number | null {
  return delayMs === null ? runAt : acceptedAt + delayMs;
}

/** When the job may run, in steady time as of this moment, and by when it has to. */
export function dueBy(spec: JobSpec, at: Instant): Pick<JobRecord, "readyBy" | "startBy"> {
  const waitMs = spec.delayMs ?? (spec.runAt === null ? 0 : Math.max(spec.runAt - at.wallMs, 0));
  const readyBy = at.steadyMs + waitMs;
  return { readyBy, startBy: spec.startWithinMs === null ? null : readyBy + spec.startWithinMs };
}

/** A job as it is accepted, with its first entry. */
export function accept(
  spec: JobSpec,
  at: Instant,
  position: number,
): { job: JobRecord; events: StoredEvent[] } {
  const job: JobRecord = {
    ...spec,
    createdAt: at.wallMs,
    status: "queued",
    attempt: 0,
    errors: 0,
    lostLeases: 0,
    head: 0,
    oldest: 1,
    logBytes: 0,
    outputAfter: 0,
    hasOutput: false,
    resetReason: null,
    startedAt: null,
    finishedAt: null,
    ...dueBy(spec, at),
    leaseToken: null,
    leaseOwner: null,
    leaseBy: null,
    unheard: false,
    items: 0,
    runBy: null,
    quietBy: null,
    endedBy: null,
    cancelReason: null,
    cancelBy: null,
    progress: null,
    error: null,
    deliveredAt: null,
    acknowledged: false,
    purgedAt: null,
  };
  const runAt = putOffUntil(spec, at.wallMs);
  const queued = { position, ...(runAt === null ? {} : { runAt }) };
  return { job, events: [logJson(job, at, "job.queued", queued)] };
}

export interface Lease {
  readonly token: LeaseToken;
  readonly owner: string;
  readonly leaseMs: number;
  /** A remote worker took it: shown in `job.started`. Its time limits are kept by the store, not by a process. */
  readonly worker?: string;
}

/** The next run starts: a new attempt under a new lease; output of an earlier run is declared void. */
export function start(job: JobRecord, at: Instant, lease: Lease): StoredEvent[] {
  job.status = "running";
  job.attempt += 1;
  job.startedAt ??= at.wallMs;
  job.startBy = null;
  job.progress = null;
  job.leaseToken = lease.token;
  job.leaseOwner = lease.owner;
  job.leaseBy = at.steadyMs + lease.leaseMs;
  job.items = 0;
  if (lease.worker !== undefined) {
    job.unheard = true;
    job.runBy = at.steadyMs + job.timeoutMs;
    job.quietBy = job.firstOutputMs === null ? null : at.steadyMs + job.firstOutputMs;
  }
  const events = [
    logJson(job, at, "job.started", lease.worker === undefined ? {} : { worker: lease.worker }),
  ];
  if (job.hasOutput) {
    events.push(logJson(job, at, "output.reset", { reason: job.resetReason ?? "retry" }));
    job.outputAfter = job.head;
    job.hasOutput = false;
  }
  job.resetReason = null;
  return events;
}

export interface LogBounds {
  /** Most bytes of output of one job's log. */
  readonly jobBytes: number;
}

/**
 * Appends what a run wrote. Returns the refusal's name, or the entries.
 * `lease_lost`: another run, or none, holds the job; nothing was changed.
 * `output_too_large`: the log would grow past its bound; nothing was changed, the run is to be ended by its runner.
 */
export function append(
  job: JobRecord,
  at: Instant,
  lease: LeaseToken,
  items: readonly Item[],
  bounds: LogBounds,
): StoredEvent[] | "lease_lost" | "output_too_large" {
  if (!holdsLease(job, lease)) return "lease_lost";
  let bytes = 0;
  for (const item of items) bytes += sizeOf(item.data);
  if (job.logBytes + bytes > bounds.jobBytes || job.head + items.length > LIMITS.jobEvents)
    return "output_too_large";
  job.logBytes += bytes;
  const events: StoredEvent[] = [];
  for (const item of items) {
    if (isOutputKind(item.kind)) job.hasOutput = true;
    else if (item.kind === "job.progress") job.progress = item.data as string;
    events.push(log(job, at, item.kind, item.data));
  }
  return events;
}

/** Nobody runs it from here on. */
function dropLease(job: JobRecord): void {
  job.leaseToken = null;
  job.leaseOwner = null;
  job.leaseBy = null;
  job.unheard = false;
  job.runBy = null;
  job.quietBy = null;
}

/** Ends the record and logs its last entry; `data` is JSON text. */
function finish(job: JobRecord, at: Instant, kind: TerminalKind, data: string): StoredEvent[] {
  job.finishedAt = at.wallMs;
  dropLease(job);
  job.cancelBy = null;
  job.startBy = null;
  return [log(job, at, kind, data)];
}

function fail(job: JobRecord, at: Instant, error: RunError): StoredEvent[] {
  const body: JobErrorBody = {
    code: error.code,
    message: error.message,
    retryable: error.retryable,
    attempt: job.attempt,
    origin: error.origin,
  };
  job.status = "failed";
  job.error = JSON.stringify(body);
  return finish(job, at, "job.failed", JSON.stringify({ error: body }));
}

function endCanceled(job: JobRecord, at: Instant, reason: CancelReason): StoredEvent[] {
  job.status = "canceled";
  job.cancelReason = reason;
  return finish(job, at, "job.canceled", JSON.stringify({ reason }));
}

function retry(
  job: JobRecord,
  at: Instant,
  reset: ResetReason,
  delayMs: number,
  data: unknown,
): StoredEvent[] {
  job.status = "retrying";
  job.readyBy = at.steadyMs + delayMs;
  dropLease(job);
  job.resetReason = reset;
  return [logJson(job, at, "job.retrying", data)];
}

const OUT_OF_ATTEMPTS: RunError = {
  code: "handler_error",
  message: `The job did not end within ${LIMITS.attempts} runs.`,
  retryable: true,
  origin: "server",
};

/** How a run says that it is over. */
export type RunEnd =
  /** `result` is JSON text. */
  | { readonly kind: "succeeded"; readonly result: string }
  /** `random` in [0, 1) jitters the wait; `retryAfterMs` replaces it. */
  | {
      readonly kind: "error";
      readonly error: RunError;
      readonly random: number;
      readonly retryAfterMs?: number;
    }
  | { readonly kind: "released" };

/**
 * The holder of the lease ends its run. A job that is being canceled ends as canceled, whatever the run says. A
 * remote worker that says so again, since the answer was lost, changes nothing.
 */
export function end(
  job: JobRecord,
  at: Instant,
  lease: LeaseToken,
  how: RunEnd,
  owner: string | null = job.leaseOwner,
): StoredEvent[] | "lease_lost" {
  const endedBy = `${how.kind}:${owner}:${lease}`;
  if (!holdsLease(job, lease) || job.leaseOwner !== owner) {
    return job.endedBy === endedBy ? [] : "lease_lost";
  }
  // A process of ours needs no second answer.
  job.endedBy = job.leaseOwner?.startsWith("worker:") === true ? endedBy : null;
  if (job.status === "canceling") return endCanceled(job, at, job.cancelReason ?? "requested");
  switch (how.kind) {
    case "succeeded":
      job.status = "succeeded";
      // The result's text is spliced in as it is: it may be large, and it was serialized once already.
      return finish(job, at, "job.succeeded", succeededData(how.result));
    case "released":
      // Releases cost no budget, so nothing else ends a job that is handed on for ever.
      if (job.attempt >= LIMITS.attempts) return fail(job, at, OUT_OF_ATTEMPTS);
      return retry(job, at, "released", 0, { reason: "released", delayMs: 0 });
    case "error": {
      job.errors += 1;
      const spent = job.errors >= job.maxAttempts || job.attempt >= LIMITS.attempts;
      const outputStands = job.hasOutput && !job.retryAfterOutput;
      if (!how.error.retryable || spent || outputStands) return fail(job, at, how.error);
      const delayMs = how.retryAfterMs ?? backoffMs(RETRY_BACKOFF, job.errors, how.random);
      const error: JobErrorBody = {
        code: how.error.code,
        message: how.error.message,
        retryable: true,
        attempt: job.attempt,
        origin: how.error.origin,
      };
      return retry(job, at, "retry", delayMs, { reason: "error", delayMs, error });
    }
  }
}

/**
 * The process or worker that ran it is gone. Counted before the job runs again, so that a poison job ends. Changes
 * nothing when no run holds it any more.
 */
export function lose(
  job: JobRecord,
  at: Instant,
  reason: "worker_lost" | "restart",
  maxLostLeases: number,
): StoredEvent[] {
  if (job.status === "canceling") return endCanceled(job, at, job.cancelReason ?? "requested");
  if (job.status !== "running") return [];
  job.lostLeases += 1;
  const spent = job.lostLeases >= maxLostLeases || job.attempt >= LIMITS.attempts;
  if (spent || (job.hasOutput && !job.retryAfterOutput)) {
    const message = spent
      ? `The process that ran this job was lost ${job.lostLeases} times.`
      : "The process that ran this job was lost after it had written output.";
    return fail(job, at, { code: "worker_lost", message, retryable: true, origin: "worker_lost" });
  }
  const delays = LIMITS.lostLeaseDelaysMs;
  const delayMs = delays[Math.min(job.lostLeases, delays.length) - 1] ?? 0;
  return retry(job, at, reason, Math.floor(delayMs * (1 + apart(job))), { reason, delayMs });
}

/**
 * In [0, 1), another one for each job and each of its losses: jobs that died together begin apart, so that the one among
 * them that kills its process does not take the same neighbours along every time.
 */
function apart({ id, lostLeases }: JobRecord): number {
  return Bun.hash.xxHash32(`${id} ${lostLeases}`) / 2 ** 32;
}

/**
 * Somebody wants the job to end. Queued and retrying jobs end at once; a running one is asked to stop and is fenced
 * after `graceMs`. Asking again, or after the end, changes nothing.
 */
export function cancel(job: JobRecord, at: Instant, reason: CancelReason, graceMs: number): StoredEvent[] {
  if (isTerminalStatus(job.status) || job.status === "canceling") return [];
  if (job.status !== "running") return endCanceled(job, at, reason);
  job.status = "canceling";
  job.cancelReason = reason;
  job.cancelBy = at.steadyMs + graceMs;
  return [logJson(job, at, "job.canceling", { reason })];
}

/** The run did not stop within its grace: its lease is fenced and the job ends as canceled. */
export function enforceCancel(job: JobRecord, at: Instant): StoredEvent[] {
  return job.status === "canceling" ? endCanceled(job, at, job.cancelReason ?? "requested") : [];
}

const RESTORED: RunError = {
  code: "restored",
  message: "The database was restored from a backup in which this job had not ended.",
  retryable: true,
  origin: "server",
};

/**
 * The job had not ended in a backup that is restored. It may have gone on since, and clients may have seen how: no seq
 * after the backup's end may ever mean anything else, so the log ends with one entry behind everything a run can reach.
 */
export function endRestored(job: JobRecord, at: Instant): StoredEvent[] {
  job.outputAfter = job.head;
  job.hasOutput = false;
  job.head = LIMITS.restoredSeq - 1;
  job.oldest = LIMITS.restoredSeq;
  if (job.status === "canceling") return endCanceled(job, at, job.cancelReason ?? "requested");
  return fail(job, at, RESTORED);
}

/** Not started in time. */
export function expire(job: JobRecord, at: Instant): StoredEvent[] {
  if (job.status !== "queued" && job.status !== "retrying") return [];
  job.status = "expired";
  return finish(job, at, "job.expired", "{}");
}
