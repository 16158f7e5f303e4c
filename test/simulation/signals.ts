/** The simulated backplane: what nodes tell each other is late, comes again, in another order, or not at all. */
import type { Backplane, Recipients, Signal } from "../../src/backplane/backplane.ts";
import { strikes, type Scene } from "./scene.ts";
import type { Process } from "./timeline.ts";

export interface Signals {
  /** One more node; it hears others from its `start` on. */
  join(nodeId: string, process: Process): Backplane;
  died(process: Process): void;
}

interface Node {
  readonly nodeId: string;
  readonly process: Process;
  readonly listeners: ((signal: Signal) => void)[];
  readonly lost: (() => void)[];
  readonly rooms: Set<string>;
  /** When what was published last arrives, of what has to keep its order. */
  lastMs: number;
}

/** These only say where to look, so that they may come in any order, and again. */
const HINTS: ReadonlySet<Signal["kind"]> = new Set(["jobs", "reading", "session", "revocations"]);
/** How long a gap may go unnoticed: until the next message of the same node, or its next sign of life. */
const GAP_MS = 1000;

const COUNTS = { sent: 0, received: 0, dropped: 0, bad: 0, lost: 0 };

export function createSignals(scene: Scene): Signals {
  const { timeline, faults, sometimes } = scene;
  const random = scene.random.fork();
  const nodes = new Set<Node>();

  const isFor = (to: Recipients, { nodeId, rooms }: Node): boolean =>
    to === "all" || ("node" in to ? to.node === nodeId : rooms.has(to.room));

  const wayMs = (): number => {
    const ms = random.next() * 5;
    return strikes(scene, random, faults.lateSignal) ? ms + random.next() * 3000 : ms;
  };

  const send = (signal: Signal, to: Node): void => {
    const isHint = HINTS.has(signal.kind);
    const atMs = timeline.nowMs + wayMs();
    if (!isHint) to.lastMs = Math.max(to.lastMs, atMs);
    const copy = structuredClone(signal);
    const hear = (): void => {
      if (nodes.has(to)) for (const listener of to.listeners) listener(copy);
    };
    timeline.after((isHint ? atMs : to.lastMs) - timeline.nowMs, hear, to.process);
  };

  const lose = (signal: Signal, to: Node): void => {
    sometimes.reached(`a signal is lost: ${signal.kind}`);
    // These may be lost without anybody noticing: jobs are looked for all the same, and what is read is said again.
    if ((signal.kind === "jobs" || signal.kind === "reading") && random.chance(0.5)) return;
    const notice = (): void => {
      if (nodes.has(to)) for (const listener of to.lost) listener();
    };
    timeline.after(random.next() * GAP_MS, notice, to.process);
  };

  return {
    join(nodeId, process) {
      const own: Node = { nodeId, process, listeners: [], lost: [], rooms: new Set(), lastMs: 0 };
      return {
        // Who is the only one of its installation is alone; a node that is down is expected back.
        alone: faults.nodes === 1,
        healthy: true,
        counts: COUNTS,
        publish(signal, to = "all") {
          if (!nodes.has(own)) return;
          for (const other of nodes) {
            if (other === own || !isFor(to, other)) continue;
            if (strikes(scene, random, faults.lostSignal)) {
              lose(signal, other);
              continue;
            }
            send(signal, other);
            if (HINTS.has(signal.kind) && strikes(scene, random, faults.repeatedSignal)) send(signal, other);
          }
        },
        onSignal: (listener) => void own.listeners.push(listener),
        onLost: (listener) => void own.lost.push(listener),
        listen: async (room) => void own.rooms.add(room),
        unlisten: (room) => void own.rooms.delete(room),
        expect: () => undefined,
        start: async () => void nodes.add(own),
        stop: async () => void nodes.delete(own),
      };
    },
    died(process) {
      for (const node of nodes) if (node.process === process) nodes.delete(node);
    },
  };
}
