/** What was committed, counted as it is announced: jobs in and out, entries of logs. */
import { isTerminalStatus, type JobStatus } from "../protocol/jobs.ts";
import { counter, type Family } from "./exposition.ts";

/** As much of a store's change as is counted. */
export interface CommittedChange {
  readonly job: { readonly type: string; readonly status: JobStatus };
  /** Seq of the first of the events; 1: the job was accepted by this change. */
  readonly first: number;
  readonly events: readonly unknown[];
}

export interface JobCounters {
  /** One transaction's changes, in order. */
  committed(changes: readonly CommittedChange[]): void;
  families(): readonly Family[];
}

interface TypeCounts {
  accepted: number;
  readonly ended: Map<JobStatus, number>;
}

export function createJobCounters(): JobCounters {
  const types = new Map<string, TypeCounts>();
  let commits = 0;
  let events = 0;

  const countsOf = (type: string): TypeCounts => {
    let counts = types.get(type);
    if (counts === undefined) types.set(type, (counts = { accepted: 0, ended: new Map() }));
    return counts;
  };

  return {
    committed(changes) {
      commits += 1;
      for (const change of changes) {
        const { type, status } = change.job;
        events += change.events.length;
        if (change.first === 1) countsOf(type).accepted += 1;
        if (isTerminalStatus(status)) {
          const { ended } = countsOf(type);
          ended.set(status, (ended.get(status) ?? 0) + 1);
        }
      }
    },

    families: () => [
      {
        name: "holdline_jobs_accepted_total",
        help: "Jobs that were accepted and stored.",
        type: "counter",
        samples: [...types].map(([type, { accepted }]) => ({ labels: { type }, value: accepted })),
      },
      {
        name: "holdline_jobs_ended_total",
        help: "Jobs that reached their terminal event.",
        type: "counter",
        samples: [...types].flatMap(([type, { ended }]) =>
          [...ended].map(([status, value]) => ({ labels: { type, status }, value })),
        ),
      },
      counter("holdline_commits_total", "Transactions that changed jobs.", commits),
      counter("holdline_events_committed_total", "Entries added to the logs of jobs.", events),
    ],
  };
}
