/** The life of a serving process: from the start to the orderly end, and what is said when it ends otherwise. */
import { type Clock, sleep } from "../lib/clock.ts";
import type { RootLogger } from "../lib/logger.ts";
import { Mistakes, Obstacle } from "../lib/mistakes.ts";
import type { ExitCode, Host } from "./command.ts";

/** How much longer than the drain a stop may take before the process ends without waiting for it. */
export const STOP_GRACE_MS = 15_000;
/** How long a start may go on after a signal: it is nearly done as a rule, and then ends in order. */
const START_GRACE_MS = 2000;

/** The part of the application that this command lives with. */
interface Running {
  /** Resolves when it listens and is ready. */
  start(): Promise<void>;
  /** Where it listens; known after `start`. */
  readonly url: string;
  /** Drains and closes. */
  stop(): Promise<void>;
  /** Resolves with the reason when it cannot go on. */
  readonly failed: Promise<Error>;
  /** Resolves when it was asked over its own API to end. */
  readonly drainAsked: Promise<void>;
}

export interface Life {
  readonly app: Running;
  readonly logger: RootLogger;
  readonly host: Host;
  readonly drainMs: number;
  readonly clock: Clock;
  /** Resolves with who lets it end; a signal, where nobody else does. */
  readonly stopped?: Promise<string>;
  /** Told where it listens when it does; in the log, where nobody else says so. */
  readonly onListening?: (url: string) => void;
}

/** Errors of the language itself are mistakes of this program, not of whoever started it. */
const OF_THE_LANGUAGE = [TypeError, RangeError, ReferenceError, SyntaxError];

/** What was foreseen says what to mend: where in the code it was found is of no use to an operator. */
function fieldsOf(error: unknown): Record<string, unknown> {
  if (error instanceof Mistakes) return { problems: error.problems };
  return error instanceof Obstacle ? { problems: [error.message] } : { error };
}

/**
 * An end that nobody asked for: in full in the log, and as one sentence on stderr, also at level `silent`. On a terminal
 * both are read by the same eyes: why it cannot start is the sentence alone there, and the rest for the level `debug`.
 */
export function tellFailure(
  { logger, host }: Pick<Life, "logger" | "host">,
  what: string,
  error: unknown,
): void {
  const fields = fieldsOf(error);
  const ofTheLanguage = OF_THE_LANGUAGE.some((kind) => error instanceof kind);
  if (host.isTerminal && what === "cannot start" && !ofTheLanguage) logger.debug(fields, what);
  else logger.error(fields, what);
  host.err(`holdline: ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
}

/** Rejects when the application cannot stop, or takes longer than it may. */
async function stopInTime(
  app: Running,
  { clock, limitMs }: { clock: Clock; limitMs: number },
): Promise<void> {
  const late = sleep(clock, limitMs).then(() => {
    throw new Error(`not done after ${limitMs} ms`);
  });
  await Promise.race([app.stop(), late]);
}

/**
 * Starts. false: it was asked to end before it had started, and a start that is this late waits for something (files
 * that have to be mended, another server on the database). Nothing was served; the next start recovers what there is.
 */
async function startUnlessAsked({ app, logger, clock }: Life, signaled: Promise<string>): Promise<boolean> {
  const started = app.start().then(() => true);
  const gone = signaled.then(async () => {
    await sleep(clock, START_GRACE_MS);
    return false;
  });
  const isStarted = await Promise.race([started, gone]);
  if (isStarted) return true;
  started.catch(() => undefined);
  logger.info({}, "stopped before it had started");
  return false;
}

/** Starts, waits for a signal or a failure, stops in time. Resolves with 1 when the application failed or hung. */
export async function live(life: Life): Promise<ExitCode> {
  const { app, logger, host, drainMs, clock } = life;
  const signaled = life.stopped ?? host.untilSignal();
  const { onListening = (url) => logger.announce({ url }, "listening") } = life;
  try {
    if (!(await startUnlessAsked(life, signaled))) return 0;
  } catch (error) {
    tellFailure(life, "cannot start", error);
    // What its operator has to mend is not worth a restart.
    return error instanceof Mistakes ? 2 : 1;
  }
  onListening(app.url);
  // Who is let end by somebody else is not let end by an operator of its own.
  const asked = life.stopped === undefined ? [app.drainAsked.then(() => "drain")] : [];
  const end = await Promise.race([signaled, app.failed, ...asked]);
  if (end instanceof Error) {
    tellFailure(life, "cannot go on", end);
    return 1;
  }
  logger.info({ signal: end, drainMs }, "stopping");
  try {
    await stopInTime(app, { clock, limitMs: drainMs + STOP_GRACE_MS });
  } catch (error) {
    tellFailure(life, "cannot stop", error);
    return 1;
  }
  logger.info({}, "stopped");
  return 0;
}
