/** Why a module cannot be loaded, in a sentence with the places: the runtime's own message only counts the mistakes. */
import { relative, sep } from "node:path";

interface Position {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** One mistake begets others further down; beyond these it is enough to know that there are more. */
const MISTAKES_TOLD = 5;

/** Whether the runtime could not read a module: what it throws then bears the places. */
export function isUnreadable(error: unknown): boolean {
  return [error, ...(error instanceof AggregateError ? error.errors : [])].some(
    (one) => one instanceof BuildMessage || one instanceof ResolveMessage,
  );
}

/** What loading a file ran into, with the place: where it cannot be read, or where it threw. */
function placed(folder: string, name: string, error: unknown): string {
  const { message, stack = "" } = error instanceof Error ? error : new Error(Bun.inspect(error));
  const position = (error as { position?: Position | null } | null)?.position;
  if (position?.line !== undefined) {
    const file = relative(folder, position.file ?? name);
    return `${file}:${position.line}:${position.column ?? 1}: ${message}`;
  }
  const thrownAt = /^[^\s():]+:\d+:\d+/.exec(stack.split(folder + sep)[1] ?? "")?.[0];
  return `${thrownAt ?? name}: ${message}`;
}

/** Places are told as seen from `folder`; `name` is told where there is none. */
export function loadMistakes(error: unknown, folder: string, name: string): string {
  const all: readonly unknown[] =
    error instanceof AggregateError && error.errors.length > 0 ? error.errors : [error];
  const told = all.slice(0, MISTAKES_TOLD).map((one) => placed(folder, name, one));
  const more = all.length > told.length ? [`and ${all.length - told.length} more`] : [];
  return [...told, ...more].join("; ");
}
