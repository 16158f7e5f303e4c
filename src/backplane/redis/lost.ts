/** Signals were lost: says so at once, and to many losses at a time only now and then, since looking at everything costs. */
import type { Clock, Timer } from "../../lib/clock.ts";
import { LIMITS } from "../../protocol/limits.ts";

export interface LostTeller {
  tell(): void;
  stop(): void;
}

/** `run` is called at the first `tell`, and after a pause once more for all that came meanwhile. */
export function createLostTeller(clock: Clock, run: () => void): LostTeller {
  let toldMs = Number.NEGATIVE_INFINITY;
  let later: Timer | null = null;
  const now = (): void => {
    later = null;
    toldMs = clock.steadyMs();
    run();
  };
  return {
    tell() {
      const waitMs = toldMs + LIMITS.backplaneLostMs - clock.steadyMs();
      if (waitMs <= 0 && later === null) now();
      else later ??= clock.after(Math.max(waitMs, 0), now);
    },
    stop() {
      later?.cancel();
      later = null;
    },
  };
}
