/**
 * What this node knows of the others from what it hears: whether a message is new, whether one is missing, and who has
 * fallen silent.
 */
import { LIMITS } from "../../protocol/limits.ts";
import type { Envelope } from "./envelope.ts";

/** A message is heard, or it is not: heard already (or in the wrong order), or written too long ago. */
export type Verdict = "new" | "missed" | "repeated" | "late";

export interface Peers {
  /**
   * Judges a message that its signature vouches for. `missed`: it is new, and another one before it never came.
   * `toAll`: whether it was. `nowMs`: the installation's steady time.
   */
  judge(envelope: Envelope, toAll: boolean, nowMs: number): Verdict;
  /** Signals may have been lost in a way that has been dealt with: the next message of each may have a hole before it. */
  begin(nowMs: number): void;
  /** Nodes that should be heard and are not. */
  silent(nowMs: number): readonly string[];
  expect(nodes: readonly string[]): void;
}

interface Peer {
  readonly node: string;
  number: number;
  /** null: nothing is known to have come before the next message. */
  mark: number | null;
  heardMs: number;
  /** It said goodbye, or another boot has its place. */
  readonly gone: boolean;
  readonly saidBye: boolean;
}

/** A boot that fell silent is remembered as long as a message of its could still be brought in again. */
const REMEMBERED_MS = 4 * LIMITS.backplaneLateMs;

export function createPeers(self: string): Peers {
  const peers = new Map<string, Peer>();
  let expected: readonly string[] | null = null;
  /** When everything was heard from: never yet. */
  let begunMs = Number.POSITIVE_INFINITY;

  const forgetOld = (nowMs: number): void => {
    for (const [boot, { heardMs }] of peers) if (nowMs - heardMs > REMEMBERED_MS) peers.delete(boot);
  };

  const isHeard = ({ heardMs, gone }: Peer, nowMs: number): boolean =>
    !gone && nowMs - heardMs <= LIMITS.backplaneSilentMs;

  const hasJustLeft = ({ heardMs, saidBye }: Peer, nowMs: number): boolean =>
    saidBye && nowMs - heardMs <= LIMITS.backplaneSilentMs;

  /** An earlier boot of the node is over without a goodbye: what it was about to say nobody ever hears. */
  const diedUnheard = (node: string): boolean => {
    let died = false;
    for (const [boot, peer] of peers) {
      if (peer.node !== node || peer.gone) continue;
      died = true;
      // It stays known: what it said before is not to be brought in again.
      peers.set(boot, { ...peer, gone: true });
    }
    return died;
  };

  return {
    judge({ boot, node, number, mark, at, lost, bye }, toAll, nowMs) {
      if (at < nowMs - LIMITS.backplaneLateMs) return "late";
      const known = peers.get(boot);
      if (known !== undefined && number <= known.number) return "repeated";
      const saidBye = bye === true;
      if (known === undefined) forgetOld(nowMs);
      if (known === undefined && diedUnheard(node)) {
        peers.set(boot, { node, number, mark, heardMs: nowMs, gone: saidBye, saidBye });
        return "missed";
      }
      // Whoever was there before this node listened has said things that it did not miss.
      const isNewcomer = nowMs - begunMs > LIMITS.backplaneSilentMs;
      const before = known === undefined ? (isNewcomer ? 0 : null) : known.mark;
      peers.set(boot, { node, number, mark, heardMs: nowMs, gone: saidBye, saidBye });
      if (lost === true) return "missed";
      return before === null || mark === (toAll ? before + 1 : before) ? "new" : "missed";
    },

    begin(nowMs) {
      begunMs = nowMs;
      for (const peer of peers.values()) peer.mark = null;
    },

    silent(nowMs) {
      const heard = new Set<string>();
      for (const peer of peers.values())
        // Who left with a goodbye is missed by nobody, until everybody who says who is there has noticed as well.
        if (isHeard(peer, nowMs) || hasJustLeft(peer, nowMs)) heard.add(peer.node);
      // Until somebody says who is there, those are expected who were there a moment ago.
      const lately = (): string[] =>
        [...peers.values()]
          .filter(({ heardMs, gone }) => !gone && nowMs - heardMs <= REMEMBERED_MS)
          .map(({ node }) => node);
      const wanted = expected ?? lately();
      return [...new Set(wanted)].filter((node) => node !== self && !heard.has(node));
    },

    expect(nodes) {
      expected = nodes;
    },
  };
}
