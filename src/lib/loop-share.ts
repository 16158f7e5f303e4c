/**
 * How long one kind of work may keep the event loop to itself. Work that never has to wait (a read that is answered at
 * once, a socket that takes everything) would go on from microtask to microtask and let nobody else in between.
 */
import type { Clock } from "./clock.ts";
import type { AfterTurn } from "./group.ts";

export interface LoopShareOptions {
  readonly clock: Pick<Clock, "steadyMs">;
  /** Of one turn of the loop. */
  readonly sliceMs: number;
  /** Calls back when this turn of the loop is over; the runtime's own by default. */
  readonly afterTurn?: AfterTurn;
}

/** Asked before each piece of work: null to go on, or what resolves in the next turn of the loop. */
export function createLoopShare(options: LoopShareOptions): () => Promise<void> | null {
  const { clock, sliceMs, afterTurn = (run): void => void setImmediate(run) } = options;
  /** When the work of this turn began; null in a turn that has seen none. */
  let begunMs: number | null = null;
  let nextTurn: PromiseWithResolvers<void> | null = null;

  const begin = (): void => {
    begunMs = clock.steadyMs();
    afterTurn(() => {
      const waited = nextTurn;
      begunMs = null;
      nextTurn = null;
      if (waited === null) return;
      begin();
      waited.resolve();
    });
  };

  return () => {
    if (begunMs === null) {
      begin();
      return null;
    }
    if (clock.steadyMs() - begunMs < sliceMs) return null;
    nextTurn ??= Promise.withResolvers();
    return nextTurn.promise;
  };
}
