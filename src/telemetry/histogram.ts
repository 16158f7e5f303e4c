/** Histograms of fixed buckets, plain numbers that are read when somebody scrapes: observing allocates nothing. */

export interface HistogramReading {
  /** Upper bounds in seconds, ascending; the last, infinite one is left out. */
  readonly bounds: readonly number[];
  /** Observations in each bucket alone, one more than there are bounds. */
  readonly counts: readonly number[];
  /** Seconds of all observations together. */
  readonly sum: number;
}

export interface Histogram {
  observe(seconds: number): void;
  read(): HistogramReading;
}

/** From half a millisecond, which a local write takes, to the minute that a call may wait. */
export const DURATION_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** `bounds` in seconds, ascending; what lies above the last one is counted too. */
export function createHistogram(bounds: readonly number[] = DURATION_BOUNDS): Histogram {
  const counts = Array.from({ length: bounds.length + 1 }, () => 0);
  let sum = 0;
  return {
    observe(seconds) {
      let bucket = 0;
      // A bound belongs to its bucket ("le"); most observations end in the first few.
      while (bucket < bounds.length && seconds > (bounds[bucket] ?? 0)) bucket += 1;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      sum += seconds;
    },
    read: () => ({ bounds, counts: [...counts], sum }),
  };
}
