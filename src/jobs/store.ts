/**
 * The `JobStore` contract: jobs, their logs, leases, idempotency and retention behind one interface.
 *
 * Guarantees every driver gives (held by test/conformance/job-store.ts)
 * - A command is atomic and isolated; commands of one process that touch one job take effect in the order they were
 *   given. Commands that arrive while a commit is under way share the next one (group commit).
 * - `execute` resolves after the commit, as durable as the store was configured. When it rejects with
 *   `storage_unavailable` the outcome is UNKNOWN: it may or may not be found later; nothing was announced. What a run
 *   writes and what a process claims for itself is not given up so: it resolves, or rejects, when the outcome is known.
 * - `seq` is given inside the transaction: per job 1, 2, 3 … without gap or repeat, and an entry never changes.
 * - Listeners hear every committed change of this process once, in commit order and before `execute` resolves. They
 *   must not throw and must not wait.
 * - A read sees everything that was committed before it began. Reads and commits may run on different threads: a page
 *   that came back short proves nothing about the head.
 * - Which command may do what is decided by transitions.ts, in every driver the same.
 */
import type { Instant } from "../lib/clock.ts";
import type { JobId, LeaseToken, SessionId, UserId } from "../lib/ids.ts";
import type { CancelReason } from "../protocol/events.ts";
import type { JobStatus } from "../protocol/jobs.ts";
import type { Change, Item, JobHead, JobRecord, JobSpec, JobSummary, StoredEvent } from "./job.ts";
import type { WebhookState } from "../protocol/webhooks.ts";
import type { RunEnd } from "./transitions.ts";
import type { WebhookAttempt, WebhookOutcome, WebhookRecord } from "./webhook.ts";

/** Where an Idempotency-Key is looked up; one user's keys mean nothing to another. */
export interface IdempotencyKey {
  readonly userId: UserId;
  /** `POST /v1/jobs`, or the retry route with its job. */
  readonly route: string;
  readonly key: string;
}

export interface Submission {
  readonly spec: JobSpec;
  /** JSON text as it was validated. */
  readonly input: string;
  readonly idempotency: (IdempotencyKey & { readonly fingerprint: string }) | null;
  /** Most unfinished jobs of this user and most queued jobs of all; Infinity = no limit. */
  readonly userJobs: number;
  readonly queueJobs: number;
}

export type SubmitOutcome =
  /** `position`: 1-based estimate of its place in the queue. */
  | { readonly kind: "accepted"; readonly job: JobRecord; readonly position: number }
  /** The key was used before with the same body: that job. */
  | { readonly kind: "replayed"; readonly id: JobId }
  /** The key was used before with another body. */
  | { readonly kind: "reused" }
  | { readonly kind: "too_many_jobs" }
  | { readonly kind: "queue_full" };

export interface ClaimRequest {
  /** How many more runs of each type the claimer can take. */
  readonly types: readonly { readonly type: string; readonly most: number }[];
  /** Most runs of this claim. */
  readonly most: number;
  /** A fresh secret; each claimed run's lease token is made from it. */
  readonly secret: string;
  readonly owner: string;
  readonly leaseMs: number;
  /** Name of the remote worker that claims; until it is heard of, its lease goes back for free when it runs out. */
  readonly worker?: string;
}

export interface ClaimedJob {
  readonly job: JobRecord & { readonly leaseToken: LeaseToken };
  readonly input: string;
  /** JSON text an earlier run left, or null. */
  readonly checkpoint: string | null;
}

export interface ClaimOutcome {
  readonly jobs: readonly ClaimedJob[];
  /** Steady time at which the next job that waits for its back-off may run; null when none does. */
  readonly nextReadyMs: number | null;
}

/** What a worker that holds a lease is to know: that it may go on, or why and by when (steady) it has to stop. */
export type HoldOutcome =
  | { readonly kind: "ok" }
  | { readonly kind: "cancel"; readonly reason: CancelReason; readonly cancelBy: number }
  | "lease_lost"
  | "output_too_large";
/** What is known of a schedule. `tick`: the last one that is over (wall time); `jobId`: its job, if it had one. */
export interface ScheduleRow {
  readonly name: string;
  readonly definition: string;
  readonly tick: number;
  readonly jobId: JobId | null;
}

/**
 * Every command with what goes in and what comes out. All of them carry the moment they were given as `at`. A store that
 * several processes write to puts its own time in the place of that; steady times that it answers are of that time.
 */
export interface JobCommands {
  submit: { in: Submission; out: SubmitOutcome };
  /** Takes ready jobs: highest priority first, within one priority the users in turn, oldest first. */
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
  /** Items of a remote worker's run (remote.ts). Takes those that are new, and renews the lease. */
  deliver: {
    in: {
      readonly id: JobId;
      readonly lease: LeaseToken;
      readonly owner: string;
      /** Number of the first item in this run, from 0; null: whichever is next. */
      readonly first: number | null;
      /** The entries of each item. */
      readonly items: readonly (readonly Item[])[];
      readonly jobBytes: number;
      readonly leaseMs: number;
    };
    /** `next`: the number of the first item that is missing. `output_too_large`: the job has failed of it. */
    out: { readonly kind: "ok" | "item_gap"; readonly next: number } | "lease_lost" | "output_too_large";
  };
  /** A remote worker says that it is still at it: renews the lease, and keeps what came along. */
  hold: {
    in: {
      readonly id: JobId;
      readonly lease: LeaseToken;
      readonly owner: string;
      readonly leaseMs: number;
      /** JSON text; logged if it is news. */
      readonly progress: string | null;
      readonly checkpoint: string | null;
      readonly jobBytes: number;
    };
    out: HoldOutcome;
  };
  /** Remote workers could not be heard for a while: their leases, and the time limits of their runs, get that long at least. */
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
      /** Of a remote worker: whose lease it has to be. */
      readonly owner?: string;
    };
    out: JobStatus | "lease_lost";
  };
  /** null: no such job. The status after it. */
  cancel: {
    in: { readonly id: JobId; readonly reason: CancelReason; readonly graceMs: number };
    out: JobStatus | null;
  };
  /** Gives every lease of this owner its full time again. */
  renew: { in: { readonly owner: string; readonly leaseMs: number }; out: number };
  /**
   * One bounded step of what time brings: late starts expire, unheard cancels are enforced, remote runs are over time,
   * leases of others that ran out are lost (given back for free, if their holder was never heard of). `busy`: there was
   * more than one step's worth, call again. `random` in [0, 1) jitters the wait after a time-out. `stuck`: nothing could
   * be done about these (their rows make no sense); they are not looked at again.
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
   * Runs in processes that are over are lost, whatever time their leases had left: those of every boot of `node` but the
   * one that asks (`owner`), or of one boot of it. A node asks at its start for its own boots before (`restart`), and
   * whoever buries another node for the boot that died (`worker_lost`).
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
   * The wall clock and the steady one have moved against each other, or this process knows other readings than the
   * one before: jobs that wait for a time of day (`runAt`) wait for it anew. How many do.
   */
  realign: { in: object; out: number };
  /**
   * A schedule as it is configured now. Its last tick: the one of its latest job, or of this moment when it is new or
   * means other ticks than before (`definition`). Ticks up to there are over.
   */
  schedule: { in: { readonly name: string; readonly definition: string }; out: number };
  /** The job of one tick of a schedule: submitted once, whoever asks and however often. */
  tick: {
    in: Submission & { readonly schedule: { readonly name: string; readonly tick: number } };
    out: SubmitOutcome | { readonly kind: "over" };
  };
  /** Receipt for a terminal event by a session of the job's user. */
  acknowledge: {
    in: { readonly id: JobId; readonly sessionId: SessionId; readonly seq: number };
    out: boolean;
  };
  /** Log, input and result of a terminal job are gone from here on; its row stays as `purged` until retention. */
  purge: { in: { readonly id: JobId }; out: "purged" | "not_terminal" | "unknown" };
  /** Takes webhooks that are due, most overdue first; who does not settle one within `leaseMs` has lost that attempt. */
  claimWebhooks: {
    in: { readonly most: number; readonly leaseMs: number };
    out: readonly { readonly id: JobId; readonly attempt: number }[];
  };
  /** How an attempt ended; `stale`: another one has begun, or none is wanted any more. */
  settleWebhook: {
    in: { readonly id: JobId; readonly attempt: WebhookAttempt; readonly outcome: WebhookOutcome };
    out: WebhookState | "stale";
  };
  /** One bounded step of retention; `before…` are wall times. Returns the rows it deleted: 0 = nothing left to do. */
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
  /** The page ends once it holds this much (at least one entry is returned). */
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
  /** Those that were accepted after this one (by their ids). */
  readonly after: JobId;
  readonly limit: number;
}

export interface CancelableQuery {
  /** null: of all sessions. */
  readonly sessionId: SessionId | null;
  /** Those that were accepted after this job; null: from the oldest. */
  readonly after: JobId | null;
  readonly limit: number;
}

export interface CancelableJob {
  readonly id: JobId;
  readonly sessionId: SessionId;
  readonly orphanMs: number;
}

/** A job with its result (JSON text), for answers. */
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
  /** The job if it is this user's. Another's costs what an unknown one costs: it is not read, so that time tells nothing. */
  findOwn(userId: UserId, id: JobId): Promise<JobRecord | null>;
  findWithResult(id: JobId): Promise<JobWithResult | null>;
  /** JSON text of what was submitted; null once purged. */
  input(id: JobId): Promise<string | null>;
  findByKey(key: IdempotencyKey): Promise<{ readonly id: JobId; readonly fingerprint: string } | null>;
  events(id: JobId, query: EventsQuery): Promise<readonly StoredEvent[]>;
  /** Size of each audio chunk after `after`, in order. */
  audioChunks(id: JobId, after: number): Promise<readonly { readonly seq: number; readonly bytes: number }[]>;
  /** Those that were ever configured. */
  schedules(): Promise<readonly ScheduleRow[]>;
  /** Newest first. */
  list(query: JobQuery): Promise<readonly JobWithResult[]>;
  /** Jobs of the session that are unfinished, or finished and not acknowledged by it; newest first. */
  openJobs(sessionId: SessionId, limit: number): Promise<readonly JobSummary[]>;
  /** How these jobs stand, in any order; what is unknown is left out. */
  heads(ids: readonly JobId[]): Promise<readonly JobHead[]>;
  /** Jobs of these sessions that are unfinished, or finished and not acknowledged; oldest first. */
  newJobsOf(query: NewJobsQuery): Promise<readonly JobHead[]>;
  /** Unfinished jobs that a log-out or a lost socket may cancel, oldest first. */
  cancelable(query: CancelableQuery): Promise<readonly CancelableJob[]>;
  /** Jobs that are queued or retrying, counted. */
  waiting(): Promise<number>;
  /** The webhook of a job that ended and its attempts, oldest first; null when it has none (yet). */
  webhook(
    id: JobId,
  ): Promise<{ readonly webhook: WebhookRecord; readonly attempts: readonly WebhookAttempt[] } | null>;
  /** Steady time at which the next webhook is due; null when none waits. */
  nextWebhook(): Promise<number | null>;
  /** 1-based estimate of the place in the queue, counted up to `POSITION_MOST`. */
  position(id: JobId): Promise<number>;
  /**
   * How far steady time had come: the `at` of the latest command, less `LIMITS.steadyStepMs` at most; 0 in a new store.
   * It never goes back. The next process goes on from there, wherever the wall clock was set to meanwhile.
   */
  steadyMs(): Promise<number>;
}
