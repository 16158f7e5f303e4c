/**
 * The few kinds of settings there are. A kind pairs a zod schema with the facts that people need about it: both come
 * from the same arguments, so that what is checked and what is documented cannot drift apart.
 */
import { z } from "zod";

export interface SettingFacts {
  /** How text from a flag or a variable is read before the schema sees it. */
  readonly kind: "text" | "integer" | "list" | "flag" | "table";
  readonly description: string;
  /** What is allowed, in words. */
  readonly allowed: string;
  readonly unit: "ms" | "bytes" | null;
  /** The value without one given, in words, where the schema's own default does not say it. */
  readonly defaultText: string | null;
  /** true: the value is never shown, not even in the message that refuses it. */
  readonly secret: boolean;
}

/** The facts of each schema of the tree. */
export const settingFacts = z.registry<SettingFacts>();

interface Described {
  readonly description: string;
  readonly defaultText?: string;
  readonly secret?: boolean;
}

function factsOf(
  { description, defaultText, secret }: Described,
  rest: Pick<SettingFacts, "kind" | "allowed" | "unit">,
): SettingFacts {
  return { description, defaultText: defaultText ?? null, secret: secret ?? false, ...rest };
}

interface Range extends Described {
  readonly least: number;
  readonly most: number;
  readonly preset: number;
}

type Unit = SettingFacts["unit"];

function allowedIn({ least, most }: Pick<Range, "least" | "most">, unit: Unit): string {
  const words = unit === null ? "" : unit === "ms" ? ", in milliseconds" : ", in bytes";
  return `a whole number from ${least} to ${most}${words}`;
}

function ranged(range: Range, unit: Unit): z.ZodDefault<z.ZodInt> {
  const facts = factsOf(range, { kind: "integer", allowed: allowedIn(range, unit), unit });
  return z.int().min(range.least).max(range.most).default(range.preset).register(settingFacts, facts);
}

/** A whole number that may be missing (null). */
export function optionalInteger(
  range: Omit<Range, "preset">,
  unit: Unit = null,
): z.ZodDefault<z.ZodNullable<z.ZodInt>> {
  const facts = factsOf(range, { kind: "integer", allowed: allowedIn(range, unit), unit });
  const schema = z.int().min(range.least).max(range.most);
  return schema.nullable().default(null).register(settingFacts, facts);
}

/** Yes or no. */
export function flag(facts: Described & { readonly preset: boolean }): z.ZodDefault<z.ZodBoolean> {
  const rest = { kind: "flag", allowed: "true or false", unit: null } as const;
  return z.boolean().default(facts.preset).register(settingFacts, factsOf(facts, rest));
}

/** A table inside a table, or what else is read by code of its own; undefined when it is missing. */
export function part(facts: Described & { readonly allowed: string }): z.ZodOptional<z.ZodUnknown> {
  const rest = { kind: "table", allowed: facts.allowed, unit: null } as const;
  return z.unknown().optional().register(settingFacts, factsOf(facts, rest));
}

/** A whole number of things. */
export function integer(range: Range): z.ZodDefault<z.ZodInt> {
  return ranged(range, null);
}

/** Longest delay a timer can count (31 bits of milliseconds, 24 days). */
export const TIMER_MOST_MS = 2 ** 31 - 1;

/** Milliseconds; most of them are handed to a timer, which sets the upper end. */
export function duration(range: Omit<Range, "most"> & { readonly most?: number }): z.ZodDefault<z.ZodInt> {
  return ranged({ most: TIMER_MOST_MS, ...range }, "ms");
}

export function size(range: Range): z.ZodDefault<z.ZodInt> {
  return ranged(range, "bytes");
}

/** A check of one text: what is wrong with it, or null. */
export type TextCheck = (value: string) => string | null;

function checkedText(check: TextCheck | undefined): z.ZodString {
  const schema = z.string().min(1);
  if (check === undefined) return schema;
  return schema.superRefine((value, context) => {
    const problem = check(value);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  });
}

interface Text extends Described {
  /** What is allowed, in words. */
  readonly allowed: string;
  readonly check?: TextCheck;
}

/** One text that always has a value. */
export function text(facts: Text & { readonly preset: string }): z.ZodDefault<z.ZodString> {
  return checkedText(facts.check)
    .default(facts.preset)
    .register(settingFacts, factsOf(facts, { kind: "text", allowed: facts.allowed, unit: null }));
}

/** One text that may be missing (null). */
export function optionalText(facts: Text): z.ZodDefault<z.ZodNullable<z.ZodString>> {
  return checkedText(facts.check)
    .nullable()
    .default(null)
    .register(settingFacts, factsOf(facts, { kind: "text", allowed: facts.allowed, unit: null }));
}

const oneOf = (names: readonly string[]): string =>
  names.length === 1 ? `${names[0]}` : `one of ${names.join(", ")}`;

/** One of a few names. */
export function choice<const Names extends readonly string[]>(
  names: Names,
  facts: Described & { readonly preset: Names[number] },
): z.ZodDefault<z.ZodType<Names[number], Names[number]>> {
  const schema: z.ZodType<Names[number], Names[number]> = z.enum(names);
  return schema
    .default(facts.preset as z.core.util.NoUndefined<Names[number]>)
    .register(settingFacts, factsOf(facts, { kind: "text", allowed: oneOf(names), unit: null }));
}

/** One of a few names, or none (null). */
export function optionalChoice<const Names extends readonly string[]>(
  names: Names,
  facts: Described,
): z.ZodDefault<z.ZodNullable<z.ZodType<Names[number], Names[number]>>> {
  const schema: z.ZodType<Names[number], Names[number]> = z.enum(names);
  return schema
    .nullable()
    .default(null)
    .register(settingFacts, factsOf(facts, { kind: "text", allowed: oneOf(names), unit: null }));
}

/** Most entries of one list: more is a mistake, and each is compared on every request. */
const LIST_MOST = 256;

interface List extends Described {
  /** What one entry may be, in the plural. */
  readonly allowed: string;
  readonly check: TextCheck;
}

const listSchema = ({ check }: List): z.ZodArray<z.ZodString> => z.array(checkedText(check)).max(LIST_MOST);

const listFacts = (facts: List): SettingFacts =>
  factsOf(facts, { kind: "list", allowed: `${facts.allowed}, separated by commas`, unit: null });

/** Several texts, none by default. */
export function list(facts: List): z.ZodDefault<z.ZodArray<z.ZodString>> {
  return listSchema(facts).default([]).register(settingFacts, listFacts(facts));
}

/** Several texts, where "not set" (null) means something else than "none". */
export function optionalList(facts: List): z.ZodDefault<z.ZodNullable<z.ZodArray<z.ZodString>>> {
  return listSchema(facts).nullable().default(null).register(settingFacts, listFacts(facts));
}
