/** Exponential back-off with full jitter: a crowd that failed together does not come back together. */

export interface Backoff {
  /** Ceiling of the first wait. */
  readonly baseMs: number;
  /** Ceiling of every wait. */
  readonly mostMs: number;
}

/** The wait before try `failures + 1` (failures from 1); `random` in [0, 1) is passed in so that a seed can replay it. */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  const ceilingMs = Math.min(backoff.mostMs, backoff.baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(random * ceilingMs);
}
