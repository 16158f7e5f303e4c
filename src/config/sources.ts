/** Reads the three places a setting may come from into one map: flags before environment before file. */
import { settingFacts, type SettingFacts } from "./kinds.ts";
import { asFileKey, fileKeyOf, flagOf, nearestOf, VARIABLE_PREFIX, variableOf } from "./names.ts";
import type { Problem, Source } from "./problem.ts";
import { SETTING_KEYS, type SettingKey, settingsSchema } from "./settings.ts";
import { lineOfKey, parseToml } from "./toml.ts";

/** What was given for one key. `value` has the type its schema expects, if the text could be read that way. */
export interface Given {
  readonly value: unknown;
  readonly source: Source;
}

/** The tables of the file that are no settings, as they were written. */
export const TABLE_NAMES = ["types", "rooms", "schedules"] as const;
export type TableName = (typeof TABLE_NAMES)[number];

export interface Reading {
  readonly given: ReadonlyMap<SettingKey, Given>;
  readonly tables: ReadonlyMap<TableName, unknown>;
  readonly problems: readonly Problem[];
}

/** Facts of a key; every schema of the tree has some, as a test makes sure. */
export function factsOfKey(key: SettingKey): SettingFacts {
  const facts = settingFacts.get(settingsSchema.shape[key]);
  if (facts === undefined) throw new Error(`the setting ${key} has no facts`);
  return facts;
}

const byName = (spell: (key: string) => string): ReadonlyMap<string, SettingKey> =>
  new Map(SETTING_KEYS.map((key) => [spell(key), key]));

const FLAGS = byName(flagOf);
const VARIABLES = byName(variableOf);
const FILE_KEYS = byName(fileKeyOf);

/** Text of a flag or a variable as its kind says; what cannot be read stays text and fails its schema. */
function fromText(kind: SettingFacts["kind"], text: string): unknown {
  if (kind === "integer" && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (kind === "list") return text.split(",").map((entry) => entry.trim());
  return text;
}

/** A name nobody knows; `spell` is how the place it stands in writes a key. */
function unknown(name: string, source: Source, spell: (key: string) => string): Problem {
  const tables = source.kind === "file" ? TABLE_NAMES : [];
  const fileKey = nearestOf(asFileKey(name), [...FILE_KEYS.keys(), ...tables]) ?? "";
  const key = FILE_KEYS.get(fileKey);
  const nearest = key === undefined ? `[${fileKey}.NAME]` : spell(key);
  return { key: name, source, problem: "is not a setting", allowed: null, nearest };
}

/** Kubernetes writes the addresses of services into every container: one named "holdline" collides with our prefix. */
const SERVICE_LINKS = /^HOLDLINE_(SERVICE_(HOST|PORT)|PORT_\d)/;

/** What workers are told by (examples/, `worker-conformance`): whoever set them in a shell can use our commands there too. */
const OF_WORKERS: ReadonlySet<string> = new Set([
  "HOLDLINE_URL",
  "HOLDLINE_WORKER_TOKEN",
  "HOLDLINE_WORKER_NAME",
  "HOLDLINE_WORKER_JOBS",
]);

function unknownVariable(name: string): Problem {
  const source: Source = { kind: "environment", name };
  if (!SERVICE_LINKS.test(name)) return unknown(name, source, variableOf);
  const problem = "comes from a Kubernetes service named holdline: set enableServiceLinks: false in its pod";
  return { key: name, source, problem, allowed: null, nearest: null };
}

export interface Places {
  /** By the flag's name without dashes (`data-dir`). */
  readonly flags: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name is what messages call it. */
  readonly file: { readonly name: string; readonly text: string } | null;
}

/** Everything that was given, the strongest place winning, and what could not be placed at all. */
export function readPlaces({ flags, env, file }: Places): Reading {
  const given = new Map<SettingKey, Given>();
  const tables = new Map<TableName, unknown>();
  const problems: Problem[] = [];
  // From the weakest place to the strongest, so that the later ones replace the earlier.
  if (file !== null) readFileText(file, { given, tables, problems });
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined) continue;
    const key = VARIABLES.get(name);
    const source: Source = { kind: "environment", name };
    if (key !== undefined) given.set(key, { value: fromText(factsOfKey(key).kind, text), source });
    else if (name.startsWith(VARIABLE_PREFIX) && !OF_WORKERS.has(name)) problems.push(unknownVariable(name));
  }
  for (const [name, text] of Object.entries(flags)) {
    const key = FLAGS.get(name);
    const source: Source = { kind: "flag", name: `--${name}` };
    if (key !== undefined) given.set(key, { value: fromText(factsOfKey(key).kind, text), source });
    else problems.push(unknown(name, source, (known) => `--${flagOf(known)}`));
  }
  return { given, tables, problems };
}

function readFileText(
  file: { readonly name: string; readonly text: string },
  into: { given: Map<SettingKey, Given>; tables: Map<TableName, unknown>; problems: Problem[] },
): void {
  const { given, tables, problems } = into;
  const parsed = parseToml(file.text);
  if (!parsed.ok) {
    const name = parsed.line === null ? file.name : `${file.name} line ${parsed.line}`;
    const problem = `is not valid TOML: ${parsed.problem}`;
    problems.push({ key: file.name, source: { kind: "file", name }, problem, allowed: null, nearest: null });
    return;
  }
  for (const [name, value] of Object.entries(parsed.table)) {
    const table = TABLE_NAMES.find((known) => known === name);
    if (table !== undefined) {
      tables.set(table, value);
      continue;
    }
    const key = FILE_KEYS.get(name);
    const line = lineOfKey(file.text, name);
    const place = line === null ? file.name : `${file.name} line ${line}`;
    const source: Source = { kind: "file", name: `${name} (${place})` };
    if (key === undefined) problems.push(unknown(name, source, fileKeyOf));
    // A list may be written as one text here too, the way the other places have it.
    else if (factsOfKey(key).kind === "list" && typeof value === "string")
      given.set(key, { value: fromText("list", value), source });
    else given.set(key, { value, source });
  }
}
