/** What a job is, inside: the record every store keeps, the entries of its log, and what others are told of a change. */
import type { JobId, LeaseToken, SessionId, UserId } from "../lib/ids.ts";
import {
  isOutputKind,
  type CancelReason,
  type ErrorOrigin,
  type EventKind,
  type ResetReason,
} from "../protocol/events.ts";
import type { JobStatus } from "../protocol/jobs.ts";
import { LIMITS } from "../protocol/limits.ts";

/** Fixed when the job is accepted. Fields ending in `At` are wall time in ms, those ending in `By` steady time in ms. */
export interface JobSpec {
  readonly id: JobId;
  readonly userId: UserId;
  readonly sessionId: SessionId | null;
  readonly type: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly lane: string | null;
  /** Not run before (wall); null when it was not put off to a time of day. */
  readonly runAt: number | null;
  /** Not run for that long after it was accepted (steady time); null when it was not put off by a time. */
  readonly delayMs: number | null;
  /** Counted from when it may run. */
  readonly startWithinMs: number | null;
  readonly timeoutMs: number;
  readonly firstOutputMs: number | null;
  readonly idleMs: number | null;
  readonly maxAttempts: number;
  readonly retryAfterOutput: boolean;
  readonly cancelOnDisconnect: boolean;
  readonly orphanMs: number;
  readonly traceparent: string;
  readonly tracestate: string | null;
  readonly correlationId: string | null;
  readonly retryOf: JobId | null;
  /** Told when the job has ended; null when nobody is. */
  readonly webhookUrl: string | null;
  /** How long the acknowledgement of the end may be waited for first. */
  readonly webhookAfterMs: number;
}

/** A job as a store keeps it, without its bulky parts (input, result, checkpoint). Changed only by transitions.ts. */
export interface JobRecord extends JobSpec {
  readonly createdAt: number;
  status: JobStatus;
  /** Runs so far; the number of the current one. */
  attempt: number;
  /** Runs that ended in an error. */
  errors: number;
  /** Runs whose lease was lost. */
  lostLeases: number;
  /** Seq of the newest entry. */
  head: number;
  /** First seq that can still be read; head + 1 never occurs: the terminal entry stays as long as the job. */
  oldest: number;
  /** Bytes of all output entries ever logged. */
  logBytes: number;
  /**
   * The present output starts after this seq (that of the last `output.reset`, else 0). Of a job that a restore ended:
   * where its log ended in the backup.
   */
  outputAfter: number;
  /** Output stands after `outputAfter`. */
  hasOutput: boolean;
  /** Why the next run has to void the output of the one before; null when there is none to void. */
  resetReason: ResetReason | null;
  startedAt: number | null;
  finishedAt: number | null;
  /** Not run before (steady); meaningful while queued or retrying. */
  readyBy: number;
  /** Expires if not started by (steady). */
  startBy: number | null;
  leaseToken: LeaseToken | null;
  /** Who holds it: `ownerOf` a process of this installation, `worker:…` for a remote one. */
  leaseOwner: string | null;
  leaseBy: number | null;
  /** A remote worker took it and was not heard of since: the answer may never have arrived. */
  unheard: boolean;
  /** Items taken from the present run of a remote worker: the number of the next one. */
  items: number;
  /** The present run of a remote worker is over by (steady); null: none, or a process of ours watches it. */
  runBy: number | null;
  /** It has to write output by (steady); null: it need not. */
  quietBy: number | null;
  /** How the run that ended last did and under which lease, so that saying it again changes nothing. */
  endedBy: string | null;
  cancelReason: CancelReason | null;
  /** A cancel that was asked for is enforced by (steady). */
  cancelBy: number | null;
  /** JSON text of the last progress. */
  progress: string | null;
  /** JSON text of a JobErrorBody. */
  error: string | null;
  deliveredAt: number | null;
  /** Its own session acknowledged the terminal event. */
  acknowledged: boolean;
  purgedAt: number | null;
}

/** One entry of a log. `data` is JSON text, or raw bytes for the two kinds that travel as binary frames. */
export interface StoredEvent {
  readonly seq: number;
  readonly attempt: number;
  readonly at: number;
  readonly kind: EventKind;
  readonly data: string | Uint8Array;
}

/** One thing a run wants to have logged; `seq` is given in the transaction and nowhere else. */
export interface Item {
  readonly kind: EventKind;
  readonly data: string | Uint8Array;
}

/** What everybody who watches needs to know of a job. */
export interface JobSummary {
  readonly id: JobId;
  readonly userId: UserId;
  readonly sessionId: SessionId | null;
  readonly type: string;
  readonly status: JobStatus;
  readonly attempt: number;
  readonly head: number;
}

/** How a job stands: what somebody has to know who follows it and did not hear of its last change. */
export interface JobHead extends JobSummary {
  /** See `isSilenced`. */
  readonly silenced: boolean;
  /** It was neither receipted by its session nor deleted. */
  readonly open: boolean;
}

/** A committed change of one job: its new state and the entries that were logged, first…head without gap. */
export interface Change {
  readonly job: JobSummary;
  readonly first: number;
  readonly events: readonly StoredEvent[];
  /** See `isSilenced`. */
  readonly silenced: boolean;
}

/** Whether the log has grown by output and progress alone: nothing became of the job that anybody but its readers minds. */
export function isOnlyGrowth({ events }: Change): boolean {
  return events.every(({ kind }) => isOutputKind(kind) || kind === "job.progress");
}

/** How a run ended badly; `message` is for the user. */
export interface RunError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly origin: ErrorOrigin;
}

/** Whether a run holds the job, and may write. */
export function isUnderWay({ status }: Pick<JobSummary, "status">): boolean {
  return status === "running" || status === "canceling";
}

export function summarize(job: JobRecord): JobSummary {
  return {
    id: job.id,
    userId: job.userId,
    sessionId: job.sessionId,
    type: job.type,
    status: job.status,
    attempt: job.attempt,
    head: job.head,
  };
}

/**
 * Whether another job of its lane took its place: nobody listens to this one any more, so sockets are sent its entries
 * without the sound, and the sound of the new one does not wait behind it.
 */
export function isSilenced(job: Pick<JobRecord, "cancelReason">): boolean {
  return job.cancelReason === "lane";
}

export function headOf(job: JobRecord): JobHead {
  return {
    ...summarize(job),
    silenced: isSilenced(job),
    open: !job.acknowledged && job.purgedAt === null,
  };
}

/** Why the log cannot be read from after `after`; null when it can. */
export function lostCursor(job: JobRecord, after: number): "trimmed" | "ahead" | null {
  if (after > job.head) return "ahead";
  if (after >= job.oldest - 1) return null;
  // A restore ended it: what was seen behind the backup's end is not known here, and never was.
  return job.head === LIMITS.restoredSeq && after > job.outputAfter ? "ahead" : "trimmed";
}

/** Bytes an item counts with against the log's bound. */
export function sizeOf(data: string | Uint8Array): number {
  return typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
}
