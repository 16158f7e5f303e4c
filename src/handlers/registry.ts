/** The job types this server knows, and what it tells of them. */
import { z } from "zod";
import { Mistakes } from "../lib/mistakes.ts";
import type { Json } from "../protocol/events.ts";
import type { TypeObject } from "../protocol/jobs.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { AnyHandler } from "./handler.ts";

export interface Registry {
  find(type: string): AnyHandler | null;
  list(): readonly AnyHandler[];
  /** As GET /v1/types shows them. */
  describe(): readonly TypeObject[];
  /**
   * Takes these in place of the handlers that came from files before. Throws Mistakes, and changes nothing, when one has
   * the name of another or an input that cannot be described.
   */
  replaceFiles(handlers: readonly AnyHandler[]): void;
}

function describe(handler: AnyHandler): TypeObject {
  const limits: Record<string, Json> = {
    maxAttempts: handler.maxAttempts ?? LIMITS.maxAttemptsDefault,
    timeoutMs: handler.timeoutMs ?? LIMITS.timeoutDefaultMs,
  };
  for (const name of ["firstOutputMs", "idleMs", "concurrency"] as const) {
    const value = handler[name];
    if (value !== undefined) limits[name] = value;
  }
  return {
    type: handler.type,
    input: handler.inputDocument ?? (z.toJSONSchema(handler.input, { io: "input" }) as Json),
    output: handler.output ?? ["text", "audio", "data"],
    limits,
  };
}

interface Known {
  readonly byType: ReadonlyMap<string, AnyHandler>;
  readonly list: readonly AnyHandler[];
  readonly described: readonly TypeObject[];
}

function know(handlers: readonly AnyHandler[]): Known {
  const byType = new Map<string, AnyHandler>();
  const described: TypeObject[] = [];
  const problems: string[] = [];
  for (const handler of handlers) {
    const { type } = handler;
    if (byType.has(type)) problems.push(`two handlers serve the type ${type}`);
    byType.set(type, handler);
    try {
      described.push(describe(handler));
    } catch (error) {
      problems.push(`the input of ${type} cannot be described: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new Mistakes(problems);
  return { byType, list: handlers, described };
}

/** Throws Mistakes when two handlers have one name, or an input cannot be described. */
export function createRegistry(fixed: readonly AnyHandler[]): Registry {
  let known = know(fixed);
  return {
    find: (type) => known.byType.get(type) ?? null,
    list: () => known.list,
    describe: () => known.described,
    replaceFiles(handlers) {
      known = know([...fixed, ...handlers]);
    },
  };
}
