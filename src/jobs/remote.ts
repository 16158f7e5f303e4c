/**
 * What happens to a job while a remote worker runs it, as pure functions beside transitions.ts: items arrive and are
 * counted, the worker is heard of, its time runs out. Nothing of a remote run lives in a process, so that a server may
 * end and start again under it (PROTOCOL section 6).
 */
import type { Instant } from "../lib/clock.ts";
import type { LeaseToken } from "../lib/ids.ts";
import { isOutputKind } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Item, JobRecord, StoredEvent } from "./job.ts";
import { timeOutError, tooMuchOutput } from "./run-errors.ts";
import type { HoldOutcome } from "./store.ts";
import { append, end, holdsLease, type LogBounds, type RunEnd } from "./transitions.ts";

/** The worker lives: its lease gets its full time again. */
function heard(job: JobRecord, at: Instant, leaseMs: number): void {
  job.unheard = false;
  job.leaseBy = at.steadyMs + leaseMs;
}

export interface Delivery extends LogBounds {
  readonly lease: LeaseToken;
  /** Number of the first item in this run; null: whichever is next. */
  readonly first: number | null;
  /** The entries of each item. */
  readonly items: readonly (readonly Item[])[];
  readonly leaseMs: number;
}

export type Delivered =
  | { readonly kind: "ok"; readonly next: number; readonly events: StoredEvent[] }
  /** Nothing was changed: the items between are missing. */
  | { readonly kind: "item_gap"; readonly next: number; readonly events: StoredEvent[] };

/** Takes the items that are new; those that were taken before are passed over, since their sender may not know it. */
export function deliver(
  job: JobRecord,
  at: Instant,
  delivery: Delivery,
): Delivered | "lease_lost" | "output_too_large" {
  if (!holdsLease(job, delivery.lease)) return "lease_lost";
  const known = job.items;
  const first = delivery.first ?? known;
  if (first > known) return { kind: "item_gap", next: known, events: [] };
  const entries = delivery.items.slice(known - first).flat();
  const events = append(job, at, delivery.lease, entries, delivery);
  if (typeof events === "string") return events;
  job.items = Math.max(known, first + delivery.items.length);
  heard(job, at, delivery.leaseMs);
  if (entries.some(({ kind }) => isOutputKind(kind)))
    job.quietBy = job.idleMs === null ? null : at.steadyMs + job.idleMs;
  return { kind: "ok", next: job.items, events };
}

export interface Sign extends LogBounds {
  readonly lease: LeaseToken;
  readonly leaseMs: number;
  /** JSON text, or null when it says nothing of it. */
  readonly progress: string | null;
}

/** A sign of life, perhaps with progress, which is logged when it is news. */
export function hold(
  job: JobRecord,
  at: Instant,
  sign: Sign,
): StoredEvent[] | "lease_lost" | "output_too_large" {
  if (!holdsLease(job, sign.lease)) return "lease_lost";
  const { progress } = sign;
  const isNews = progress !== null && progress !== job.progress;
  const items: readonly Item[] = isNews ? [{ kind: "job.progress", data: progress }] : [];
  const events = append(job, at, sign.lease, items, sign);
  if (typeof events !== "string") heard(job, at, sign.leaseMs);
  return events;
}

/** What the holder of the lease is to know. */
export function standing(job: JobRecord): HoldOutcome {
  if (job.status !== "canceling" || job.cancelBy === null) return { kind: "ok" };
  return { kind: "cancel", reason: job.cancelReason ?? "requested", cancelBy: job.cancelBy };
}

/** The run ends here by no word of its worker, whose own end comes too late from now on. */
function endForIt(job: JobRecord, at: Instant, how: RunEnd): StoredEvent[] {
  if (job.leaseToken === null) return [];
  const events = end(job, at, job.leaseToken, how);
  job.endedBy = null;
  return events === "lease_lost" ? [] : events;
}

/** The run wrote more than a log holds: it ends, whatever its worker does. */
export function refuseOutput(job: JobRecord, at: Instant, jobBytes: number): StoredEvent[] {
  return endForIt(job, at, { kind: "error", error: tooMuchOutput(jobBytes), random: 0 });
}

/** A time limit of the run is over (`run`), or nothing was written for too long (`quiet`). Nothing, if it ended before. */
export function timeOut(job: JobRecord, at: Instant, what: "run" | "quiet", random: number): StoredEvent[] {
  const by = what === "run" ? job.runBy : job.quietBy;
  if (by === null || by > at.steadyMs) return [];
  const quiet = job.hasOutput ? "idle_timeout" : "first_output_timeout";
  const error = timeOutError(job, what === "run" ? "timeout" : quiet);
  return endForIt(job, at, { kind: "error", error, random });
}

/**
 * Whether the holder of the lease may never have learned of it. Believed a few times only: a job that kills its workers
 * before they can say a word has to end like any other.
 */
export function mayNotKnow(job: JobRecord): boolean {
  const free = job.attempt - 1 - job.errors - job.lostLeases;
  return job.unheard && free < LIMITS.freeLeases;
}

/** The answer that bore the lease seems to have been lost: the job goes back and costs nothing. */
export function giveBack(job: JobRecord, at: Instant): StoredEvent[] {
  return endForIt(job, at, { kind: "released" });
}
