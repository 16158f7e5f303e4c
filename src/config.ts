/** Where configuration begins and ends: flags, environment and holdline.toml go in, one plain checked object comes out. */
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import {
  findContradictions,
  findDoubts,
  findUnavailable,
  type Finding,
  isOpenMode,
} from "./config/checks.ts";
import { valueProblems } from "./config/display.ts";
import { type DisplayedTable, readFileTables } from "./config/file-tables.ts";
import { isRedisUrl, sqlitePathOf } from "./config/formats.ts";
import { variableOf } from "./config/names.ts";
import { ConfigError, type Problem, problemText, type Source } from "./config/problem.ts";
import { type SettingKey, type Settings, SETTING_KEYS, settingsSchema } from "./config/settings.ts";
import { factsOfKey, type Reading, readPlaces } from "./config/sources.ts";
import type { RoomSettings } from "./config/room-tables.ts";
import type { ScheduleSettings } from "./config/schedule-tables.ts";
import type { TypeSettings } from "./config/type-tables.ts";

export { ConfigError, type Problem, type Source } from "./config/problem.ts";
export { describeConfig, displayedSetting, type SettingRow, settingsTable } from "./config/describe.ts";
export { type DisplayedTable, tablesDocumentation } from "./config/file-tables.ts";
export type { SettingKey } from "./config/settings.ts";
export type { RoomSettings } from "./config/room-tables.ts";
export type { ScheduleSettings } from "./config/schedule-tables.ts";
export type { TypeSettings } from "./config/type-tables.ts";

/** The file that is read when no other is named, if it is there. */
export const CONFIG_FILE = "holdline.toml";

/**
 * The whole configuration. Durations are milliseconds, sizes are bytes, lists are arrays, null means "not set";
 * `dataDir`, `handlersDir` and the file in `databaseUrl` are absolute paths.
 */
export type Config = Readonly<
  Omit<Settings, "databaseUrl" | "tokens"> & {
    /** `sqlite:/absolute/file` or `sqlite::memory:`. */
    databaseUrl: string;
    /** Redis where sessions are kept; null: they are in the database. */
    sessionsRedisUrl: string | null;
    tokens: "on" | "off" | "chaos";
    /** No key of user tokens is configured: every new session gets an anonymous user. */
    openMode: boolean;
    /** The operator's own types: those of the file, and those that are only named as served by workers. */
    types: readonly TypeSettings[];
    /** Rooms that do more than hand messages on, by pattern. */
    rooms: readonly RoomSettings[];
    schedules: readonly ScheduleSettings[];
  }
>;

export interface ConfigInputs {
  /** By the flag's name without dashes (`data-dir`); `config` names the file. */
  readonly flags: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths begin here; those of the file in its own folder. */
  readonly cwd: string;
  /** Text of a file, or null when there is none; throws when it is there and cannot be read. */
  readonly readFile: (path: string) => string | null;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Where each value came from. */
  readonly sources: Readonly<Record<SettingKey, Source>>;
  /** The tables of the file that are no settings, as they may be shown. */
  readonly tables: readonly DisplayedTable[];
  /** Sentences about what was set and has no effect in this version. */
  readonly warnings: readonly string[];
}

const DEFAULT_SOURCE: Source = { kind: "default", name: "default" };

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** The inputs of this process; the only place that reads its environment. */
export function processInputs(flags: Readonly<Record<string, string>>): ConfigInputs {
  const readFile = (path: string): string | null => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  return { flags, env: process.env, cwd: process.cwd(), readFile };
}

/** This process's environment without anything that is a setting: for a server that is started beside, and told all by flags. */
export function environmentWithoutSettings(): Record<string, string> {
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || /^(?:HOLDLINE|OTEL)_/.test(name) ? [] : [[name, value] as const],
  );
  return Object.fromEntries(kept);
}

function fileProblem(name: string, problem: string, source: Source): Problem {
  return { key: name, source, problem, allowed: null, nearest: null };
}

/** The file's text, null without one, or the reason why the one that was asked for cannot be had. */
function readConfigFile(
  inputs: ConfigInputs,
): { name: string; folder: string; text: string } | Problem | null {
  const asked = inputs.flags["config"];
  const path = resolve(inputs.cwd, asked ?? CONFIG_FILE);
  const source: Source =
    asked === undefined ? { kind: "file", name: CONFIG_FILE } : { kind: "flag", name: "--config" };
  try {
    const text = inputs.readFile(path);
    if (text !== null) return { name: basename(path), folder: dirname(path), text };
    return asked === undefined ? null : fileProblem("config", `names ${path}, which is not there`, source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fileProblem("config", `cannot be read (${reason})`, source);
  }
}

/** One value through its schema: the value, or everything that is wrong with it. */
function parseSetting(key: SettingKey, { given }: Reading): { value: unknown } | { problems: Problem[] } {
  const found = given.get(key);
  if (found === undefined) return { value: settingsSchema.shape[key].parse(undefined) };
  const { value, source } = found;
  const facts = factsOfKey(key);
  const refuse = (...problems: string[]): { problems: Problem[] } => ({
    problems: problems.map((problem) => ({ key, source, problem, allowed: facts.allowed, nearest: null })),
  });
  // Compose files pass on variables that nobody set as empty ones. Taken for "not set", an empty secret would open the server.
  if (value === "" || (Array.isArray(value) && value.length === 1 && value[0] === "")) {
    return refuse("is empty: give it a value or leave it out");
  }
  const result = settingsSchema.shape[key].safeParse(value);
  if (result.success) return { value: result.data };
  return refuse(...valueProblems(facts, value, result.error.issues));
}

/** Where jobs are kept, with every path absolute. */
function databaseUrlOf(
  { databaseUrl }: Settings,
  { dataDir, absolute }: { dataDir: string; absolute: (path: string) => string },
): string {
  if (databaseUrl === null) return `sqlite:${join(dataDir, "holdline.db")}`;
  if (!databaseUrl.toLowerCase().startsWith("sqlite:")) return databaseUrl;
  const file = sqlitePathOf(databaseUrl);
  return `sqlite:${file === ":memory:" ? file : absolute(file)}`;
}

/** Redis where sessions are kept; null: they are in the database. */
function sessionsRedisUrlOf({ sessionsUrl, redisUrl }: Settings): string | null {
  if (sessionsUrl === null) return redisUrl;
  return isRedisUrl(sessionsUrl) ? sessionsUrl : null;
}

type Tables = Pick<Config, "types" | "rooms" | "schedules">;

/** `absolute`: a path that was written as the value of this key. */
function derive(
  settings: Settings,
  tables: Tables,
  absolute: (key: SettingKey, path: string) => string,
): Config {
  const openMode = isOpenMode(settings);
  const dataDir = absolute("dataDir", settings.dataDir);
  return {
    ...settings,
    dataDir,
    publicUrl: settings.publicUrl === null ? null : new URL(settings.publicUrl).origin,
    handlersDir: settings.handlersDir === null ? null : absolute("handlersDir", settings.handlersDir),
    databaseUrl: databaseUrlOf(settings, { dataDir, absolute: (path) => absolute("databaseUrl", path) }),
    sessionsRedisUrl: sessionsRedisUrlOf(settings),
    tokens: settings.tokens ?? (openMode ? "on" : "off"),
    openMode,
    types: tables.types,
    rooms: tables.rooms,
    schedules: tables.schedules,
  };
}

/**
 * The configuration from flags, environment and file, in this order of strength. Throws a ConfigError that lists
 * everything that is wrong: unknown names, bad values, contradictions, and what this version does not have yet.
 */
export function loadConfig(inputs: ConfigInputs): LoadedConfig {
  const { config: _, ...flags } = inputs.flags;
  const file = readConfigFile(inputs);
  const isProblem = file !== null && "problem" in file;
  const folder = file === null || isProblem ? inputs.cwd : file.folder;
  const reading = readPlaces({ flags, env: inputs.env, file: isProblem ? null : file });
  const problems = [...(isProblem ? [file] : []), ...reading.problems];

  const defaults = settingsSchema.parse({});
  const values: Partial<Record<SettingKey, unknown>> = {};
  const failed = new Set<SettingKey>();
  for (const key of SETTING_KEYS) {
    const result = parseSetting(key, reading);
    if ("value" in result) {
      values[key] = result.value;
    } else {
      problems.push(...result.problems);
      failed.add(key);
    }
  }
  const settings = { ...defaults, ...values } as Settings;

  const sourceOf = (key: SettingKey): Source => reading.given.get(key)?.source ?? DEFAULT_SOURCE;
  const problemOf = ({ key, problem, allowed }: Finding): Problem => {
    const source = sourceOf(key);
    // A default has no name of its own that the reader could look for.
    const named = source.kind === "default" ? { ...source, name: variableOf(key) } : source;
    return { key, source: named, problem, allowed, nearest: null };
  };
  const { refused, warned } = findUnavailable(settings, defaults);
  problems.push(...[...refused, ...findContradictions(settings, failed)].map(problemOf));
  const tables = readFileTables(reading.tables, {
    file: isProblem ? null : file,
    env: inputs.env,
    readText: (path) => inputs.readFile(resolve(folder, path)),
    workerTypes: settings.workerTypes,
  });
  problems.push(...tables.problems);
  if (problems.length > 0) throw new ConfigError(problems);

  const sources = Object.fromEntries(SETTING_KEYS.map((key) => [key, sourceOf(key)]));
  return {
    config: derive(settings, tables, (key, path) =>
      resolve(sourceOf(key).kind === "file" ? folder : inputs.cwd, path),
    ),
    sources: sources as Record<SettingKey, Source>,
    tables: tables.displayed,
    warnings: [...warned, ...findDoubts(settings)].map((finding) => problemText(problemOf(finding))),
  };
}
