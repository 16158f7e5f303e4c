/** The options of a submit on their way into a job: what is not given comes from its type, or from the server. */
import type { JobSpec } from "../jobs/job.ts";
import type { SubmitOptions } from "../protocol/jobs.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { JobType } from "./handler.ts";

type Identity =
  | "id" | "userId" | "sessionId" | "type" | "traceparent" | "tracestate" | "correlationId" | "retryOf"; // prettier-ignore

/** The options as given, completed by the type's defaults and the server's. */
export function resolveOptions(options: SubmitOptions, type: JobType): Omit<JobSpec, Identity> {
  return {
    metadata: options.metadata ?? {},
    priority: options.priority ?? LIMITS.priorityDefault,
    lane: options.lane ?? null,
    runAt: options.runAt === undefined ? null : Date.parse(options.runAt),
    delayMs: options.delayMs ?? null,
    startWithinMs: options.startWithinMs ?? null,
    timeoutMs: options.timeoutMs ?? type.timeoutMs ?? LIMITS.timeoutDefaultMs,
    firstOutputMs: options.firstOutputMs ?? type.firstOutputMs ?? null,
    idleMs: options.idleMs ?? type.idleMs ?? null,
    maxAttempts: options.maxAttempts ?? type.maxAttempts ?? LIMITS.maxAttemptsDefault,
    retryAfterOutput: options.retryAfterOutput ?? true,
    cancelOnDisconnect: options.onDisconnect === "cancel",
    orphanMs: options.orphanMs ?? LIMITS.orphanDefaultMs,
    webhookUrl: options.webhook ?? type.webhook ?? null,
    // A job's own webhook does not wait for as long as its type's would.
    webhookAfterMs:
      options.webhookAfterMs ?? (options.webhook === undefined ? (type.webhookAfterMs ?? 0) : 0),
  };
}

/** A limit as the settings say it, where 0 is none. */
export const limitOf = (setting: number): number => (setting === 0 ? Number.POSITIVE_INFINITY : setting);
