/**
 * What is read here, said to the other nodes: logs of jobs that are under way, which grow wherever their runs are. Said
 * once a run has lasted a moment, and again and again while it lasts, since what was said may have been lost.
 */
import type { Backplane } from "../backplane/backplane.ts";
import type { Reader } from "../jobs/follower.ts";
import { isUnderWay, type JobSummary } from "../jobs/job.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { JobId } from "../lib/ids.ts";
import { slices } from "../lib/slices.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface ReadingOptions {
  readonly readers: readonly Reader[];
  readonly backplane: Pick<Backplane, "alone" | "publish">;
  readonly nodeId: string;
  readonly clock: Clock;
}

export interface Reading {
  /** How jobs stand. */
  found(jobs: Iterable<JobSummary>): void;
  /** Says all of it again. */
  renew(): void;
  stop(): void;
}

export function createReading({ readers, backplane, nodeId, clock }: ReadingOptions): Reading {
  /** Jobs that are under way, as far as is known, and read here. */
  const said = new Set<JobId>();
  /** Those that are to be said soon: many will have ended by then. */
  const due = new Set<JobId>();
  let timer: Timer | null = null;

  const say = (jobs: readonly JobId[]): void => {
    if (backplane.alone) return;
    for (const some of slices(jobs, LIMITS.lookJobs))
      backplane.publish({ kind: "reading", node: nodeId, jobs: some });
  };
  const isRead = (id: JobId): boolean => readers.some((reader) => reader.reads(id));
  const sayDue = (): void => {
    timer = null;
    const jobs = [...due].filter(isRead);
    due.clear();
    for (const id of jobs) said.add(id);
    say(jobs);
  };

  for (const reader of readers)
    reader.onBegun((id) => {
      // Its run may have lasted long, and write at this moment.
      due.delete(id);
      said.add(id);
      say([id]);
    });

  return {
    found(jobs) {
      for (const job of jobs) {
        if (!isUnderWay(job)) said.delete(job.id);
        else if (!said.has(job.id) && isRead(job.id)) due.add(job.id);
      }
      if (due.size > 0) timer ??= clock.after(LIMITS.readingAfterMs, sayDue);
    },

    renew() {
      for (const id of said) if (!isRead(id)) said.delete(id);
      say([...said]);
    },

    stop() {
      timer?.cancel();
      timer = null;
    },
  };
}
