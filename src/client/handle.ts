/** What an application holds of a job: the contract of `submit` and `job`. */
import type { Json } from "../protocol/events.ts";
import type { JobStatus } from "../protocol/jobs.ts";
import type { JobEnd, JobEvent, JobListeners } from "./job-events.ts";

/** Iterating gives every event from that moment on and ends after the last; it throws when the job is lost or closed. */
export interface JobHandle extends AsyncIterable<JobEvent> {
  /** null until the server has accepted it. */
  readonly id: string | null;
  /** The id, once the server has stored the job; rejects with a `ClientError` when it refuses. */
  readonly accepted: Promise<string>;
  readonly status: JobStatus | "submitting";
  /** Number of the present run; 0 before the first. */
  readonly attempt: number;
  /** Last seq that was handed on. */
  readonly cursor: number;
  /** Text number 0 so far, which is all of it unless the handler writes several in parallel. */
  readonly text: string;
  readonly texts: ReadonlyMap<number, string>;
  readonly data: readonly (Json | Uint8Array)[];
  readonly progress: { readonly ratio?: number; readonly message?: string } | null;
  readonly ended: JobEnd | null;
  /** The job's result; rejects with a `ClientError` when it ends in any other way or cannot be followed further. */
  readonly result: Promise<Json>;
  /** Calls `listener` from now on, until the returned function is called. */
  on<Name extends keyof JobListeners>(name: Name, listener: (value: JobListeners[Name]) => void): () => void;
  /** Asks the server to stop the job, whose sound ends at once; resolves when it has taken note. The end comes as an event. */
  cancel(): Promise<void>;
  /** Stops following it; the job itself goes on. */
  close(): void;
}
