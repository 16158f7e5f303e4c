/** How much memory the server of a selftest takes, and whether that grows while it is loaded. */
import type { Clock } from "../../lib/clock.ts";
import { percentile } from "../../lib/percentile.ts";
import type { ChildServer } from "../child/server.ts";

const SAMPLE_MS = 1000;

/**
 * Resident bytes, as the system counts them. `early` and `late`: the median of the second and of the last fifth of the
 * load, since the first fifth fills caches. All null where the system does not tell, or the load was too short to say.
 */
export interface MemoryTrend {
  readonly earlyBytes: number | null;
  readonly lateBytes: number | null;
  readonly mostBytes: number | null;
}

export interface MemoryWatch {
  /** What was seen so far. */
  trend(): MemoryTrend;
  stop(): void;
}

/** The trend of samples in the order in which they were taken. */
export function trendOf(samples: readonly number[]): MemoryTrend {
  const fifth = Math.floor(samples.length / 5);
  const median = (n: number): number | null => percentile(samples.slice(n * fifth, (n + 1) * fifth), 0.5);
  return { earlyBytes: median(1), lateBytes: median(4), mostBytes: percentile(samples, 1) };
}

/** Looks once a second, at whichever process runs then. */
export function watchMemory(child: Pick<ChildServer, "residentBytes">, clock: Clock): MemoryWatch {
  const samples: number[] = [];
  const timer = clock.every(SAMPLE_MS, () => {
    const bytes = child.residentBytes();
    if (bytes !== null) samples.push(bytes);
  });
  return { trend: () => trendOf(samples), stop: () => timer.cancel() };
}
