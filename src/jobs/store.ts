/**
 * The `JobStore` contract: jobs, their logs, leases, idempotency and retention behind one interface.
 *
 * What every driver guarantees (checked by test/conformance/job-store.ts)
 * - A command is atomic and isolated. Commands of one process that touch the same job take effect in the order in which
 *   they were given. Commands that arrive while a commit is under way share the next one (group commit).
 * - `execute` resolves after the commit, which is as durable as the store was configured to be. If it rejects with
 *   `storage_unavailable`, the outcome is UNKNOWN: the change may or may not turn up later, and nothing was announced.
 *   What a run writes, and what a process claims for itself, waits instead: those settle once the outcome is known.
 * - `seq` is assigned inside the transaction: for each job 1, 2, 3 … without a gap or a repeat. An entry never changes.
 * - Listeners hear every change committed by this process once, in commit order, before `execute` resolves. They must
 *   neither throw nor wait.
 * - A read sees everything that was committed before it began. Reads and commits may run on different threads, so a page
 *   that comes back short proves nothing about the head.
 * - transitions.ts decides which command may do what, for all drivers alike.
 */
import type { Instant } from "../lib/clock.ts";
import type { JobId, LeaseToken, SessionId, UserId } from "../lib/ids.ts";
import type { CancelReason } from "../protocol/events.ts";
import type { JobStatus } from "../protocol/jobs.ts";
import type { Change, Item, JobHead, JobRecord, JobSpec, JobSummary, StoredEvent } from "./job.ts";
import type { WebhookState } from "../protocol/webhooks.ts";
import type { RunEnd } from "./transitions.ts";
import type { WebhookAttempt, WebhookOutcome, WebhookRecord } from "./webhook.ts";

/** Identifies an Idempotency-Key. Every user has a namespace of their own. */
export interface IdempotencyKey {
  readonly userId: UserId;
  /** `POST /v1/jobs`, or the retry route with its job. */
  readonly route: string;
  readonly key: string;
}

export interface Submission {
  readonly spec: JobSpec;
  /** JSON text, as validated. */
  readonly input: string;
  readonly idempotency: (IdempotencyKey & { readonly fingerprint: string }) | null;
  /** Limits on this user's unfinished jobs, and on the queued jobs of all users; Infinity = none. */
  readonly userJobs: number;
  readonly queueJobs: number;
}

export type SubmitOutcome =
  /** `position`: 1-based estimate of its place in the queue. */
  | { readonly kind: "accepted"; readonly job: JobRecord; readonly position: number }
  /** The key was used before with the same body; this is that job. */
  | { readonly kind: "replayed"; readonly id: JobId }
  /** The key was used before with another body. */
  | { readonly kind: "reused" }
  | { readonly kind: "too_many_jobs" }
  | { readonly kind: "queue_full" };

export interface ClaimRequest {
  /** How many more runs the claimer can take, by type. */
  readonly types: readonly { readonly type: string; readonly most: number }[];
  /** Most runs to claim altogether. */
  readonly most: number;
  /** A fresh secret, from which the lease token of each claimed run is derived. */
  readonly secret: string;
  readonly owner: string;
  readonly leaseMs: number;
  /** Name of the remote worker that claims. Until it has been heard from, losing the lease costs the job nothing. */
  readonly worker?: string;
}

export interface ClaimedJob {
  readonly job: JobRecord & { readonly leaseToken: LeaseToken };
  readonly input: string;
  /** JSON text that an earlier run stored, or null. */
  readonly checkpoint: string | null;
}

export interface ClaimOutcome {
  readonly jobs: readonly ClaimedJob[];
  /** Steady time at which the next job that waits for its back-off may run; null when none does. */
  readonly nextReadyMs: number | null;
}

/** What the holder of a lease is told: that it may go on, or why and by when (steady time) it has to stop. */
export type HoldOutcome =
  | { readonly kind: "ok" }
  | { readonly kind: "cancel"; readonly reason: CancelReason; readonly cancelBy: number }
  | "lease_lost"
  | "output_too_large";

/** A schedule as stored. `tick`: the last one that is over (wall time); `jobId`: its job, if it had one. */
export interface ScheduleRow {
  readonly name: string;
  readonly definition: string;
  readonly tick: number;
  readonly jobId: JobId | null;
}

/**
 * Every command, with its input and its outcome. All of them carry the moment at which they were given (`at`). A store
 * that several processes write to replaces it with a time of its own, to which the steady times in its outcomes refer.
 */
export interface JobCommands {
  submit: { in: Submission; out: SubmitOutcome };
  /** Takes ready jobs: highest priority first; within a priority users take turns, oldest job first. */
  claim: { in: ClaimRequest; out: ClaimOutcome };
  append: {
    in: {
      readonly id: JobId;
      readonly lease: LeaseToken;
      readonly items: readonly Item[];
      readonly jobBytes: number;
    };
    out: "ok" | "lease_lost" | "output_too_large";
  };
  /** Items from a remote worker's run (remote.ts). Stores those that are new, and renews the lease. */
  deliver: {
    in: {
      readonly id: JobId;
      readonly lease: LeaseToken;
      readonly owner: string;
      /** Number of the first of these items within the run, from 0; null: whichever is next. */
      readonly first: number | null;
      /** The entries of each item. */
      readonly items: readonly (readonly Item[])[];
      readonly jobBytes: number;
      readonly leaseMs: number;
    };
    /** `next`: the number of the first item that is missing. `output_too_large`: the job has failed because of it. */
    out: { readonly kind: "ok" | "item_gap"; readonly next: number } | "lease_lost" | "output_too_large";
  };
  /** A heartbeat of a remote worker: renews the lease, and stores what came with it. */
  hold: {
    in: {
      readonly id: JobId;
      readonly lease: LeaseToken;
      readonly owner: string;
      readonly leaseMs: number;
      /** JSON text; logged if it differs from the last report. */
      readonly progress: string | null;
      readonly checkpoint: string | null;
      readonly jobBytes: number;
    };
    out: HoldOutcome;
  };
  /** Remote workers could not be heard for a while: extends their leases, and their runs' time limits, to at least this. */
  grant: { in: { readonly leaseMs: number }; out: number };
  checkpoint: {
    in: { readonly id: JobId; readonly lease: LeaseToken; readonly value: string };
    out: "ok" | "lease_lost";
  };
  end: {
    in: {
      readonly id: JobId;
      readonly lease: LeaseToken;
      readonly how: RunEnd;
      /** For remote workers: the owner that the lease must have. */
      readonly owner?: string;
    };
    out: JobStatus | "lease_lost";
  };
  /** Answers with the resulting status; null: no such job. */
  cancel: {
    in: { readonly id: JobId; readonly reason: CancelReason; readonly graceMs: number };
    out: JobStatus | null;
  };
  /** Extends every lease of this owner to its full length. */
  renew: { in: { readonly owner: string; readonly leaseMs: number }; out: number };
  /**
   * One bounded step of everything that is due: jobs not started in time expire, cancels that were ignored are enforced,
   * remote runs exceed their time limits, expired leases of others are lost (or returned free of charge, if their holder
   * was never heard from). `busy`: there is more to do, call again. `random` in [0, 1) jitters the wait after a time-out.
   * `stuck`: jobs that could not be rescued because their rows make no sense; they are not looked at again.
   */
  sweep: {
    in: {
      readonly owner: string;
      readonly maxLostLeases: number;
      readonly most: number;
      readonly random: number;
    };
    out: { readonly busy: boolean; readonly stuck: readonly JobId[] };
  };
  /**
   * Takes back the runs of processes that are gone, however long their leases had left: those of every boot of `node`
   * except the one that asks (`owner`), or those of one boot. A node does so at its start for its own earlier boots
   * (`restart`); whoever buries another node does so for the boot that died (`worker_lost`).
   */
  recover: {
    in: {
      readonly owner: string;
      readonly node: string;
      /** null: every boot of the node. */
      readonly boot: string | null;
      readonly reason: "restart" | "worker_lost";
      readonly maxLostLeases: number;
      readonly most: number;
    };
    out: { readonly recovered: number; readonly busy: boolean; readonly stuck: readonly JobId[] };
  };
  /**
   * Wall time and steady time have moved relative to each other, or relative to what the previous process saw: jobs that
   * wait for a time of day (`runAt`) are rescheduled. Answers with their number.
   */
  realign: { in: object; out: number };
  /**
   * Registers a schedule as it is configured now. Answers with its last tick: that of its latest job, or this moment if it
   * is new or its `definition` has changed. Ticks up to that one are over.
   */
  schedule: { in: { readonly name: string; readonly definition: string }; out: number };
  /** Submits the job of one tick of a schedule: once, whoever asks and however often. */
  tick: {
    in: Submission & { readonly schedule: { readonly name: string; readonly tick: number } };
    out: SubmitOutcome | { readonly kind: "over" };
  };
  /** A session of the job's user has received the terminal event. */
  acknowledge: {
    in: { readonly id: JobId; readonly sessionId: SessionId; readonly seq: number };
    out: boolean;
  };
  /** Deletes log, input and result of a terminal job. Its row stays, as `purged`, until retention removes it. */
  purge: { in: { readonly id: JobId }; out: "purged" | "not_terminal" | "unknown" };
  /** Takes webhooks that are due, most overdue first. An attempt that is not settled within `leaseMs` counts as lost. */
  claimWebhooks: {
    in: { readonly most: number; readonly leaseMs: number };
    out: readonly { readonly id: JobId; readonly attempt: number }[];
  };
  /** Records how an attempt ended. `stale`: another one has begun, or none is wanted any more. */
  settleWebhook: {
    in: { readonly id: JobId; readonly attempt: WebhookAttempt; readonly outcome: WebhookOutcome };
    out: WebhookState | "stale";
  };
  /** One bounded step of retention; `…Before` are wall times. Answers with the number of rows deleted: 0 = nothing left. */
  retain: {
    in: {
      readonly eventsBefore: number;
      readonly jobsBefore: number;
      readonly keysBefore: number;
      readonly most: number;
    };
    out: number;
  };
}

export type JobOp = keyof JobCommands;
export type JobCommand<Op extends JobOp = JobOp> = Op extends JobOp
  ? { readonly op: Op; readonly at: Instant } & JobCommands[Op]["in"]
  : never;
export type JobOutcome<Op extends JobOp> = JobCommands[Op]["out"];

export interface EventsQuery {
  /** Entries with a greater seq. */
  readonly after: number;
  readonly limit: number;
  /** The page ends once it holds this much, but has at least one entry. */
  readonly bytes: number;
}

export interface JobQuery {
  /** null: of all users. */
  readonly userId: UserId | null;
  readonly status: JobStatus | null;
  readonly type: string | null;
  /** Jobs older than this id. */
  readonly before: JobId | null;
  readonly limit: number;
}

export interface NewJobsQuery {
  readonly sessions: readonly SessionId[];
  /** Only those accepted after this one (by their ids). */
  readonly after: JobId;
  readonly limit: number;
}

export interface CancelableQuery {
  /** null: of all sessions. */
  readonly sessionId: SessionId | null;
  /** Only those accepted after this job; null: from the oldest. */
  readonly after: JobId | null;
  readonly limit: number;
}

export interface CancelableJob {
  readonly id: JobId;
  readonly sessionId: SessionId;
  readonly orphanMs: number;
}

/** A job with its result (JSON text). */
export interface JobWithResult {
  readonly job: JobRecord;
  readonly result: string | null;
}

/** An estimate need not be exact, and counting must not be slow. */
export const POSITION_MOST = 1000;

export interface JobStore {
  execute<Op extends JobOp>(command: JobCommand<Op>): Promise<JobOutcome<Op>>;
  onCommitted(listener: (changes: readonly Change[]) => void): void;

  find(id: JobId): Promise<JobRecord | null>;
  /** The job, if it is this user's. Another user's job is not even read, so timing does not reveal that it exists. */
  findOwn(userId: UserId, id: JobId): Promise<JobRecord | null>;
  findWithResult(id: JobId): Promise<JobWithResult | null>;
  /** The submitted input as JSON text; null once purged. */
  input(id: JobId): Promise<string | null>;
  findByKey(key: IdempotencyKey): Promise<{ readonly id: JobId; readonly fingerprint: string } | null>;
  events(id: JobId, query: EventsQuery): Promise<readonly StoredEvent[]>;
  /** Size of each audio chunk after `after`, in order. */
  audioChunks(id: JobId, after: number): Promise<readonly { readonly seq: number; readonly bytes: number }[]>;
  /** All that were ever configured. */
  schedules(): Promise<readonly ScheduleRow[]>;
  /** Newest first. */
  list(query: JobQuery): Promise<readonly JobWithResult[]>;
  /** Jobs of the session that are unfinished, or finished and not acknowledged by it; newest first. */
  openJobs(sessionId: SessionId, limit: number): Promise<readonly JobSummary[]>;
  /** The current state of these jobs, in any order; unknown ones are left out. */
  heads(ids: readonly JobId[]): Promise<readonly JobHead[]>;
  /** Jobs of these sessions that are unfinished, or finished and not acknowledged; oldest first. */
  newJobsOf(query: NewJobsQuery): Promise<readonly JobHead[]>;
  /** Unfinished jobs that a log-out or a lost socket may cancel, oldest first. */
  cancelable(query: CancelableQuery): Promise<readonly CancelableJob[]>;
  /** The number of jobs that are queued or retrying. */
  waiting(): Promise<number>;
  /** The webhook of an ended job, with its attempts, oldest first; null if there is none (yet). */
  webhook(
    id: JobId,
  ): Promise<{ readonly webhook: WebhookRecord; readonly attempts: readonly WebhookAttempt[] } | null>;
  /** Steady time at which the next webhook is due; null if none waits. */
  nextWebhook(): Promise<number | null>;
  /** 1-based estimate of the place in the queue, counted up to `POSITION_MOST`. */
  position(id: JobId): Promise<number>;
  /**
   * How far steady time had come: at most `LIMITS.steadyStepMs` before the `at` of the latest command; 0 in a new store.
   * It never goes back. The next process continues from there, wherever the wall clock has been set meanwhile.
   */
  steadyMs(): Promise<number>;
}
