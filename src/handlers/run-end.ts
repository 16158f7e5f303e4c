/** How a run ends: what its handler returned or threw, as the store takes it. A handler may throw anything. */
import { tooMuchOutput } from "../jobs/run-errors.ts";
import type { RunEnd } from "../jobs/transitions.ts";
import type { ErrorOrigin } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { failBodySchema } from "../protocol/workers.ts";
import { JobError } from "./handler.ts";
import { jsonText } from "./output-check.ts";

/** Why a run was told to stop. `error` set: the run ends with that error; else whoever stopped it decides how it ends. */
export class RunStopped extends Error {
  override readonly name = "RunStopped";
  readonly error: { readonly code: string; readonly message: string; readonly origin: ErrorOrigin } | null;
  readonly released: boolean;
  constructor(why: string, end: { error?: RunStopped["error"]; released?: boolean } = {}) {
    super(why);
    this.error = end.error ?? null;
    this.released = end.released ?? false;
  }
}

/** JSON text of what a handler returned. Throws when it is too large or no JSON. */
export function resultText(value: unknown, eventBytes: number): string {
  const text = jsonText(value ?? null, "The result", eventBytes);
  if (text instanceof JobError) throw text;
  return text;
}

/**
 * The facts of a JobError within the bounds that remote workers are held to (PROTOCOL section 6). A handler computes
 * them: a `Retry-After` that is no number would put the next run off for ever.
 */
function boundedFacts({ code, message, retryable, origin, retryAfterMs }: JobError) {
  const { shape } = failBodySchema;
  const waitMs = shape.retryAfterMs.safeParse(
    Math.ceil(Math.min(retryAfterMs ?? Number.NaN, LIMITS.timeoutMs)),
  );
  return {
    error: {
      code: shape.code.safeParse(code).success ? code : "handler_error",
      message: message.slice(0, LIMITS.jobErrorMessageChars).toWellFormed(),
      retryable,
      origin,
    },
    ...(waitMs.data === undefined ? {} : { retryAfterMs: waitMs.data }),
  };
}

/** The end of a run that was stopped, or whose handler threw. `random` in [0, 1) jitters the wait for the next one. */
export function endOf(error: unknown, random: number): RunEnd {
  if (error instanceof RunStopped) {
    if (error.error === null) return { kind: "released" };
    return {
      kind: "error",
      error: { ...error.error, retryable: error.error.origin === "timeout" },
      random,
    };
  }
  if (error instanceof JobError) return { kind: "error", ...boundedFacts(error), random };
  const message = "The handler failed; its operator can find the reason in the log.";
  return {
    kind: "error",
    error: { code: "handler_error", message, retryable: true, origin: "handler" },
    random,
  };
}

/** Why a run is stopped whose log takes nothing more. */
export function refusedWrite(
  why: "lease_lost" | "output_too_large" | "too_hasty",
  jobBytes: number,
): RunStopped {
  if (why === "lease_lost") return new RunStopped(why);
  if (why === "output_too_large") return new RunStopped(why, { error: tooMuchOutput(jobBytes) });
  const message = `The handler did not wait for its writes: ${LIMITS.unwrittenBytes} bytes were waiting.`;
  return new RunStopped(why, { error: { code: "handler_error", message, origin: "handler" } });
}
