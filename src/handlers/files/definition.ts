/** What a handler has to be, checked by hand: whoever wrote it is told in words what is missing, and where. */
import { z } from "zod";
import { Mistakes } from "../../lib/mistakes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { JOB_TYPE_NAME } from "../../protocol/jobs.ts";
import type { AnyHandler } from "../handler.ts";

/** Handlers that cannot be served; the message is a sentence for their author, or one for each. */
export class HandlerError extends Mistakes {
  override readonly name = "HandlerError";

  constructor(problem: string | readonly string[], options?: ErrorOptions) {
    super(typeof problem === "string" ? [problem] : problem, options);
  }
}

/** As a submit may ask for: a default beyond that would be one that nobody may name. */
function bounded(least: number, most: number): z.ZodType {
  const words = `must be a whole number from ${least} to ${most}`;
  return z.int(words).min(least, words).max(most, words).optional();
}

const FIELDS: Readonly<Record<string, z.ZodType>> = {
  type: z.string().regex(JOB_TYPE_NAME, "must be 1 to 64 letters, digits, _ . : or -"),
  input: z.custom<z.ZodType>(
    (value) => typeof value === "object" && value !== null && "safeParse" in value && "_zod" in value,
    "must be a schema made with z (version 4)",
  ),
  output: z.array(z.enum(["text", "audio", "data"])).optional(),
  maxAttempts: bounded(1, LIMITS.maxAttempts),
  timeoutMs: bounded(1, LIMITS.timeoutMs),
  firstOutputMs: bounded(1, LIMITS.timeoutMs),
  idleMs: bounded(1, LIMITS.timeoutMs),
  webhook: z.string().optional(),
  webhookAfterMs: bounded(0, LIMITS.webhookAfterMs),
  concurrency: z.int().min(1).optional(),
  rollupMs: bounded(0, LIMITS.rollupMs),
  isolate: z.boolean().optional(),
  check: z.custom((value) => value === undefined || typeof value === "function", "must be a function"),
  run: z.custom((value) => typeof value === "function", "must be a function"),
};

function problemOf(name: string, schema: z.ZodType, value: unknown): string | null {
  const parsed = schema.safeParse(value);
  if (parsed.success) return null;
  return value === undefined
    ? `${name} is missing`
    : `${name} ${parsed.error.issues[0]?.message ?? "is wrong"}`;
}

/** Returns the handler as it is. Throws a HandlerError; `place` says whose it is (`shout.ts`). */
export function checkHandler(value: unknown, place: string): AnyHandler {
  if (typeof value !== "object" || value === null) {
    throw new HandlerError(`${place} has no handler: export default defineHandler({ type, input, run })`);
  }
  const given = value as Readonly<Record<string, unknown>>;
  const problems = [
    ...Object.entries(FIELDS).flatMap(([name, schema]) => problemOf(name, schema, given[name]) ?? []),
    ...Object.keys(given)
      .filter((name) => !Object.hasOwn(FIELDS, name))
      .map((name) => `${name} is not a field of a handler`),
  ];
  if (problems.length > 0) throw new HandlerError(`${place}: ${problems.join(", ")}`);
  return value as AnyHandler;
}
