/** Who in this process waits for news of one job: HTTP calls that follow a log or wait for its end. */
import type { JobId } from "../lib/ids.ts";
import type { Follower } from "./follower.ts";
import type { Change, JobSummary } from "./job.ts";

export interface Feed extends Follower {
  /** Called whenever the job's log has grown until the returned function is called. */
  subscribe(id: JobId, listener: (job: JobSummary) => void): () => void;
  committed(changes: readonly Change[]): void;
}

interface Entry {
  /** Newest seq that its listeners were told of. */
  head: number;
  readonly listeners: Set<(job: JobSummary) => void>;
}

export function createFeed(): Feed {
  const entries = new Map<JobId, Entry>();

  const tell = (job: JobSummary): void => {
    const entry = entries.get(job.id);
    if (entry === undefined || job.head <= entry.head) return;
    entry.head = job.head;
    for (const listener of entry.listeners) listener(job);
  };

  return {
    subscribe(id, listener) {
      const entry = entries.get(id) ?? { head: 0, listeners: new Set() };
      entry.listeners.add(listener);
      entries.set(id, entry);
      return () => {
        entry.listeners.delete(listener);
        if (entry.listeners.size === 0 && entries.get(id) === entry) entries.delete(id);
      };
    },
    committed(changes) {
      if (entries.size > 0) for (const { job } of changes) tell(job);
    },
    minds: ({ id, head }) => head > (entries.get(id)?.head ?? Number.POSITIVE_INFINITY),
    followed: () => entries.keys(),
    moved(jobs) {
      for (const job of jobs) tell(job);
    },
  };
}
