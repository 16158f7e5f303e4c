/** What every part of one simulated run shares: time, chance, the trace, and where a broken promise is reported. */
import type { Faults } from "./faults.ts";
import type { Random } from "./random.ts";
import type { Timeline, WallClock } from "./timeline.ts";
import type { Sometimes, Trace } from "./trace.ts";

export interface Scene {
  readonly seed: number;
  readonly random: Random;
  readonly timeline: Timeline;
  readonly wall: WallClock;
  readonly trace: Trace;
  readonly sometimes: Sometimes;
  readonly faults: Faults;
  /** While it is true faults happen. */
  faulty: boolean;
  /** What was broken, in the order in which it was noticed. */
  readonly violations: string[];
}

/** A promise of the product does not hold. The run ends after this event. */
export function violate(scene: Scene, promise: string, detail: string): void {
  scene.trace.note(`VIOLATION ${promise}: ${detail}`);
  scene.violations.push(`${promise}: ${detail}`);
}

/** Whether a fault of this probability happens now. */
export function strikes(scene: Scene, random: Random, probability: number): boolean {
  return scene.faulty && probability > 0 && random.chance(probability);
}

/** Does something again and again, about every `meanMs`, while faults go on; never for 0. */
export function nowAndThen(scene: Scene, random: Random, meanMs: number, act: () => void): void {
  if (meanMs === 0) return;
  scene.timeline.after(random.next() * 2 * meanMs, () => {
    if (!scene.faulty) return;
    act();
    nowAndThen(scene, random, meanMs, act);
  });
}
