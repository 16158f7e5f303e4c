/** The job types that an operator added in holdline.toml: what is known of each, and who does its work here. */
import type { z } from "zod";
import type { Json } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { createEndpointHandler, type Endpoint, type EndpointOptions } from "./endpoint/endpoint.ts";
import type { AnyHandler, JobType } from "./handler.ts";

/** One type of the configuration; null where the server's defaults count. */
export interface ConfiguredType {
  readonly type: string;
  readonly input: { readonly document: Json; readonly schema: z.ZodType };
  readonly output: JobType["output"];
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
  readonly firstOutputMs: number | null;
  readonly idleMs: number | null;
  readonly concurrency: number | null;
  readonly rollupMs: number | null;
  readonly webhook: string | null;
  readonly webhookAfterMs: number | null;
  /** null: remote workers do its work. */
  readonly http: Endpoint | null;
}

const LIMIT_NAMES = [
  "maxAttempts",
  "timeoutMs",
  "firstOutputMs",
  "idleMs",
  "concurrency",
  "rollupMs",
  "webhook",
  "webhookAfterMs",
] as const;

/** What submitting a job of this type needs to know, whoever serves it. */
export function jobTypeOf(configured: ConfiguredType): JobType {
  const { type, input, output, http } = configured;
  const limits = LIMIT_NAMES.flatMap((name) => {
    const value = configured[name];
    return value === null ? [] : [[name, value] as const];
  });
  // What waits for somebody else's server has to give up some time, or its slots fill with the dead.
  const preset =
    http === null ? {} : { firstOutputMs: LIMITS.upstreamFirstOutputMs, idleMs: LIMITS.upstreamIdleMs };
  return {
    type,
    input: input.schema,
    inputDocument: input.document,
    output,
    ...preset,
    ...Object.fromEntries(limits),
  };
}

/** The handlers of those types that an endpoint serves. */
export function createConfiguredHandlers(
  types: readonly ConfiguredType[],
  options: EndpointOptions,
): readonly AnyHandler[] {
  return types.flatMap((configured) =>
    configured.http === null ? [] : [createEndpointHandler(jobTypeOf(configured), configured.http, options)],
  );
}
