/** A network between nodes that loses, repeats, delays and reorders signals, as a test or a seed has it. */
import type { Backplane, Signal } from "../../src/backplane/backplane.ts";
import { createLocalNetwork, type LocalNetwork } from "../../src/backplane/local.ts";

/** What becomes of one signal on its way out: how often it is sent, each time after how many turns of the loop. */
export type Fate = (signal: Signal) => readonly number[];

export interface LossyNetwork extends LocalNetwork {
  fate: Fate;
  /** Every node is told that it may have missed something. */
  lose(): void;
}

export const well: Fate = () => [0];
export const lost: Fate = () => [];

async function later(turns: number, run: () => void): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  run();
}

export function createLossyNetwork(): LossyNetwork {
  const network = createLocalNetwork();
  const onLost: (() => void)[] = [];
  const lossy: LossyNetwork = {
    fate: well,
    lose: () => onLost.forEach((listener) => listener()),
    join(node): Backplane {
      const backplane = network.join(node);
      return {
        ...backplane,
        get alone() {
          return backplane.alone;
        },
        get healthy() {
          return backplane.healthy;
        },
        publish(signal, to) {
          for (const turns of lossy.fate(signal)) {
            if (turns === 0) backplane.publish(signal, to);
            else void later(turns, () => backplane.publish(signal, to));
          }
        },
        onLost: (listener) => void onLost.push(listener),
      };
    },
  };
  return lossy;
}
