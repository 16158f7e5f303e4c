/** The `local` driver of `Backplane`: nodes of one process. A server that is alone is the only one on it. */
import type { Logger } from "../lib/logger.ts";
import type { Backplane, Signal } from "./backplane.ts";

export interface LocalNetwork {
  /** One more node. It hears others from its `start` on. */
  join(logger: Logger): Backplane;
}

interface Node {
  receive(signal: Signal): void;
}

/** A network without nodes. Nothing is lost on it, so that `onLost` is never called. */
export function createLocalNetwork(): LocalNetwork {
  const nodes = new Set<Node>();

  const join = (logger: Logger): Backplane => {
    const listeners: ((signal: Signal) => void)[] = [];
    const hear = (signal: Signal): void => {
      if (!nodes.has(node)) return;
      for (const listener of listeners) {
        try {
          listener(signal);
        } catch (error) {
          logger.error({ error, signal: signal.kind }, "a signal of another node could not be handled");
        }
      }
    };
    const node: Node = { receive: (signal) => void setImmediate(hear, signal) };
    return {
      get alone() {
        return nodes.size - (nodes.has(node) ? 1 : 0) === 0;
      },
      publish(signal) {
        if (!nodes.has(node)) return;
        for (const other of nodes) if (other !== node) other.receive(signal);
      },
      onSignal: (listener) => void listeners.push(listener),
      onLost: () => {},
      start: async () => void nodes.add(node),
      stop: async () => void nodes.delete(node),
    };
  };
  return { join };
}
