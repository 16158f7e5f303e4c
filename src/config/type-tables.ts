/** `[types.NAME]` of holdline.toml: job types that an operator adds without code, and who serves them. */
import { z } from "zod";
import { readJsonSchema } from "../lib/json-schema.ts";
import type { Json } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { httpUrlProblem, typeProblem } from "./formats.ts";
import { readHttp, type HttpTypeSettings } from "./http-table.ts";
import { list, optionalInteger, optionalText, part } from "./kinds.ts";
import { nearestOf } from "./names.ts";
import { isTable, readTable, refuseAt, type Table, type TableContext } from "./tables.ts";

export const OUTPUTS = ["text", "audio", "data"] as const;
export type Output = (typeof OUTPUTS)[number];

/** One type of the operator's own. Limits are null where the server's defaults count. */
export interface TypeSettings {
  readonly type: string;
  /** What `input` must be; `document` is the JSON Schema as it was written. */
  readonly input: { readonly document: Json; readonly schema: z.ZodType };
  readonly output: readonly Output[];
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
  readonly firstOutputMs: number | null;
  readonly idleMs: number | null;
  readonly concurrency: number | null;
  readonly rollupMs: number | null;
  readonly webhook: string | null;
  readonly webhookAfterMs: number | null;
  /** The endpoint that does the work; null: remote workers do. */
  readonly http: HttpTypeSettings | null;
}

/** The types that are there without configuration. */
export const BUILTIN_TYPES: readonly string[] = ["chat", "speech", "voice", "tokens"];

const SCHEMA_ALLOWED = "a JSON Schema as a table, or the path of a file that holds one";

const outputProblem = (value: string): string | null => {
  if (OUTPUTS.some((known) => known === value)) return null;
  return `is none of them: did you mean ${nearestOf(value, OUTPUTS)}?`;
};

const duration = (description: string, defaultText: string) =>
  optionalInteger({ least: 1, most: LIMITS.timeoutMs, description, defaultText }, "ms");

const withEndpoint = (presetMs: number): string => `${presetMs} with an endpoint, else none`;

export const TYPE_FIELDS = {
  input: part({
    allowed: SCHEMA_ALLOWED,
    defaultText: "anything",
    description: "What `input` must be.",
  }),
  output: list({
    allowed: "some of text, audio, data",
    check: outputProblem,
    defaultText: "all of them",
    description: "What its users may expect.",
  }),
  maxAttempts: optionalInteger({
    least: 1,
    most: LIMITS.maxAttempts,
    defaultText: String(LIMITS.maxAttemptsDefault),
    description: "Runs that may end in an error.",
  }),
  timeoutMs: duration("Longest time of one run.", String(LIMITS.timeoutDefaultMs)),
  firstOutputMs: duration(
    "Longest time of a run to its first output, or to its end without one.",
    withEndpoint(LIMITS.upstreamFirstOutputMs),
  ),
  idleMs: duration("Longest silence of a run after its first output.", withEndpoint(LIMITS.upstreamIdleMs)),
  concurrency: optionalInteger({ least: 1, most: 100_000, description: "Runs at a time in one process." }),
  rollupMs: optionalInteger(
    {
      least: 0,
      most: LIMITS.rollupMs,
      defaultText: String(LIMITS.rollupDefaultMs),
      description: "How long text may gather before it is logged.",
    },
    "ms",
  ),
  webhook: optionalText({
    allowed: "a URL whose host is among the webhook hosts",
    check: httpUrlProblem,
    description: "Told of the end of every job that names no webhook of its own.",
  }),
  webhookAfterMs: optionalInteger(
    {
      least: 0,
      most: LIMITS.webhookAfterMs,
      defaultText: "0",
      description: "Told only if the end was not acknowledged within that time.",
    },
    "ms",
  ),
  http: part({
    allowed: "a table",
    defaultText: "remote workers serve it",
    description: "The endpoint that serves it.",
  }),
};

const ANYTHING = { document: {} as Json, schema: z.unknown() };

/** A type that is only named: anything goes in, anything may come out. */
export function namedType(type: string): TypeSettings {
  const limits = { maxAttempts: null, timeoutMs: null, firstOutputMs: null, idleMs: null, concurrency: null };
  const webhook = { webhook: null, webhookAfterMs: null };
  return { type, input: ANYTHING, output: OUTPUTS, ...limits, rollupMs: null, ...webhook, http: null };
}

/** The JSON Schema under `input`, which is one or names a file that holds one. */
function readInput(context: TableContext, table: Table<typeof TYPE_FIELDS>): TypeSettings["input"] {
  const written = table.values.input;
  if (written === undefined) return ANYTHING;
  let document: unknown = written;
  if (typeof written === "string") {
    try {
      const text = context.readText(written);
      if (text === null) throw new Error("it is not there");
      document = JSON.parse(text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      table.refuse(`names ${JSON.stringify(written)}, which cannot be read (${reason})`, "input", {
        allowed: SCHEMA_ALLOWED,
      });
      return ANYTHING;
    }
  } else if (!isTable(written)) {
    table.refuse("is no JSON Schema", "input", { allowed: SCHEMA_ALLOWED });
    return ANYTHING;
  }
  const result = readJsonSchema(document);
  if (result.ok) return { document: document as Json, schema: result.schema };
  for (const { pointer, problem } of result.faults)
    table.refuse(`cannot be held to: ${pointer === "" ? "it" : pointer} ${problem}`, "input");
  return ANYTHING;
}

function nameProblem(type: string): string | null {
  if (BUILTIN_TYPES.includes(type)) return "has the name of a built-in type: choose another one";
  return typeProblem(type);
}

/** The types of the table `types`, in the order of the file. Problems go into the context. */
export function readTypes(context: TableContext, written: unknown): readonly TypeSettings[] {
  if (written === undefined) return [];
  if (!isTable(written)) {
    refuseAt(context, ["types"], "is not a table", { allowed: "[types.NAME]" });
    return [];
  }
  return Object.entries(written).flatMap(([type, value]) => {
    const path = ["types", type];
    const problem = nameProblem(type);
    if (problem !== null) refuseAt(context, path, problem);
    const table = readTable(context, path, value, TYPE_FIELDS);
    if (table === null) return [];
    const { input: _input, http, output, ...limits } = table.values;
    const read = http === undefined ? null : readHttp(context, [...path, "http"], http);
    return [
      {
        type,
        ...limits,
        input: readInput(context, table),
        output: output.length === 0 ? OUTPUTS : (output as Output[]),
        http: read,
      },
    ];
  });
}
