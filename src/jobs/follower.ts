/** Who on this node waits for news of jobs that other nodes move on: sockets, HTTP calls, runs, leases. */
import type { JobId } from "../lib/ids.ts";
import type { JobHead, JobSummary } from "./job.ts";

/** Grows with every question to the store, and with whatever else answers have to be told from. */
export type Asked = number;

export interface Follower {
  /** Whether the job matters here, as another node tells of it. What is told is a hint: it only decides what is read. */
  minds(hint: JobSummary): boolean;
  /** Jobs that it waits for. */
  followed(): Iterable<JobId>;
  /**
   * How jobs stand in the store, or stood a moment ago: some are no news, and what this process committed meanwhile may
   * be ahead of them. `asked`: when the store was asked.
   */
  moved(jobs: readonly JobHead[], asked: Asked): void;
}

/** One that reads logs as they grow. The others only wait for what becomes of a job, which every node is told. */
export interface Reader extends Follower {
  /** Whether it reads the log of this job. */
  reads(id: JobId): boolean;
  /** Calls `listener` when it begins to read a log that may be growing already. */
  onBegun(listener: (id: JobId) => void): void;
}
