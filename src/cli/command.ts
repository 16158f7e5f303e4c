/** What a command is, what it is given, and how it ends: the contract between main.ts and the files of this folder. */

/** 0 done, 1 failed, 2 wrong usage or configuration. */
export type ExitCode = 0 | 1 | 2;

/** The process as a command may use it; main.ts has the real one. */
export interface Host {
  /** Writes text to stdout, as it is. */
  out(text: string): void;
  /** Writes text to stderr, as it is. */
  err(text: string): void;
  /** Whether a person reads stdout. */
  readonly isTerminal: boolean;
  /**
   * Resolves with the name of the first SIGTERM or SIGINT, which from now on do not end the process by themselves;
   * after the first one, the next ends it at once.
   */
  untilSignal(): Promise<string>;
  /** Called with each SIGTERM and SIGINT; none of them ends the process by itself any more. */
  onSignal(listener: (signal: string) => void): void;
  /** The line to the process that started this one as a part of itself; null: somebody else did. */
  parentLine(): ParentLine | null;
  /** Takes over what is said at the end, for a command with a log of its own. */
  onEnd(words: LastWords): void;
}

export interface ParentLine {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Resolves when the parent, or the line to it, is gone. */
  readonly gone: Promise<void>;
}

export interface LastWords {
  /** Tells of an error that nobody caught; the process ends with 1. */
  report(error: unknown): void;
  /** Resolves when everything is written. The process ends soon even if it never does: nobody may be reading. */
  flush(): Promise<void>;
}

export interface Invocation {
  /** Words that are not flags, without the command's name. */
  readonly words: readonly string[];
  /** Values by flag name, without dashes; `json` and `help` are not among them. */
  readonly flags: Readonly<Record<string, string>>;
  readonly json: boolean;
}

export interface Flag {
  /** Without dashes. */
  readonly name: string;
  /** What stands for its value in the help: `URL`. Empty: it takes none, and counts by being there. */
  readonly value: string;
  readonly description: string;
  /** Heading in the help; flags of the command itself have none. */
  readonly group?: string;
}

export interface Command {
  /** What follows `holdline`: `config check | print | docs`. */
  readonly usage: string;
  /** A few lines for `--help`, without indentation. */
  readonly about: string;
  /** The words it understands, when it has sub-commands. */
  readonly words?: readonly string[];
  /** What stands for the one word that it takes, when it has no sub-commands: `FILE`. */
  readonly takes?: string;
  /** Every flag, those without a value having an empty one. `--json` and `--help` go without saying. */
  readonly flags: readonly Flag[];
  /** Throws a UsageError or a ConfigError (exit 2), or anything else (exit 1). */
  run(invocation: Invocation, host: Host): Promise<ExitCode>;
}

/** The command line itself is wrong; the message says how it would be right. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
