/** The program: a command line in, an exit code out. The only file with signal handlers and process.exit. */
import { writeSync } from "node:fs";
import type { ExitCode, Host, LastWords, ParentLine } from "./cli/command.ts";
import { runCommand } from "./cli/run.ts";
import { createSystemClock, sleep } from "./lib/clock.ts";

/** How long the last lines may take to reach a stdout or log that nobody reads. */
const LAST_WORDS_MS = 500;

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

interface Output {
  readonly write: (text: string) => void;
  /** Resolves when everything written so far is out. */
  readonly flush: () => Promise<void>;
}

/** Writes in order and can be waited for; a reader that went away (`| head`) is not an error. */
function createOutput(stream: NodeJS.WriteStream): Output {
  let written: Promise<void> = Promise.resolve();
  stream.on("error", () => undefined);
  return {
    write(text) {
      const done = Promise.withResolvers<void>();
      stream.write(text, () => done.resolve());
      written = done.promise;
    },
    flush: () => written,
  };
}

/** Whether it is this program that ends the process. */
let leaving = false;
/** Whether somebody asked this process to end. */
let asked = false;

/** A handler that ends the process takes everybody's runs along; without a word nobody would find out which one it was. */
function tellForeignExit(code: number): void {
  if (leaving) return;
  // Whatever it said, a supervisor has to see a failure.
  process.exitCode = 1;
  const { stack = "" } = new Error("exit");
  const from = stack.split("\n").slice(2).join("\n");
  const words = `holdline: code of a handler called process.exit(${code}), which ends the server; it should throw instead. What ran here is found again at the next start.\n${from}\n`;
  // Nothing that waits is done any more.
  writeSync(process.stderr.fd, words);
}

function untilSignal(): Promise<string> {
  const first = Promise.withResolvers<string>();
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      // What has ended already only waits for its files to change, or for its last words to be read.
      if (leaving) process.exit();
      // Whoever asks twice does not want to wait: what is running now is found again at the next start.
      if (asked) {
        leaving = true;
        process.exit(1);
      }
      asked = true;
      first.resolve(signal);
    });
  }
  return first.promise;
}

/** The line is the runtime's own between a process and a child that it started with one. */
function parentLine(): ParentLine | null {
  if (process.send === undefined) return null;
  const gone = Promise.withResolvers<void>();
  process.once("disconnect", () => gone.resolve());
  return {
    // A parent that is gone hears nothing; that it is gone is told by `gone`.
    send: (message) => void (process.connected && process.send?.(message)),
    onMessage: (listener) => void process.on("message", listener),
    gone: gone.promise,
  };
}

async function main(): Promise<void> {
  const clock = createSystemClock();
  const stdout = createOutput(process.stdout);
  const stderr = createOutput(process.stderr);
  let lastWords: LastWords = {
    report: (error) => stderr.write(`holdline: ${error instanceof Error ? error.stack : String(error)}\n`),
    flush: () => Promise.resolve(),
  };
  const finish = async (code: ExitCode): Promise<void> => {
    // The wait keeps nothing alive, so the runtime may find nothing left to do before it is over.
    leaving = true;
    process.exitCode = code;
    const written = Promise.allSettled([lastWords.flush(), stdout.flush(), stderr.flush()]);
    await Promise.race([written, sleep(clock, LAST_WORDS_MS)]);
    // `bun --watch` starts anew when the file with the mistake is saved again, unless the process is gone by then.
    if (code === 0 || asked || !process.execArgv.includes("--watch")) process.exit(code);
  };
  // What this process writes (database, keys) is its user's alone, whatever the folder above allows.
  process.umask(0o077);

  // An error nobody caught leaves the process in a state nobody knows. It ends, and the next start recovers.
  const crash = (error: unknown): void => {
    lastWords.report(error);
    void finish(1);
  };
  process.on("exit", tellForeignExit);
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);

  const host: Host = {
    out: stdout.write,
    err: stderr.write,
    isTerminal: process.stdout.isTTY,
    untilSignal,
    onSignal(listener) {
      for (const signal of STOP_SIGNALS) process.on(signal, () => listener(signal));
    },
    parentLine,
    onEnd: (words) => {
      lastWords = words;
    },
  };
  await finish(await runCommand(process.argv.slice(2), host));
}

if (import.meta.main) await main();
