/** Keeps events of jobs nobody knows yet: they overtake the 202 that tells their id. Bounded; what is lost is asked for again. */
import type { LogEvent } from "./job-events.ts";

const MOST_JOBS = 64;
const MOST_BYTES = 4 * 1024 * 1024;

interface Kept {
  readonly events: LogEvent[];
  bytes: number;
}

export interface EarlyEvents {
  /** `bytes`: what the frame measured. */
  keep(event: LogEvent, bytes: number): void;
  /** What was kept of this job, in order of arrival; null when nothing was, or not all. */
  take(job: string): readonly LogEvent[] | null;
  clear(): void;
}

export function createEarlyEvents(): EarlyEvents {
  // The oldest job is first in the Map and the first to go.
  const jobs = new Map<string, Kept>();
  let held = 0;

  function forget(job: string): void {
    held -= jobs.get(job)?.bytes ?? 0;
    jobs.delete(job);
  }
  return {
    keep(event, bytes) {
      let kept = jobs.get(event.job);
      if (kept === undefined) {
        // Kept from its beginning or not at all: a middle without its start helps nobody.
        if (event.first !== 1) return;
        kept = { events: [], bytes: 0 };
        jobs.set(event.job, kept);
      }
      kept.events.push(event);
      kept.bytes += bytes;
      held += bytes;
      while (jobs.size > MOST_JOBS || held > MOST_BYTES) {
        const [oldest] = jobs.keys();
        if (oldest === undefined) break;
        forget(oldest);
      }
    },
    take(job) {
      const events = jobs.get(job)?.events ?? null;
      forget(job);
      return events;
    },
    clear() {
      jobs.clear();
      held = 0;
    },
  };
}
