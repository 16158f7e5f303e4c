/**
 * The program under test: the sources as they are, or a compiled binary that `TEST_SERVER_BINARY` names. The whole suite
 * compiles once (test/run.ts): it starts the program some thousand times, and compiled that takes a third.
 */
import { resolve } from "node:path";

const MAIN_FILE = resolve(import.meta.dir, "../../src/main.ts");

/** The words to spawn for `holdline ARGUMENTS`. */
export function program(...argv: readonly string[]): string[] {
  const binary = process.env["TEST_SERVER_BINARY"];
  return binary === undefined || binary === ""
    ? [process.execPath, "--no-env-file", MAIN_FILE, ...argv]
    : [resolve(binary), ...argv];
}
