/**
 * `job.log` of a handler: whatever is handed to it becomes a line. Somebody else's code calls it, also from a thread
 * and from plain JavaScript, and a line that cannot be written must not fail a run.
 */
import type { LogFields, Logger } from "../lib/logger.ts";
import type { RunLog, RunLogLine } from "./handler.ts";

function isFields(value: unknown): value is LogFields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Error);
}

/** Fields and message of one line, in whichever order they were given; an error becomes the field `error`. */
function lineOf(given: readonly unknown[]): { readonly fields: LogFields; readonly message: string } {
  const fields: Record<string, unknown> = {};
  const words: string[] = [];
  for (const value of given) {
    if (isFields(value)) Object.assign(fields, value);
    else if (value instanceof Error) fields["error"] = value;
    else if (value !== undefined) words.push(typeof value === "string" ? value : Bun.inspect(value));
  }
  return { fields, message: words.join(" ") };
}

/** The calls of `job.log`, on a logger that bears the job's ids. None of them throws. */
export function createRunLog(logger: Pick<Logger, keyof RunLog>): RunLog {
  const line =
    (level: keyof RunLog): RunLogLine =>
    (...given: readonly unknown[]) => {
      try {
        const { fields, message } = lineOf(given);
        logger[level](fields, message);
      } catch (error) {
        logger.warn({ error }, "a line of a handler could not be logged");
      }
    };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}
