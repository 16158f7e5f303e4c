/** `holdline config`: is the configuration right, what is it, and what could be set. */
import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import {
  ConfigError,
  describeConfig,
  displayedSetting,
  type LoadedConfig,
  loadConfig,
  processInputs,
  type Problem,
  settingsTable,
  tablesDocumentation,
} from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/logger.ts";
import { Mistakes } from "../lib/mistakes.ts";
import { type Command, type ExitCode, type Host, type Invocation, UsageError } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";
import { isPostgres } from "../postgres/connection.ts";

/** Why the server could not write into this folder (or make it); null when it can. */
async function unwritable(folder: string): Promise<string | null> {
  for (let place = folder; ; place = dirname(place)) {
    const facts = await stat(place).catch(() => null);
    if (facts === null && place !== dirname(place)) continue;
    if (facts === null || !facts.isDirectory()) return `${place} is not a folder`;
    const allowed = await access(place, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    return allowed ? null : `${place} cannot be written by this user`;
  }
}

async function folderProblem({ config, sources }: LoadedConfig): Promise<Problem | null> {
  const reason = await unwritable(config.dataDir);
  if (reason === null) return null;
  const source =
    sources.dataDir.kind === "default"
      ? { ...sources.dataDir, name: "HOLDLINE_DATA_DIR (default)" }
      : sources.dataDir;
  return { key: "dataDir", source, problem: `is of no use: ${reason}`, allowed: null, nearest: null };
}

function summaryOf({ config, sources, warnings }: LoadedConfig): string {
  const set = Object.values(sources).filter(({ kind }) => kind !== "default").length;
  return [
    `The configuration is good: ${set} of ${Object.keys(sources).length} settings are set.`,
    `Listens on ${config.host} port ${config.port}, keeps its ${isPostgres(config.databaseUrl) ? "keys" : "data"} in ${config.dataDir}.`,
    ...(isPostgres(config.databaseUrl) ? ["Jobs, logs and sessions are kept in PostgreSQL."] : []),
    ...(config.types.length === 0
      ? []
      : [`Types of its own: ${config.types.map(({ type }) => type).join(", ")}.`]),
    ...(config.openMode ? ["Open mode: whoever reaches the server may use it."] : []),
    ...warnings.map((warning) => `Warning: ${warning}`),
  ].join("\n");
}

/** What a start would find wrong with handler files and schedules. */
async function typeProblems({ config }: LoadedConfig): Promise<Problem[]> {
  const { rehearseTypes } = await import("../offered.ts");
  const clock = createSystemClock();
  try {
    await rehearseTypes({
      config,
      clock,
      logger: createLogger({ level: "silent", pretty: false }),
      handlers: [],
    });
    return [];
  } catch (error) {
    if (!(error instanceof Mistakes)) throw error;
    const source = { kind: "file", name: "The start" } as const;
    return error.problems.map((sentence) => {
      const problem = `would end on this: ${sentence}`;
      return { key: "types", source, problem, allowed: null, nearest: null };
    });
  }
}

async function check({ flags, json }: Invocation, host: Host): Promise<ExitCode> {
  let problems: readonly Problem[];
  let loaded: LoadedConfig | null = null;
  try {
    loaded = loadConfig(processInputs(flags));
    const problem = await folderProblem(loaded);
    problems = [...(problem === null ? [] : [problem]), ...(await typeProblems(loaded))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems = error.problems;
  }
  const ok = problems.length === 0;
  if (json) host.out(`${JSON.stringify({ ok, problems, warnings: loaded?.warnings ?? [] })}\n`);
  else if (!ok || loaded === null) throw new ConfigError(problems);
  else host.out(`${summaryOf(loaded)}\n`);
  return ok ? 0 : 2;
}

/** In the form of holdline.toml, so that what is printed can be the beginning of one. */
function print({ flags, json }: Invocation, host: Host): ExitCode {
  const { config, sources, tables } = loadConfig(processInputs(flags));
  const rows = describeConfig().map(({ key, fileKey, variable, group }) => {
    return { key, fileKey, variable, group, value: displayedSetting(key, config[key]), source: sources[key] };
  });
  if (json) {
    const entries = rows.map(({ key, value, source }) => [key, { value, source }] as const);
    const settings = Object.fromEntries(entries);
    const written = Object.fromEntries(tables.map((table) => [table.name, table.json]));
    host.out(`${JSON.stringify({ openMode: config.openMode, settings, tables: written })}\n`);
    return 0;
  }
  const lines: string[] = [];
  for (const [group, members] of Map.groupBy(rows, (row) => row.group)) {
    lines.push(`# ${group}`);
    for (const { fileKey, value, source } of members) {
      lines.push(
        value === null
          ? `# ${fileKey} is not set`
          : `${fileKey} = ${JSON.stringify(value)}  # ${source.name}`,
      );
    }
    lines.push("");
  }
  for (const { toml } of tables) lines.push(toml);
  host.out(lines.join("\n"));
  return 0;
}

function docs({ json }: Invocation, host: Host): ExitCode {
  const words = `${settingsTable()}\n\n${tablesDocumentation()}\n`;
  host.out(json ? `${JSON.stringify({ settings: describeConfig() })}\n` : words);
  return 0;
}

const WORDS: Readonly<Record<string, (invocation: Invocation, host: Host) => ExitCode | Promise<ExitCode>>> =
  {
    check,
    print,
    docs,
  };

export const config: Command = {
  usage: "config check | print | docs",
  about: `check   says whether the server would start with this configuration, and what is wrong with it;
        loads the handler files for that, and holds schedules against the types there are
print   shows every setting and where it comes from; secrets are shown as ***
docs    writes the table of all settings in Markdown`,
  words: Object.keys(WORDS),
  flags: settingsFlags(),
  run(invocation, host) {
    const [word, ...more] = invocation.words;
    const run = word !== undefined && Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (run === undefined || more.length > 0) {
      throw new UsageError("config needs one of check, print or docs: holdline config check");
    }
    return Promise.resolve(run(invocation, host));
  },
};
