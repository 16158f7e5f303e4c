/**
 * Where the programs of our threads are. From source each is a file of its own; in a compiled binary it lies under its
 * path from the folder of the first entry point, and this file has become a part of that.
 */

/** The path from there to src/, set by the build; not there when nothing was built. */
declare const HOLDLINE_SOURCES: string;

/** For `new Worker`: the program at `path`, as seen from src/ (`writer.ts`). */
export function entryPoint(path: string): string {
  const base = Bun.isStandaloneExecutable ? HOLDLINE_SOURCES : "../";
  return new URL(base + path, import.meta.url).href;
}
