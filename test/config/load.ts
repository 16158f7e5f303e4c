/** Loads configurations out of thin air for the tests beside this file: no real file, no real environment. */
import { expect } from "bun:test";
import { join } from "node:path";
import { ConfigError, type ConfigInputs, type LoadedConfig, loadConfig } from "../../src/config.ts";

export const CWD = "/somewhere";

export interface Given {
  readonly flags?: ConfigInputs["flags"];
  readonly env?: ConfigInputs["env"];
  /** Text of holdline.toml. */
  readonly file?: string;
  /** Further files, by absolute path. */
  readonly files?: Readonly<Record<string, string>>;
}

export function load({ flags = {}, env = {}, file, files = {} }: Given): LoadedConfig {
  const all = new Map(Object.entries(files));
  if (file !== undefined) all.set(join(CWD, "holdline.toml"), file);
  return loadConfig({ flags, env, cwd: CWD, readFile: (path) => all.get(path) ?? null });
}

/** The lines of the refusal, one a problem; throws when there is none. */
export function refused(given: Given): string[] {
  try {
    load(given);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [heading = "", ...lines] = error.message.split("\n");
    const count = lines.length === 1 ? "a problem:" : `${lines.length} problems:`;
    expect(heading).toBe(`The configuration has ${count}`);
    expect(error.problems).toHaveLength(lines.length);
    return lines.map((line) => line.trim());
  }
  throw new Error("it was taken");
}
