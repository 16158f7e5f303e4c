/** Reading the tables of holdline.toml that are no settings: known keys, their values, and the place of what is wrong. */
import type { z } from "zod";
import { valueProblems } from "./display.ts";
import { settingFacts, type SettingFacts } from "./kinds.ts";
import { fileKeyOf, nearestOf } from "./names.ts";
import type { Problem } from "./problem.ts";
import { lineOfPath } from "./toml.ts";

/** What the readers of tables read from, and where they say what is wrong. */
export interface TableContext {
  /** null without a file. */
  readonly file: { readonly name: string; readonly text: string } | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file an operator named, relative to the file; throws when it cannot be read. */
  readonly readText: (path: string) => string | null;
  readonly problems: Problem[];
}

/** The keys of one kind of table, each a schema with its facts. */
export type Fields = Readonly<Record<string, z.ZodType>>;

type Values<Known extends Fields> = { readonly [Key in keyof Known]: z.output<Known[Key]> };

/** One table with its values; what was wrong is among the problems already, and has its default here. */
export interface Table<Known extends Fields> {
  readonly values: Values<Known>;
  /** Whether the key stands in the table, with a good value or a bad one. */
  given(key: keyof Known & string): boolean;
  /** Adds a problem of the value under `key`, of the table itself without one. */
  refuse(
    problem: string,
    key?: string,
    advice?: { readonly allowed?: string; readonly nearest?: string },
  ): void;
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

export function factsOf(schema: z.ZodType): SettingFacts {
  const facts = settingFacts.get(schema);
  if (facts === undefined) throw new Error("a key of a table has no facts");
  return facts;
}

/** Adds a problem of what stands at `path` in the file. */
export function refuseAt(
  { file, problems }: TableContext,
  path: readonly string[],
  problem: string,
  { allowed, nearest }: { readonly allowed?: string; readonly nearest?: string } = {},
): void {
  const line = file === null ? null : lineOfPath(file.text, path);
  const place = `${file?.name ?? "the file"}${line === null ? "" : ` line ${line}`}`;
  const key = path.join(".");
  const source = { kind: "file", name: `${key} (${place})` } as const;
  problems.push({ key, source, problem, allowed: allowed ?? null, nearest: nearest ?? null });
}

/**
 * The table at `path`. Its keys may be spelled as in the rest of the file (`max_attempts`) or as on the wire
 * (`maxAttempts`). null when it is no table.
 */
export function readTable<Known extends Fields>(
  context: TableContext,
  path: readonly string[],
  value: unknown,
  fields: Known,
): Table<Known> | null {
  const heading = `[${path.join(".")}]`;
  if (!isTable(value)) {
    refuseAt(context, path, "is not a table", { allowed: heading });
    return null;
  }
  const known = new Map(Object.keys(fields).map((key) => [fileKeyOf(key), key]));
  const given = new Map<string, { readonly name: string; readonly value: unknown }>();
  for (const [name, one] of Object.entries(value)) {
    const key = known.get(fileKeyOf(name));
    const nearest = nearestOf(fileKeyOf(name), known.keys()) ?? "";
    if (key === undefined) refuseAt(context, [...path, name], `is not a key of ${heading}`, { nearest });
    else if (given.has(key)) refuseAt(context, [...path, name], "is given twice");
    else given.set(key, { name, value: one });
  }
  const refuse: Table<Known>["refuse"] = (problem, key, advice) =>
    refuseAt(
      context,
      key === undefined ? path : [...path, given.get(key)?.name ?? fileKeyOf(key)],
      problem,
      advice,
    );
  const values = Object.entries(fields).map(([key, schema]) => {
    const found = given.get(key);
    if (found === undefined) return [key, schema.parse(undefined)];
    const parsed = parseField(schema, found.value);
    if ("value" in parsed) return [key, parsed.value];
    for (const problem of parsed.problems) refuse(problem, key, { allowed: factsOf(schema).allowed });
    return [key, schema.parse(undefined)];
  });
  return { values: Object.fromEntries(values) as Values<Known>, given: (key) => given.has(key), refuse };
}

function parseField(
  schema: z.ZodType,
  written: unknown,
): { value: unknown } | { problems: readonly string[] } {
  const facts = factsOf(schema);
  const isWords = facts.kind === "list" && typeof written === "string";
  const value = isWords ? written.split(",").map((entry) => entry.trim()) : written;
  if (value === "") return { problems: ["is empty: give it a value or leave it out"] };
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  return { problems: valueProblems(facts, value, result.error.issues) };
}

const REFERENCE = /\$\{([^}]*)\}/g;

/** `${NAME}` replaced by that variable of the environment: how a secret comes into a table without standing in it. */
export function withReferences(
  text: string,
  env: TableContext["env"],
): { readonly text: string; readonly secrets: readonly string[] } | { readonly problem: string } {
  const secrets: string[] = [];
  for (const [, name = ""] of text.matchAll(REFERENCE)) {
    if (!/^[A-Za-z_]\w*$/.test(name)) return { problem: `holds \${${name}}, which names no variable` };
    if ((env[name] ?? "") === "") return { problem: `needs the variable ${name}, which is not set` };
    secrets.push(env[name] ?? "");
  }
  return { text: text.replaceAll(REFERENCE, (_, name: string) => env[name] ?? ""), secrets };
}
