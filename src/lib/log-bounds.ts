/**
 * How much one log line may hold: a text of megabytes that somebody sent and somebody logs would be searched for
 * secrets and written as a whole, while everybody waits. So it is cut before anything looks at it.
 */
import { withoutCutToken } from "./log-tokens.ts";

/** Characters of one text in a line, and of all of them together; what is over is cut off, and the line says so. */
export const LOG_VALUE_CHARS = 8 * 1024;
export const LOG_LINE_CHARS = 32 * 1024;

/** How deep a value may be nested, and how many causes of an error are told. */
const MOST_DEPTH = 8;
const MOST_CAUSES = 5;

interface DescribedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly stack?: string;
  readonly cause?: unknown;
}

/** What an error tells: its other properties may hold anything. */
function describeError(error: Error, depth = 0): DescribedError {
  const code = "code" in error ? error.code : undefined;
  const { cause } = error;
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(cause === undefined || depth >= MOST_CAUSES
      ? {}
      : { cause: cause instanceof Error ? describeError(cause, depth + 1) : cause }),
  };
}

/** The text, or its beginning and how long it was. */
export function cutText(text: string, most: number = LOG_VALUE_CHARS): string {
  if (text.length <= most) return text;
  return `${withoutCutToken(text.slice(0, most))}… (${text.length} characters)`;
}

/** A copy of the fields with every text in them cut; errors are told as what they are. */
export function boundFields(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let rest = LOG_LINE_CHARS;

  const text = (value: string): string => {
    const most = Math.min(LOG_VALUE_CHARS, rest);
    // What was looked at counts, also where it shows too little of itself to be kept.
    rest -= Math.min(most, value.length);
    return cutText(value, most);
  };
  const list = (values: readonly unknown[], depth: number): unknown[] => {
    const kept: unknown[] = [];
    for (const value of values) {
      if (rest === 0) return [...kept, `… (${values.length} entries)`];
      kept.push(bound(value, depth));
    }
    return kept;
  };
  const record = (value: object, depth: number): Record<string, unknown> => {
    const kept: Record<string, unknown> = {};
    for (const [name, inner] of Object.entries(value)) {
      if (rest === 0) break;
      kept[text(name)] = bound(inner, depth);
    }
    return kept;
  };
  const bound = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return text(value);
    rest = Math.max(0, rest - 1);
    if (typeof value !== "object" || value === null) return value;
    if (depth === MOST_DEPTH) return "…";
    if (ArrayBuffer.isView(value)) return `… (${value.byteLength} bytes)`;
    if (value instanceof Error) return record(describeError(value), depth + 1);
    if ("toJSON" in value && typeof value.toJSON === "function") return bound(value.toJSON(), depth + 1);
    return Array.isArray(value) ? list(value, depth + 1) : record(value, depth + 1);
  };

  return record(fields, 0);
}
