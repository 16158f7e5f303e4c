/**
 * What the server says about itself: JSON lines on stdout, readable text on a terminal, and never a secret.
 *
 * Nobody logs headers, bodies or tokens; the rules below are for the day somebody does all the same: fields with the
 * names of credentials are replaced, and so is whatever looks like a JWT, in any field and in any message.
 */
import pino from "pino";
import type pinoPretty from "pino-pretty";
import { boundFields, cutText } from "./log-bounds.ts";
import { HIDDEN, withoutTokens } from "./log-tokens.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
export type LogFields = Readonly<Record<string, unknown>>;

/** One line a call: the fields, and a message that is the same text for every occurrence of its kind. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  /** An error goes into `error`: its name, text, code, stack and causes are kept, its other properties are not. */
  error(fields: LogFields, message: string): void;
  /** A logger whose lines all bear these fields as well. */
  child(fields: LogFields): Logger;
  /** Resolves when everything logged so far was handed to the operating system. */
  flush(): Promise<void>;
}

export interface RootLogger extends Logger {
  /** A line that is written at every level, `silent` too: where the server listens. */
  announce(fields: LogFields, message: string): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** true: text for people. */
  readonly pretty: boolean;
  /** In every line, such as whose it is. */
  readonly fields?: LogFields;
  /** Where lines go instead of stdout; each call gets one line with its end. */
  readonly write?: (line: string) => void;
}

/** Names of fields that hold a credential, at the top of a line and one level below. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "token",
  "leaseToken",
  "sessionToken",
  "userToken",
  "secret",
  "password",
  "headers",
  "authSecret",
  "chatKey",
  "speechKey",
]);

/** More than this waits for a stdout that nobody reads: then lines are dropped, since the memory belongs to the jobs. */
const BUFFERED_BYTES = 16 * 1024 * 1024;

/** The object with the values of credentials replaced; itself when there is none, as nearly always. */
function hideIn(fields: LogFields): LogFields {
  const names = Object.keys(fields).filter((name) => CREDENTIALS.has(name));
  return names.length === 0
    ? fields
    : { ...fields, ...Object.fromEntries(names.map((name) => [name, HIDDEN])) };
}

function isRecord(value: unknown): value is LogFields {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Both levels. pino's own redaction does this too, and makes a line three times as expensive (8 µs in place of 2). */
function withoutCredentials(fields: LogFields): LogFields {
  const outer = hideIn(fields);
  const inner: [name: string, value: LogFields][] = [];
  for (const [name, value] of Object.entries(outer)) {
    if (!isRecord(value)) continue;
    const hidden = hideIn(value);
    if (hidden !== value) inner.push([name, hidden]);
  }
  return inner.length === 0 ? outer : { ...outer, ...Object.fromEntries(inner) };
}

/** Fields as a line may hold them: no credentials, and no more than fits. */
function fit(fields: LogFields): LogFields {
  return boundFields(withoutCredentials(fields));
}

interface Destination {
  write(line: string): void;
  flush(done: (error?: Error | null) => void): void;
}

function destinationOf({ pretty: forPeople, write }: LoggerOptions): Destination {
  if (write !== undefined) return { write, flush: (done) => done() };
  if (forPeople) {
    // Loaded by who needs it: a start waits for every module.
    const pretty = require("pino-pretty") as typeof pinoPretty;
    const stream = pretty({ sync: true, translateTime: "SYS:HH:MM:ss.l", ignore: "pid,hostname" });
    return { write: (line) => void stream.write(line), flush: (done) => done() };
  }
  // minLength: with none, flush() would not wait for the write that is under way.
  const stdout = pino.destination({ fd: 1, sync: false, minLength: 1, maxLength: BUFFERED_BYTES });
  // pino would write the rest when the process exits, and wait for ever on a full pipe that nobody reads. Whoever
  // ends the process calls flush() first, and decides how long that may take.
  stdout.flushSync = () => undefined;
  return stdout;
}

function wrap(lines: pino.Logger, destination: Destination): Logger {
  return {
    debug: (fields, message) => lines.debug(fields, cutText(message)),
    info: (fields, message) => lines.info(fields, cutText(message)),
    warn: (fields, message) => lines.warn(fields, cutText(message)),
    error: (fields, message) => lines.error(fields, cutText(message)),
    child: (fields) => wrap(lines.child(fit(fields)), destination),
    flush: () => new Promise((resolve) => destination.flush(() => resolve())),
  };
}

/** A logger of its own; the process needs one. Lines look like `{"level":"info","time":"…Z","msg":"listening","url":"…"}`. */
export function createLogger(options: LoggerOptions): RootLogger {
  const destination = destinationOf(options);
  const lines = pino(
    {
      level: options.level,
      base: options.fields ?? null,
      messageKey: "msg",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: fit },
      hooks: { streamWrite: withoutTokens },
    },
    destination,
  );
  const always = lines.child({}, { level: "info" });
  return {
    ...wrap(lines, destination),
    announce: (fields, message) => always.info(fields, cutText(message)),
  };
}
