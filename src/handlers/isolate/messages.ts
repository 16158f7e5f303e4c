/** What a handler's thread and the server say to each other about one run. */
import type { ErrorOrigin } from "../../protocol/events.ts";
import type { LogFields } from "../../lib/logger.ts";
import type { Sources } from "../files/module.ts";
import type { RunLog, RunningJob } from "../handler.ts";

/** The fields of a job that are data; the calls are made by message. */
export type JobFacts = Pick<
  RunningJob,
  | "id"
  | "type"
  | "attempt"
  | "userId"
  | "sessionId"
  | "metadata"
  | "traceparent"
  | "idleMs"
  | "lastCheckpoint"
>;

/** Calls that the thread hands on and waits for. */
export const CALLS = ["text", "audioFormat", "audio", "data", "progress", "checkpoint", "previous"] as const;
export type Call = (typeof CALLS)[number];

/** The module to load, and which of its handlers. */
export interface HandlerPlace {
  /** Absolute path of the file. */
  readonly file: string;
  /** The handlers folder it lies in. */
  readonly folder: string;
  /** Among the handlers that the file exports. */
  readonly index: number;
  /** The folder's files as they were loaded: what is saved meanwhile may not be whole yet, or wrong. */
  readonly sources: Sources;
}

/** An error on its way to the other side; `job` is set for a JobError. */
export interface ErrorFacts {
  readonly message: string;
  readonly stack: string | undefined;
  readonly job?: {
    readonly code: string;
    readonly retryable: boolean;
    readonly retryAfterMs: number | undefined;
    readonly origin: ErrorOrigin;
  };
}

export type ToThread =
  | {
      readonly kind: "start";
      readonly place: HandlerPlace;
      readonly facts: JobFacts;
      readonly input: unknown;
    }
  | { readonly kind: "answer"; readonly to: number; readonly value: unknown }
  | { readonly kind: "refusal"; readonly to: number; readonly error: ErrorFacts }
  /** A line was written, or a stray error: another one may follow. */
  | { readonly kind: "heard" }
  | { readonly kind: "abort"; readonly error: ErrorFacts };

export type FromThread =
  | {
      readonly kind: "call";
      readonly number: number;
      readonly name: Call;
      readonly parameters: readonly unknown[];
    }
  | {
      readonly kind: "log";
      readonly level: keyof RunLog;
      readonly fields: LogFields;
      readonly message: string;
    }
  /** An error that nobody awaited. */
  | { readonly kind: "stray"; readonly error: ErrorFacts }
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: ErrorFacts };
