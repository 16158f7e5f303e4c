/**
 * `job.log` inside a thread: lines that can be copied to the server, and no more of them on their way than it may hold.
 * A thread that logs without end fills its server's memory faster than any disk takes lines.
 */
import { boundFields, cutText } from "../../lib/log-bounds.ts";
import type { LogFields } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { RunLog } from "../handler.ts";
import { createRunLog } from "../job-log.ts";
import { factsOf } from "./errors.ts";
import type { FromThread } from "./messages.ts";

export interface ThreadLog {
  readonly log: RunLog;
  /** An error that nobody awaited. */
  stray(error: unknown): void;
  /** The server has written one. */
  heard(): void;
  /** Tells what was left out, where that is not told yet. */
  end(): void;
}

/** The fields as they can be copied; of what cannot, its look. */
function clonable(fields: LogFields): LogFields {
  const copies = Object.entries(fields).map(([name, value]): [string, unknown] => {
    try {
      return [name, structuredClone(value)];
    } catch {
      return [name, Bun.inspect(value)];
    }
  });
  return Object.fromEntries(copies);
}

/** `say` posts a message to the server; it throws where that cannot be copied. */
export function createThreadLog(say: (message: FromThread) => void): ThreadLog {
  let onTheirWay = 0;
  let leftOut = 0;

  /** Does the work, unless too many lines are on their way. */
  const bounded = (send: () => void): void => {
    if (onTheirWay >= LIMITS.isolatedLines) {
      leftOut += 1;
      return;
    }
    onTheirWay += 1;
    send();
  };
  const line =
    (level: keyof RunLog) =>
    (given: LogFields, words: string): void =>
      bounded(() => {
        const fields = boundFields(given);
        const message = cutText(words);
        try {
          say({ kind: "log", level, fields, message });
        } catch {
          say({ kind: "log", level, fields: clonable(fields), message });
        }
      });
  const end = (): void => {
    if (leftOut === 0) return;
    const fields = { lines: leftOut };
    leftOut = 0;
    onTheirWay += 1;
    say({ kind: "log", level: "warn", fields, message: "a handler logged faster than that can be written" });
  };
  return {
    log: createRunLog({
      debug: line("debug"),
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
    }),
    stray: (error) => bounded(() => say({ kind: "stray", error: factsOf(error) })),
    heard() {
      onTheirWay -= 1;
      if (onTheirWay <= 0) end();
    },
    end,
  };
}
