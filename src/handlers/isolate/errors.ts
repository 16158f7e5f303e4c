/** Errors across the line between a thread and the server: what is thrown there arrives here as the same kind. */
import { JobError } from "../handler.ts";
import type { ErrorFacts } from "./messages.ts";

export function factsOf(error: unknown): ErrorFacts {
  if (!(error instanceof Error)) return { message: String(error), stack: undefined };
  const { message, stack } = error;
  if (!(error instanceof JobError)) return { message, stack };
  const { code, retryable, retryAfterMs, origin } = error;
  return { message, stack, job: { code, retryable, retryAfterMs, origin } };
}

export function errorOf({ message, stack, job }: ErrorFacts): Error {
  if (job === undefined) {
    const error = new Error(message);
    if (stack !== undefined) error.stack = stack;
    return error;
  }
  const { code, retryable, retryAfterMs, origin } = job;
  return new JobError(code, message, {
    retryable,
    origin,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
