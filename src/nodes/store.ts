/**
 * The `NodeStore` contract: which processes serve this installation, and what all of them share by name.
 *
 * Guarantees every driver gives (held by test/conformance/node-store.ts)
 * - Every call is atomic, whichever process makes it; it resolves when the change is stored.
 * - A node is known by its id and by its boot. What one boot says never changes the row of another one: a process that
 *   was buried, or whose place was taken, learns of it by its next beat.
 * - A silent node is given to one finder at a time. A finder that does not say in time that it is done has lost it to
 *   the next one, so that no death is forgotten with the process that noticed it.
 * - Times are those of the caller's steady clock, which all nodes of an installation share; only `startedAt` is wall time.
 */

import type { NodeRole, NodeState } from "../protocol/admin.ts";

export interface NodeRecord {
  readonly id: string;
  /** Of this start of it. */
  readonly bootId: string;
  readonly role: NodeRole;
  /** `lost`: silent, and somebody is giving back what it held. `dead`: that is done. */
  readonly state: NodeState;
  readonly version: string;
  /** The machine it runs on, as that calls itself. */
  readonly host: string;
  /** Where it listens. */
  readonly url: string;
  /** Wall time in ms. */
  readonly startedAt: number;
  /** Steady time of its last sign of life. */
  readonly seenBy: number;
  readonly sockets: number;
  /** Runs in its process. */
  readonly runs: number;
}

export type Entering = Omit<NodeRecord, "state">;

export interface Beat extends Pick<NodeRecord, "id" | "bootId" | "url" | "seenBy" | "sockets" | "runs"> {
  readonly state: "up" | "draining";
}

export interface Search {
  /** Who was not heard of since then is silent. */
  readonly silentSince: number;
  /** Steady time now, and by when the finder has to be done. */
  readonly nowBy: number;
  readonly finderUntil: number;
}

/** What the processes of one installation know each other by. */
export interface Installation {
  /** Keeps it apart from others on a shared broker: letters, digits, `_`. */
  readonly name: string;
  /** Only who can read the database knows it. */
  readonly secret: string;
}

export interface NodeStore {
  /** The installation as it was made first: `fresh` when it never was. The same for all processes, for ever. */
  installation(fresh: Installation): Promise<Installation>;
  /**
   * The node serves from now on, whatever stood in its row. false, and nothing changed: somebody is burying an earlier
   * boot of it, ask again soon.
   */
  enter(node: Entering, nowBy: number): Promise<boolean>;
  /** A sign of life. false, and nothing changed: this boot was buried, or another one has its place. */
  beat(beat: Beat): Promise<boolean>;
  /** Ends cleanly: the row goes, if it is still this boot's and nobody is burying it. */
  leave(node: Pick<NodeRecord, "id" | "bootId">): Promise<void>;
  /** Takes the silent ones that nobody is burying: they are `lost`, and this caller's to bury. */
  takeSilent(search: Search): Promise<readonly NodeRecord[]>;
  /** What a lost node held is given back: it is `dead`. false: another finder has it, or it is back. */
  buried(node: Pick<NodeRecord, "id" | "bootId">, finderUntil: number): Promise<boolean>;
  /** Rows of the dead that were last heard of before. */
  forget(seenBefore: number): Promise<void>;
  /** All of them, by id. */
  list(): Promise<readonly NodeRecord[]>;
}
