/**
 * What is read here, said to the other nodes: logs of jobs that are under way, which grow wherever their runs are. Said
 * when it begins, once for each run, and again and again while it lasts, since what was said may have been lost.
 */
import type { Backplane } from "../backplane/backplane.ts";
import type { Reader } from "../jobs/follower.ts";
import { isUnderWay, type JobSummary } from "../jobs/job.ts";
import type { JobId } from "../lib/ids.ts";
import { slices } from "../lib/slices.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface ReadingOptions {
  readonly readers: readonly Reader[];
  readonly backplane: Pick<Backplane, "alone" | "publish">;
  readonly nodeId: string;
}

export interface Reading {
  /** How jobs stand, as the store or another node says. */
  found(jobs: Iterable<JobSummary>): void;
  /** Says all of it again. */
  renew(): void;
}

export function createReading({ readers, backplane, nodeId }: ReadingOptions): Reading {
  /** Jobs that are under way, as far as is known, and read here. */
  const said = new Set<JobId>();

  const say = (jobs: readonly JobId[]): void => {
    if (backplane.alone) return;
    for (const some of slices(jobs, LIMITS.lookJobs))
      backplane.publish({ kind: "reading", node: nodeId, jobs: some });
  };
  const isRead = (id: JobId): boolean => readers.some((reader) => reader.reads(id));

  for (const reader of readers)
    reader.onBegun((id) => {
      said.add(id);
      say([id]);
    });

  return {
    found(jobs) {
      const news: JobId[] = [];
      for (const job of jobs) {
        if (!isUnderWay(job)) said.delete(job.id);
        else if (!said.has(job.id) && isRead(job.id)) {
          said.add(job.id);
          news.push(job.id);
        }
      }
      say(news);
    },

    renew() {
      for (const id of said) if (!isRead(id)) said.delete(id);
      say([...said]);
    },
  };
}
