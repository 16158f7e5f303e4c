/** What the load hands in: short answers, speech, and long texts that a kill is likely to meet. */
import type { TokensInput } from "../../handlers/tokens.ts";

interface Kind {
  /** Of 100 jobs. */
  readonly share: number;
  readonly make: (random: () => number) => TokensInput;
}

const between = (random: () => number, least: number, most: number): number =>
  least + Math.floor(random() * (most - least + 1));

const KINDS: readonly Kind[] = [
  {
    share: 60,
    make: (random) => ({
      tokens: between(random, 3, 20),
      size: between(random, 4, 64),
      intervalMs: between(random, 0, 15),
    }),
  },
  {
    share: 20,
    make: (random) => ({
      tokens: between(random, 5, 25),
      size: between(random, 4, 32),
      intervalMs: 20,
      audioBytes: 640 * between(random, 1, 4),
    }),
  },
  // Fails in its first run, so that retries, resets and kills meet.
  { share: 5, make: (random) => ({ tokens: 10, size: 16, intervalMs: between(random, 5, 20), failAt: 6 }) },
  {
    share: 15,
    make: (random) => ({ tokens: between(random, 40, 80), size: between(random, 16, 128), intervalMs: 20 }),
  },
];

/** The next job of a client. */
export function nextInput(random: () => number): TokensInput {
  let left = random() * 100;
  for (const { share, make } of KINDS) {
    left -= share;
    if (left < 0) return make(random);
  }
  return { tokens: 1, size: 8, intervalMs: 0 };
}
