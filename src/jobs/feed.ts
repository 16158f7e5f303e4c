/** Who in this process waits for news of one job: HTTP calls that follow a log or wait for its end. */
import type { JobId } from "../lib/ids.ts";
import type { Reader } from "./follower.ts";
import type { Change, JobSummary } from "./job.ts";

/** What a subscriber must hear of without delay: every entry, or only what becomes of the job. */
export type Wanted = "entries" | "transitions";

export interface Feed extends Reader {
  /**
   * Called when the job's log has grown until the returned function is called. Whoever wants transitions only may hear
   * of entries as well.
   */
  subscribe(id: JobId, wanted: Wanted, listener: (job: JobSummary) => void): () => void;
  committed(changes: readonly Change[]): void;
}

interface Entry {
  /** Newest seq that its listeners were told of. */
  head: number;
  readonly listeners: Set<(job: JobSummary) => void>;
  /** Listeners that want every entry. */
  readers: number;
}

export function createFeed(): Feed {
  const entries = new Map<JobId, Entry>();
  const onBegun: ((id: JobId) => void)[] = [];

  const tell = (job: JobSummary): void => {
    const entry = entries.get(job.id);
    if (entry === undefined || job.head <= entry.head) return;
    entry.head = job.head;
    for (const listener of entry.listeners) listener(job);
  };

  return {
    subscribe(id, wanted, listener) {
      const entry = entries.get(id) ?? { head: 0, listeners: new Set(), readers: 0 };
      entry.listeners.add(listener);
      entries.set(id, entry);
      if (wanted === "entries") {
        entry.readers += 1;
        for (const begun of onBegun) begun(id);
      }
      return () => {
        if (!entry.listeners.delete(listener)) return;
        if (wanted === "entries") entry.readers -= 1;
        if (entry.listeners.size === 0 && entries.get(id) === entry) entries.delete(id);
      };
    },
    committed(changes) {
      if (entries.size > 0) for (const { job } of changes) tell(job);
    },
    minds: ({ id, head }) => head > (entries.get(id)?.head ?? Number.POSITIVE_INFINITY),
    followed: () => entries.keys(),
    reads: (id) => (entries.get(id)?.readers ?? 0) > 0,
    onBegun: (listener) => void onBegun.push(listener),
    moved(jobs) {
      for (const job of jobs) tell(job);
    },
  };
}
