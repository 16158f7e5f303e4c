/** What was committed, counted as it is announced: jobs in and out, entries of logs, and how many jobs wait. */
import { isTerminalStatus, type JobStatus } from "../protocol/jobs.ts";
import { counter, gauge, type Family } from "./exposition.ts";

/** As much of a store's change as is counted. */
export interface CommittedChange {
  readonly job: { readonly id: string; readonly type: string; readonly status: JobStatus };
  /** Seq of the first of the events; 1: the job was accepted by this change. */
  readonly first: number;
  readonly events: readonly { readonly kind: string; readonly data: string | Uint8Array }[];
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

/** The place in the queue that the first entry of a job tells: those that waited, with itself. */
function queueLength(change: CommittedChange): number {
  const data = change.events[0]?.data;
  return typeof data === "string" ? (JSON.parse(data) as { position: number }).position : 0;
}

/**
 * Who waits. Jobs that waited before this process began are unknown by name; how many they are is told by the store
 * with every job it accepts, so the count is right from the first accepted job on.
 */
function createWaiting() {
  const known = new Set<string>();
  let unknown = 0;
  return {
    moved(change: CommittedChange): void {
      const { id, status } = change.job;
      if (status === "queued" || status === "retrying") known.add(id);
      else if (!known.delete(id) && unknown > 0 && change.events[0]?.kind === "job.started") unknown -= 1;
      if (change.first === 1) unknown = Math.max(queueLength(change) - known.size, 0);
    },
    count: () => known.size + unknown,
  };
}

export function createJobCounters(): JobCounters {
  const types = new Map<string, TypeCounts>();
  const waiting = createWaiting();
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
        waiting.moved(change);
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
      gauge("holdline_jobs_waiting", "Jobs that are queued or wait for another run.", waiting.count()),
      counter("holdline_commits_total", "Transactions that changed jobs.", commits),
      counter("holdline_events_committed_total", "Entries added to the logs of jobs.", events),
    ],
  };
}
