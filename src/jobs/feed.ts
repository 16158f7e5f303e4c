/** Who in this process waits for news of one job: HTTP calls that follow a log or wait for its end. */
import type { JobId } from "../lib/ids.ts";
import type { Change } from "./job.ts";

export interface Feed {
  /** Called with every committed change of the job until the returned function is called. */
  subscribe(id: JobId, listener: (change: Change) => void): () => void;
  committed(changes: readonly Change[]): void;
}

export function createFeed(): Feed {
  const listeners = new Map<JobId, Set<(change: Change) => void>>();
  return {
    subscribe(id, listener) {
      const set = listeners.get(id) ?? new Set();
      set.add(listener);
      listeners.set(id, set);
      return () => {
        set.delete(listener);
        if (set.size === 0 && listeners.get(id) === set) listeners.delete(id);
      };
    },
    committed(changes) {
      if (listeners.size === 0) return;
      for (const change of changes) {
        for (const listener of listeners.get(change.job.id) ?? []) listener(change);
      }
    },
  };
}
