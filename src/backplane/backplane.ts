/**
 * The `Backplane` contract: what the nodes of one installation tell each other, beside the stores that they share.
 *
 * The stores carry the truth, the backplane carries hints. A signal may be lost, come late or come again, and what a
 * node does because of one must be right in each of these cases:
 * - `jobs`, `session` and `revocations` only say where to look. Whoever hears one reads the store and acts on what
 *   stands there; a false one costs a read. Whoever missed one finds out by looking by itself, now and then.
 * - `reading` asks to be told of jobs, and is said again every few seconds; a false one costs signals to its node.
 * - `push` and `message` bear what is to be delivered, since nobody keeps it. One that is lost is lost: these are
 *   promised to nobody (docs/protocol.md). A node delivers a `message` that names a speaker only if the store knows
 *   that session as a member of the room.
 *
 * Guarantees every driver gives (held by test/conformance/backplane.ts)
 * - A signal reaches every node that it is addressed to and that is there, at most once, and never the node that
 *   published it: that one has acted already.
 * - Of one publisher's signals, those that arrive at a node arrive in the order in which it published them, however they
 *   were addressed. Between two publishers there is no order.
 * - `publish` neither waits nor throws, and never calls a listener itself. What a driver cannot pass on it drops, so
 *   that its memory stays bounded while the others are out of reach.
 * - A listener that throws harms neither other listeners nor the next signal.
 * - After signals to all may have been lost, here or on their way here, `onLost` is called, behind all signals from
 *   before and ahead of those that follow. It may be called when nothing was lost. Of signals to one node or to a room
 *   it is only told where others were lost with them.
 * - Only nodes of this installation can publish, and what they published can be brought in again by nobody: the driver's
 *   connection is authenticated, or each signal is.
 * - After `stop` nothing is heard and nothing is sent.
 */
import type { JobSummary } from "../jobs/job.ts";
import type { JobId, SessionId, UserId } from "../lib/ids.ts";
import type { MessageFrame } from "../protocol/frames.ts";
import type { Place } from "../sessions/history/history.ts";

/** Whom a frame is for. */
export type Audience =
  | { readonly to: "user"; readonly userId: UserId }
  | { readonly to: "session"; readonly sessionId: SessionId }
  | { readonly to: "all" };

export type Signal =
  /** Jobs whose logs have grown, as they stand by now. */
  | { readonly kind: "jobs"; readonly jobs: readonly JobSummary[] }
  /** At `node` somebody reads the logs of these jobs as they grow: for some seconds from now it wants to be told. */
  | { readonly kind: "reading"; readonly node: string; readonly jobs: readonly JobId[] }
  /** The session changed: rooms, presence, the node that has its socket, or it is over. */
  | { readonly kind: "session"; readonly id: SessionId }
  /** There are new ones. */
  | { readonly kind: "revocations" }
  | { readonly kind: "push"; readonly audience: Audience; readonly frame: MessageFrame }
  /** For the members of `room`. `place`: where it stands in the room's history; null when the room keeps none. */
  | {
      readonly kind: "message";
      readonly room: string;
      readonly frame: MessageFrame;
      readonly place: Place | null;
    };

/** Who hears a signal, of the nodes that did not publish it: all, one, or those that listen to a room. */
export type Recipients = "all" | { readonly node: string } | { readonly room: string };

/** Signals since the start, one by one. */
export interface BackplaneCounts {
  readonly sent: number;
  readonly received: number;
  /** Could not be passed on, or were given up unsent. */
  readonly dropped: number;
  /** Messages that were not heard: nobody of this installation wrote them, or not now. */
  readonly bad: number;
  /** Calls of `onLost`. */
  readonly lost: number;
}

export interface Backplane {
  /** true: nobody else can hear, so a publisher may save itself the work. May change at any time. */
  readonly alone: boolean;
  /**
   * Whether signals flow, both ways, from and to every node that is known to be there. While they do not, what matters
   * is found by asking the stores, and this says how often that is worth it. It is noticed within a few seconds.
   */
  readonly healthy: boolean;
  readonly counts: BackplaneCounts;
  publish(signal: Signal, to?: Recipients): void;
  /** Calls `listener` with every signal of another node, in a turn of the loop of its own. */
  onSignal(listener: (signal: Signal) => void): void;
  /** Calls `listener` when signals may have been lost: it looks at everything again. */
  onLost(listener: () => void): void;
  /**
   * This node hears what is addressed to the room until `unlisten`. Resolves when that is so; when the others are out
   * of reach it resolves all the same, and the room is heard when they are back.
   */
  listen(room: string): Promise<void>;
  unlisten(room: string): void;
  /** Ids of the nodes that are said to be there now, this one among them or not: `healthy` is about these. */
  expect(nodes: readonly string[]): void;
  /**
   * Resolves when signals of others are heard, or when it is clear that they cannot be for now: the driver goes on
   * trying, and calls `onLost` when it succeeds.
   */
  start(): Promise<void>;
  stop(): Promise<void>;
}
