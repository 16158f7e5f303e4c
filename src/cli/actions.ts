/** Commands that have sub-commands of their own: which one it is, what it takes, and which flags mean something to it. */
import { type Config, loadConfig, processInputs } from "../config.ts";
import { decodeCursor } from "../http/query.ts";
import { LIMITS } from "../protocol/limits.ts";
import { type Command, type Flag, type Host, UsageError } from "./command.ts";

export interface Given {
  /** The word that the action takes; empty for one that takes none. */
  readonly word: string;
  /** The flags of the command itself, by name. */
  readonly own: Readonly<Partial<Record<string, string>>>;
  readonly config: Config;
  readonly json: boolean;
}

export interface Action {
  /** What stands for its word in the usage (`ID`); null when it takes none, `[ID]` when it may. */
  readonly takes: string | null;
  /** Names of the command's own flags that it understands. */
  readonly flags: readonly string[];
  /** Throws when it cannot be done; what it returns from is done. */
  run(given: Given, host: Host): void | Promise<void>;
}

function wordOf(command: string, [name = "", word, ...more]: readonly string[], { takes }: Action): string {
  const needed = takes !== null && !takes.startsWith("[");
  if (more.length > 0 || (takes === null && word !== undefined) || (needed && word === undefined)) {
    const usage = ["holdline", command, name, ...(takes === null ? [] : [takes])].join(" ");
    throw new UsageError(
      `${command} ${name} takes ${takes === null ? "options only" : `one ${takes}`}: ${usage}`,
    );
  }
  return word ?? "";
}

/** The `run` of a command whose first word is one of these actions; `own`: its flags that are no settings. */
export function runAction(
  command: string,
  actions: Readonly<Record<string, Action>>,
  own: readonly Flag[],
): Command["run"] {
  return async ({ words, flags, json }, host) => {
    const [name] = words;
    const action = name !== undefined && Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (action === undefined) {
      const known = Object.keys(actions);
      throw new UsageError(`${command} needs one of ${known.join(", ")}: holdline ${command} ${known[0]}`);
    }
    const word = wordOf(command, words, action);
    const isOwn = (flag: string): boolean => own.some((one) => one.name === flag);
    const [mine, settings] = [new Map<string, string>(), new Map<string, string>()];
    for (const [flag, value] of Object.entries(flags)) (isOwn(flag) ? mine : settings).set(flag, value);
    for (const flag of mine.keys()) {
      if (action.flags.includes(flag)) continue;
      throw new UsageError(`--${flag} means nothing to ${command} ${name}.`);
    }
    const { config } = loadConfig(processInputs(Object.fromEntries(settings)));
    await action.run({ word, own: Object.fromEntries(mine), config, json }, host);
    return 0;
  };
}

/** The flags of an action that lists in pages. */
export const PAGE_FLAGS: readonly Flag[] = [
  { name: "limit", value: "NUMBER", description: `list: how many [${LIMITS.jobsPageDefault}]` },
  { name: "cursor", value: "CURSOR", description: "list: go on where an earlier list ended" },
];

/** What they ask for; `before` is an id. Throws a UsageError. */
export function readPage({ limit: written, cursor }: Given["own"]): { limit: number; before: string | null } {
  const most = LIMITS.jobsPage;
  const limit = written === undefined ? LIMITS.jobsPageDefault : Number(written);
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw new UsageError(`--limit needs a whole number from 1 to ${most}.`);
  }
  const before = cursor === undefined ? null : decodeCursor(cursor);
  if (cursor !== undefined && before === null) {
    throw new UsageError("--cursor needs what an earlier list ended with.");
  }
  return { limit, before };
}
