/** Work that comes round again and again, one at a time. */
import type { Clock } from "./clock.ts";

export interface Repeated {
  /** No more of it; resolves when what is under way is over. */
  stop(): Promise<void>;
}

/** Does the work at every interval, but never while the last one is still under way. It must not reject. */
export function repeat(clock: Clock, intervalMs: number, work: () => Promise<void>): Repeated {
  let underWay: Promise<void> | null = null;
  const timer = clock.every(intervalMs, () => {
    underWay ??= work().finally(() => {
      underWay = null;
    });
  });
  return {
    async stop() {
      timer.cancel();
      await underWay;
    },
  };
}
