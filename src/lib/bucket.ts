/** Token buckets by key: how often somebody may do something, remembered for a bounded number of keys. */
import type { Clock } from "./clock.ts";

export interface BucketsOptions {
  readonly clock: Pick<Clock, "steadyMs">;
  /** Units that a full bucket holds, and that grow back in a minute. 0 = no limit. */
  readonly perMinute: number;
  /** Keys remembered at a time; beyond, those unused for longest are forgotten, which fills their buckets. */
  readonly keysMost: number;
}

export interface Buckets {
  /**
   * Takes one unit of the key's bucket. At least 0: it was there, and so much is left, with the fraction of a unit that
   * is growing back. Below 0: nothing was taken, and so much of a unit is missing. Infinite without a limit.
   */
  take(key: string): number;
  /** What `take` would answer now, without taking. */
  peek(key: string): number;
  /** Keys remembered; a full bucket is forgotten two minutes after its last use, at the next use of any. */
  readonly size: number;
}

const MINUTE_MS = 60_000;
/** Sums of fractions drift: what is so close to a whole unit is one. */
const DRIFT_MS = 1e-3;

/** Whole units in what `take` answered. */
export function wholeUnits(level: number): number {
  return Math.max(0, Math.floor(level));
}

/** Milliseconds until one more whole unit than now is there; after a refusal: until the next take succeeds. */
export function nextUnitMs(level: number, perMinute: number): number {
  return ((Math.floor(level) + 1 - level) * MINUTE_MS) / perMinute;
}

const NO_LIMIT: Buckets = {
  take: () => Number.POSITIVE_INFINITY,
  peek: () => Number.POSITIVE_INFINITY,
  size: 0,
};

/**
 * Buckets of one rate. A bucket is one number, the time at which it is full again (the virtual scheduling of ATM's
 * generic cell rate algorithm, ITU-T I.371), so that a take is two look-ups in a map and nothing is ever refilled.
 */
export function createBuckets({ clock, perMinute, keysMost }: BucketsOptions): Buckets {
  if (perMinute === 0) return NO_LIMIT;
  const unitMs = MINUTE_MS / perMinute;
  // Small numbers keep the fractions of a fast rate exact.
  const originMs = clock.steadyMs();
  // Two generations in place of an order of use: what is used moves to the young one. A bucket is full a minute after
  // its last unit was taken, so a generation that is older than that can go as a whole.
  let young = new Map<string, number>();
  let old = new Map<string, number>();
  let turnMs = MINUTE_MS;

  const turnIfDue = (nowMs: number): void => {
    if (nowMs < turnMs && young.size < keysMost / 2) return;
    old = nowMs < turnMs + MINUTE_MS ? young : new Map();
    young = new Map();
    turnMs = nowMs + MINUTE_MS;
  };

  /** When the bucket would be full again after one more take. */
  const fullAfterTake = (key: string, nowMs: number): number => {
    const fullMs = young.get(key) ?? old.get(key) ?? 0;
    return (fullMs > nowMs ? fullMs : nowMs) + unitMs;
  };

  const levelAt = (fullMs: number, nowMs: number): number => {
    const level = (nowMs + MINUTE_MS - fullMs) / unitMs;
    const whole = Math.round(level);
    return Math.abs(level - whole) * unitMs < DRIFT_MS ? whole : level;
  };

  return {
    take(key) {
      const nowMs = clock.steadyMs() - originMs;
      turnIfDue(nowMs);
      const fullMs = fullAfterTake(key, nowMs);
      const level = levelAt(fullMs, nowMs);
      young.set(key, level < 0 ? fullMs - unitMs : fullMs);
      return level;
    },
    peek(key) {
      const nowMs = clock.steadyMs() - originMs;
      turnIfDue(nowMs);
      return levelAt(fullAfterTake(key, nowMs), nowMs);
    },
    get size() {
      return young.size + old.size;
    },
  };
}
