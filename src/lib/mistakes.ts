/** Why a start cannot succeed, where an operator has to see to it: all of it at once, so that nobody starts over for each. */

/** `message` holds every one of `problems`, each a sentence without its full stop. The command line ends with exit code 2 on it. */
export class Mistakes extends Error {
  override readonly name: string = "Mistakes";
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: ErrorOptions) {
    const [first = "", ...more] = problems;
    const all =
      more.length === 0
        ? first
        : [`${problems.length} things are wrong:`, ...problems.map((problem) => `  ${problem}`)].join("\n");
    super(all, options);
    this.problems = problems;
  }
}

/**
 * What a start finds outside of this program, such as a database that cannot be reached: `message` says what it is and
 * what to do, and where in the code it was found is of no use to anybody. A later start may succeed: exit code 1.
 */
export class Obstacle extends Error {
  override readonly name: string = "Obstacle";
}

/** Tries each, and throws everything that was wrong with any of them together; other errors at once. */
export async function collectMistakes(tries: readonly (() => Promise<void> | void)[]): Promise<void> {
  const problems: string[] = [];
  for (const attempt of tries) {
    try {
      await attempt();
    } catch (error) {
      if (!(error instanceof Mistakes)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new Mistakes(problems);
}
