/** From the words of a command line to an exit code: finds the command, reads its arguments, tells what went wrong. */
import { nearestOf } from "../config/names.ts";
import { isUnreadable, loadMistakes } from "../lib/load-mistakes.ts";
import { parseArguments } from "./arguments.ts";
import { type ExitCode, type Host, UsageError } from "./command.ts";
import { COMMANDS, findCommand } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";

/** What people type who do not know the commands yet. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["--help", "help"],
  ["-h", "help"],
  ["--version", "version"],
  ["-v", "version"],
]);

function unknownCommand(name: string): UsageError {
  const known = Object.keys(COMMANDS);
  if (name.startsWith("-")) {
    return new UsageError(`${name} stands before the command. Options follow it: holdline serve ${name}`);
  }
  return new UsageError(
    `There is no command ${name}. Did you mean ${nearestOf(name, known)}? Commands: ${known.join(", ")}.`,
  );
}

interface Failure {
  readonly code: "usage" | "configuration" | "failed";
  readonly message: string;
  readonly problems?: unknown;
}

/** Told apart by name, so that the configuration's code is loaded only by the commands that need it. */
function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: "failed", message: String(error) };
  if (error.name === "UsageError") return { code: "usage", message: error.message };
  // Met by whoever works on the program itself, under `npm run dev`.
  if (isUnreadable(error))
    return { code: "failed", message: loadMistakes(error, process.cwd(), "the program") };
  if (error.name !== "ConfigError") return { code: "failed", message: error.message };
  return {
    code: "configuration",
    message: error.message,
    problems: "problems" in error ? error.problems : [],
  };
}

function reportFailure(error: unknown, { json, host }: { json: boolean; host: Host }): ExitCode {
  const failure = failureOf(error);
  const help = failure.code === "usage" ? "\nholdline help lists the commands and their options." : "";
  host.err(json ? `${JSON.stringify({ error: failure })}\n` : `holdline: ${failure.message}${help}\n`);
  return failure.code === "failed" ? 1 : 2;
}

/** Runs one command line (without program and script). Never throws; the exit code says how it ended. */
export async function runCommand(argv: readonly string[], host: Host): Promise<ExitCode> {
  const [first, ...rest] = argv;
  // Known before the arguments are, so that a mistake among them is told in the form that was asked for.
  const json = rest.includes("--json");
  try {
    if (first === undefined) {
      host.err(overview());
      return 2;
    }
    const name = ALIASES.get(first) ?? first;
    const listed = findCommand(name);
    if (listed === null) throw unknownCommand(first);
    const command = await listed.load();
    const takesWords = command.takes !== undefined || command.words !== undefined;
    // `npm start` is serve: what stands behind it is often meant in its place, and its flags say nothing to serve.
    if (!takesWords && rest[0] !== undefined && findCommand(rest[0]) !== null) {
      throw new UsageError(`${rest[0]} is a command, and so is ${name}: holdline ${rest[0]} stands alone.`);
    }
    const { help, ...invocation } = parseArguments(rest, command.flags);
    if (help) {
      host.out(commandHelp(command));
      return 0;
    }
    const [word, ...more] = invocation.words;
    if (command.takes !== undefined && (word === undefined || more.length > 0)) {
      throw new UsageError(`${name} takes one ${command.takes}: holdline ${name} ${command.takes}`);
    }
    if (!takesWords && word !== undefined) {
      throw new UsageError(`${name} takes no argument, and ${word} is one. Options begin with --.`);
    }
    return await command.run(invocation, host);
  } catch (error) {
    return reportFailure(error, { json, host });
  }
}
