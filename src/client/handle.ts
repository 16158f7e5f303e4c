/** A job as the application sees it: what `submit` and `job` return. */
import type { Json } from "../protocol/events.ts";
import type { JobStatus } from "../protocol/jobs.ts";
import type { JobEnd, JobEvent, JobListeners } from "./job-events.ts";

/** Iterating yields every event from that moment on and ends after the last; it throws if the job is lost or closed. */
export interface JobHandle extends AsyncIterable<JobEvent> {
  /** null until the server has accepted it. */
  readonly id: string | null;
  /** The id, once the server has stored the job; rejects with a `ClientError` when it refuses. */
  readonly accepted: Promise<string>;
  readonly status: JobStatus | "submitting";
  /** Number of the current run; 0 before the first. */
  readonly attempt: number;
  /** The last seq that was delivered to the application. */
  readonly cursor: number;
  /** Text output number 0 so far. That is all the text, unless the handler writes several outputs in parallel. */
  readonly text: string;
  readonly texts: ReadonlyMap<number, string>;
  readonly data: readonly (Json | Uint8Array)[];
  readonly progress: { readonly ratio?: number; readonly message?: string } | null;
  readonly ended: JobEnd | null;
  /** The job's result. Rejects with a `ClientError` if the job ends in any other way or can no longer be followed. */
  readonly result: Promise<Json>;
  /** Calls `listener` from now on, until the returned function is called. */
  on<Name extends keyof JobListeners>(name: Name, listener: (value: JobListeners[Name]) => void): () => void;
  /** Asks the server to cancel the job; its sound stops at once. Resolves when the server has noted it; the end is an event. */
  cancel(): Promise<void>;
  /** Stops following the job, which itself goes on. */
  close(): void;
}
