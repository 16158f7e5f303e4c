/** What is wrong with a configuration, told all at once: each problem with its key, its place and the way out. */

/** Where a value came from. `name` is what the operator wrote: `--port`, `HOLDLINE_PORT`, `holdline.toml line 3`. */
export interface Source {
  readonly kind: "default" | "flag" | "environment" | "file";
  readonly name: string;
}

export interface Problem {
  /** The key as the code knows it (`dataDir`), or the unknown name as it was written. */
  readonly key: string;
  readonly source: Source;
  /** What is wrong, as the end of a sentence that begins with the source; no secret is in it. */
  readonly problem: string;
  /** What would be right; null when the problem says it already. */
  readonly allowed: string | null;
  /** The known name nearest to an unknown one. */
  readonly nearest: string | null;
}

export function problemText({ source, problem, allowed, nearest }: Problem): string {
  const advice = [
    nearest === null ? "" : ` Did you mean ${nearest}?`,
    allowed === null ? "" : ` Allowed: ${allowed}.`,
  ];
  return `${source.name} ${problem}.${advice.join("")}`;
}

/** Every problem of one configuration. The command line ends with exit code 2 on it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const heading =
      problems.length === 1
        ? "The configuration has a problem:"
        : `The configuration has ${problems.length} problems:`;
    super([heading, ...problems.map((problem) => `  ${problemText(problem)}`)].join("\n"));
    this.problems = problems;
  }
}
