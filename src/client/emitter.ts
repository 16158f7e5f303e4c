/** Named listeners with types, so that one that throws harms neither the others nor the cursor of a job. */

export interface Emitter<Events> {
  /** Calls `listener` on every such event until the returned function is called. */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void;
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void;
  /** Whether anybody listens: lets a caller skip work nobody would see. */
  has(name: keyof Events): boolean;
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** An emitter without listeners. What a listener throws is `report`ed, by default as an uncaught error of its own. */
export function createEmitter<Events>(report: (error: unknown) => void = throwLater): Emitter<Events> {
  const listeners = new Map<keyof Events, Set<(value: never) => void>>();
  return {
    on(name, listener) {
      const group = listeners.get(name) ?? new Set();
      listeners.set(name, group);
      group.add(listener);
      return () => {
        group.delete(listener);
      };
    },
    emit(name, value) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          (listener as (value: unknown) => void)(value);
        } catch (error) {
          report(error);
        }
      }
    },
    has: (name) => (listeners.get(name)?.size ?? 0) > 0,
  };
}
