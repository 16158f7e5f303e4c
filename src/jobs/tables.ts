/**
 * What a driver of `JobStore` gives: plain reads and writes inside one open transaction, in which execute.ts carries out
 * the commands. Synchronous on purpose: nothing else may come between the statements of a transaction.
 */
import type { Instant } from "../lib/clock.ts";
import type { JobId, SessionId, UserId } from "../lib/ids.ts";
import type { JobRecord, StoredEvent } from "./job.ts";
import type { IdempotencyKey, ScheduleRow } from "./store.ts";
import type { WebhookAttempt, WebhookRecord } from "./webhook.ts";

/** A job that may run, with what decides its place: highest priority, then lowest turn, then lowest `num` (age). */
export interface ReadyJob {
  readonly id: JobId;
  readonly priority: number;
  readonly turn: number;
  readonly num: number;
}

export type Overdue = "start" | "cancel" | "run" | "quiet" | "lease";

/** The tables inside one transaction. Records given out are copies; only `save` makes a change last. */
export interface JobTables {
  load(id: JobId): JobRecord | null;
  /** `due`: it may run at once. One that may not gets its turn in the queue when `ready` finds that it is due. */
  insert(job: JobRecord, input: string, due: boolean): void;
  /**
   * `output`: only what appending changes (head, bytes, progress); `held`: that, and what a sign of life of a remote
   * worker changes (items, lease time); `state`: everything that can change.
   */
  save(job: JobRecord, what: "output" | "held" | "state"): void;
  log(job: JobRecord, events: readonly StoredEvent[]): void;
  input(job: JobRecord): string;
  checkpoint(job: JobRecord): string | null;
  setCheckpoint(job: JobRecord, value: string): void;
  /** Jobs of the user that have not ended; jobs of all that are queued or retrying. */
  unfinished(userId: UserId): number;
  queued(): number;
  /** The job of the lane that has not ended and was not told to. */
  inLane(sessionId: SessionId, lane: string): JobId | null;
  /** Jobs of these types that may run at this moment, at most `limit` of each, best first within a type. */
  ready(
    types: readonly { readonly type: string; readonly limit: number }[],
    steadyMs: number,
  ): readonly ReadyJob[];
  /**
   * Jobs whose time is over: `start` not started in time, `cancel` not stopped in time, `run` and `quiet` remote runs
   * past their limits, `lease` ran out (not of `owner`).
   */
  overdue(steadyMs: number, owner: string, limit: number): readonly { id: JobId; why: Overdue }[];
  nextReady(steadyMs: number): number | null;
  /** Jobs that wait for a time of day, wait for it by these readings of the clock; how many there are. */
  realign(at: Instant): number;
  /** Running jobs held by processes of this installation other than `owner`, whose names begin so (holder.ts). */
  heldByOthers(owner: string, prefix: string, limit: number): readonly JobId[];
  renew(owner: string, leaseBy: number): number;
  /** Leases of remote workers last until then, and the time limits of their runs no less; how many there are. */
  grant(leaseBy: number): number;
  /** Forgets every deadline of a job that nothing can be done about; its row may be unreadable. */
  defuse(id: JobId): void;
  findKey(key: IdempotencyKey): { id: JobId; fingerprint: string } | null;
  putKey(key: IdempotencyKey, fingerprint: string, id: JobId, at: number): void;
  /** Deletes input and checkpoint; no read shows the log from here on, its entries go with `trimSome`. */
  dropPayload(job: JobRecord): void;
  /** Deletes at most `limit` entries from the front of what retention no longer keeps; returns how many. */
  trimSome(eventsBefore: number, limit: number): number;
  /** Deletes jobs that ended before, `limit` rows at most; a job and its last entry go together and count as one. */
  forgetSome(jobsBefore: number, limit: number): number;
  dropKeys(before: number, limit: number): number;
  schedule(name: string): ScheduleRow | null;
  putSchedule(row: ScheduleRow): void;
  /** The webhook of a job that ended. */
  webhook(job: JobRecord): WebhookRecord | null;
  putWebhook(job: JobRecord, webhook: WebhookRecord): void;
  /** Keeps an attempt; a repeated one changes nothing. */
  logWebhook(job: JobRecord, attempt: WebhookAttempt): void;
  /** Jobs whose webhook is due, most overdue first. */
  dueWebhooks(steadyMs: number, limit: number): readonly JobId[];
  /** The steady reading that was kept last, 0 at first. */
  steadyMs(): number;
  keepSteady(steadyMs: number): void;
}

/** What `defuse` writes. */
export const NO_DEADLINES = {
  startBy: null,
  cancelBy: null,
  leaseBy: null,
  leaseOwner: null,
  runBy: null,
  quietBy: null,
} as const;
