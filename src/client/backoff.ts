/** How long to wait before trying again, so that a thousand clients cut at once do not come back at once. */

const BASE_MS = 500;
const MOST_MS = 30_000;

/** A uniform draw from 0 to min(30 s, 500 ms × 2^failures): exponential back-off with full jitter, in ms. */
export function backoffMs(failures: number, random: () => number): number {
  return random() * Math.min(MOST_MS, BASE_MS * 2 ** Math.min(failures, 16));
}

/** What part of its absence a server is waited for before the next look. */
const PATIENCE = 1 / 8;

/**
 * The wait before the next look for a server that has not been reachable for `awayMs`, in ms: a uniform draw from 0 to an
 * eighth of that, or to the back-off after `cuts` where that is more. It grows as slowly as the outage does, so that a
 * restart is noticed within half a second, and a night costs few tries.
 */
export function lookAgainMs(awayMs: number, cuts: number, random: () => number): number {
  const afterCutsMs = backoffMs(cuts, () => 1);
  return random() * Math.max(afterCutsMs, Math.min(MOST_MS, PATIENCE * awayMs));
}

/** The wait a server asked for, and up to a fifth (at most 1 s) more, in ms. Never less than asked. */
export function askedDelayMs(askedMs: number, random: () => number): number {
  const asked = Math.max(0, askedMs);
  return asked + random() * Math.min(1000, asked / 5);
}
