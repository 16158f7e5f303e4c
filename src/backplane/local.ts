/** The `local` driver of `Backplane`: nodes of one process. A server that is alone is the only one on it. */
import type { Logger } from "../lib/logger.ts";
import type { Backplane, Recipients, Signal } from "./backplane.ts";

export interface LocalNode {
  readonly nodeId: string;
  readonly logger: Logger;
}

export interface LocalNetwork {
  /** One more node. It hears others from its `start` on. */
  join(node: LocalNode): Backplane;
}

interface Ear {
  isMeant(to: Recipients): boolean;
  receive(signal: Signal): void;
}

/** A network without nodes. Nothing is lost on it, so that `onLost` is never called. */
export function createLocalNetwork(): LocalNetwork {
  const nodes = new Set<Ear>();

  const join = ({ nodeId, logger }: LocalNode): Backplane => {
    const listeners: ((signal: Signal) => void)[] = [];
    const rooms = new Set<string>();
    const counts = { sent: 0, received: 0, dropped: 0, bad: 0, lost: 0 };
    const hear = (signal: Signal): void => {
      if (!nodes.has(ear)) return;
      counts.received += 1;
      for (const listener of listeners) {
        try {
          listener(signal);
        } catch (error) {
          logger.error({ error, signal: signal.kind }, "a signal of another node could not be handled");
        }
      }
    };
    const ear: Ear = {
      isMeant: (to) => to === "all" || ("node" in to ? to.node === nodeId : rooms.has(to.room)),
      receive: (signal) => void setImmediate(hear, signal),
    };
    return {
      get alone() {
        return nodes.size - (nodes.has(ear) ? 1 : 0) === 0;
      },
      get healthy() {
        return nodes.has(ear);
      },
      counts,
      publish(signal, to = "all") {
        if (!nodes.has(ear)) return;
        counts.sent += 1;
        for (const other of nodes) if (other !== ear && other.isMeant(to)) other.receive(signal);
      },
      onSignal: (listener) => void listeners.push(listener),
      onLost: () => {},
      listen: async (room) => void rooms.add(room),
      unlisten: (room) => void rooms.delete(room),
      expect: () => {},
      start: async () => void nodes.add(ear),
      stop: async () => void nodes.delete(ear),
    };
  };
  return { join };
}
