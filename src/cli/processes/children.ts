/** One child process of a server with several: started, heard, and started again when it ends without being told to. */
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { program } from "../child/server.ts";
import { CHILD_COMMAND, type ChildStart, type FromChild, type ToChild } from "./messages.ts";

/** A signal that was sent to all of them has reached the parent by then. */
const SIGNAL_MS = 100;

/** A child that dies is started again after this, twice as long each time, until one lived for a while. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
const LIVED_MS = 30_000;

export interface ChildOptions {
  readonly start: ChildStart;
  /** As on the command line of the parent. */
  readonly flags: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onDrainAsked: () => void;
}

export interface Child {
  readonly node: string;
  /** Resolves with where it listens; rejects when it ends before it was ready for the first time. */
  readonly ready: Promise<string>;
  /** Resolves when none of its runs is left, after `stop`. */
  readonly drained: Promise<void>;
  /** Nobody has runs any more. */
  close(): void;
  /** Lets it end in order, and does not start it again. Resolves with its exit code; null: a signal ended it. */
  stop(): Promise<number | null>;
  /** Ends it at once. */
  kill(): void;
}

/** One that is ending hears nothing any more. */
function tell(child: Bun.Subprocess | null, message: ToChild): void {
  try {
    child?.send(message);
  } catch {
    // Its end is heard of elsewhere.
  }
}

/** A child ended before it was ready; why it says itself. */
export class ChildEnded extends Error {
  override readonly name = "ChildEnded";
  /** Its exit code; null: a signal ended it. */
  readonly code: number | null;
  constructor(node: string, code: number | null, signal: string | number | null) {
    super(`${node} ended (${code ?? signal}) before it was ready`);
    this.code = code;
  }
}

/** Starts a child and keeps one alive. */
export function keepChild({ start, flags, clock, logger, onDrainAsked }: ChildOptions): Child {
  const { node } = start;
  const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const ready = Promise.withResolvers<string>();
  const drained = Promise.withResolvers<void>();
  let wasReady = false;
  let stopping = false;
  let pauseMs = FIRST_PAUSE_MS;
  let present: Bun.Subprocess | null = null;
  let over: Promise<number | null> = Promise.resolve(0);

  const hear = (child: Bun.Subprocess, message: FromChild): void => {
    if ("here" in message) tell(child, stopping ? { stop: true } : { start });
    else if ("drainAsked" in message) onDrainAsked();
    else if ("drained" in message) drained.resolve();
    else if ("signaled" in message)
      clock.after(SIGNAL_MS, () => {
        if (!stopping) tell(child, { leave: true });
      });
    else {
      if (wasReady) logger.info({ node, pid: child.pid }, "a process serves again");
      wasReady = true;
      ready.resolve(message.ready.url);
    }
  };

  const launch = (): void => {
    const begunMs = clock.elapsedMs();
    const child = Bun.spawn([...program(), CHILD_COMMAND, node, ...given], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      ipc: (message) => hear(child, message as FromChild),
    });
    present = child;
    over = child.exited.then(() => {
      present = null;
      const { exitCode, signalCode } = child;
      if (stopping) {
        drained.resolve();
        return exitCode;
      }
      if (wasReady) replace(clock.elapsedMs() - begunMs, exitCode ?? signalCode);
      else ready.reject(new ChildEnded(node, exitCode, signalCode));
      // Nobody is there to be stopped.
      return 0;
    });
  };

  const replace = (livedMs: number, how: number | string | null): void => {
    if (livedMs >= LIVED_MS) pauseMs = FIRST_PAUSE_MS;
    logger.error({ node, how, againInMs: pauseMs }, "a process ended; another one takes its place");
    clock.after(pauseMs, () => {
      if (!stopping) launch();
    });
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  };

  launch();
  return {
    node,
    ready: ready.promise,
    stop() {
      stopping = true;
      if (present === null) drained.resolve();
      tell(present, { stop: true });
      return over;
    },
    drained: drained.promise,
    close: () => tell(present, { close: true }),
    kill: () => present?.kill("SIGKILL"),
  };
}
