/** Reads the words and flags after a command's name. Everything unknown is refused, with the nearest known name. */
import { nearestOf } from "../config/names.ts";
import { type Flag, type Invocation, UsageError } from "./command.ts";

export interface Arguments extends Invocation {
  readonly help: boolean;
}

/** Flags that every command has; they take no value. */
const SWITCHES = ["json", "help"] as const;

function unknownFlag(written: string, flags: readonly Flag[]): UsageError {
  const known = [...SWITCHES, ...flags.map(({ name }) => name)];
  return new UsageError(
    `${written} is not an option. Did you mean --${nearestOf(written.replace(/^-+/, ""), known)}?`,
  );
}

/** Name and value of `--name=value`; the value is null when none is attached. */
function split(argument: string): { name: string; attached: string | null } {
  const equals = argument.indexOf("=");
  if (equals === -1) return { name: argument.slice(2), attached: null };
  return { name: argument.slice(2, equals), attached: argument.slice(equals + 1) };
}

/** `--name value` and `--name=value`, `-h`, and `--` before words that look like flags. Throws a UsageError. */
export function parseArguments(argv: readonly string[], flags: readonly Flag[]): Arguments {
  const words: string[] = [];
  const values = new Map<string, string>();
  const switches = new Set<string>();
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] ?? "";
    if (argument === "--") {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (argument === "-h") switches.add("help");
    else if (!argument.startsWith("-") || argument === "-") words.push(argument);
    else if (!argument.startsWith("--")) throw unknownFlag(argument, flags);
    else {
      const { name, attached } = split(argument);
      const own = flags.find((flag) => flag.name === name);
      const isSwitch = SWITCHES.some((known) => known === name);
      if (!isSwitch && own === undefined) throw unknownFlag(`--${name}`, flags);
      if (isSwitch || own?.value === "") {
        if (attached !== null) throw new UsageError(`--${name} takes no value.`);
        if (isSwitch) switches.add(name);
        else values.set(name, "");
        continue;
      }
      const value = attached ?? argv[at + 1];
      if (value === undefined || (attached === null && value.startsWith("--"))) {
        throw new UsageError(`--${name} needs a value: --${name}=VALUE or --${name} VALUE.`);
      }
      if (attached === null) at += 1;
      if (values.has(name)) throw new UsageError(`--${name} is given twice.`);
      values.set(name, value);
    }
  }
  return { words, flags: Object.fromEntries(values), json: switches.has("json"), help: switches.has("help") };
}

export interface NumberBounds {
  readonly preset: number;
  readonly most: number;
}

/** The whole number from 1 on that a flag was given, its preset without one. Throws a UsageError. */
export function wholeNumber(flag: string, text: string | undefined, { preset, most }: NumberBounds): number {
  if (text === undefined) return preset;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) throw new UsageError(`--${flag} needs a whole number from 1 to ${most}.`);
  return value;
}
