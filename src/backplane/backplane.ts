/**
 * The `Backplane` contract: what the nodes of one installation tell each other, beside the stores that they share.
 *
 * The stores carry the truth, the backplane carries hints. A signal may be lost, come late or come again, and what a
 * node does because of one must be right in each of these cases:
 * - `jobs`, `session` and `revocations` only say where to look. Whoever hears one reads the store and acts on what
 *   stands there; a false one costs a read. Whoever missed one finds out by looking by itself, now and then.
 * - `push` and `message` bear what is to be delivered, since nobody keeps it. One that is lost is lost: these are
 *   promised to nobody (docs/protocol.md). A node delivers a `message` that names a speaker only if the store knows
 *   that session as a member of the room.
 *
 * Guarantees every driver gives (held by test/conformance/backplane.ts)
 * - A signal reaches every other node that is there, at most once unless the driver says that it may repeat, and never
 *   the node that published it: that one has acted already.
 * - Of one publisher's signals, those that arrive arrive in the order in which it published them. Between two
 *   publishers there is no order.
 * - `publish` neither waits nor throws, and never calls a listener itself. What a driver cannot pass on it drops, so
 *   that its memory stays bounded while the others are out of reach.
 * - A listener that throws harms neither other listeners nor the next signal.
 * - After signals may have been lost (a connection that broke and came back) `onLost` is called, behind all signals
 *   from before and ahead of those that follow.
 * - Only nodes of this installation can publish: the driver's connection is authenticated, or each signal is.
 * - After `stop` nothing is heard and nothing is sent.
 */
import type { JobSummary } from "../jobs/job.ts";
import type { SessionId, UserId } from "../lib/ids.ts";
import type { MessageFrame } from "../protocol/frames.ts";

/** Whom a frame is for. */
export type Audience =
  | { readonly to: "user"; readonly userId: UserId }
  | { readonly to: "session"; readonly sessionId: SessionId }
  | { readonly to: "all" };

export type Signal =
  /** Jobs whose logs have grown, as they stand by now. */
  | { readonly kind: "jobs"; readonly jobs: readonly JobSummary[] }
  /** The session changed: rooms, presence, the node that has its socket, or it is over. */
  | { readonly kind: "session"; readonly id: SessionId }
  /** There are new ones. */
  | { readonly kind: "revocations" }
  | { readonly kind: "push"; readonly audience: Audience; readonly frame: MessageFrame }
  /** For the members of `room`. `num`: where it stands in the room's history; null when the room keeps none. */
  | {
      readonly kind: "message";
      readonly room: string;
      readonly frame: MessageFrame;
      readonly num: number | null;
    };

export interface Backplane {
  /** true: nobody else can hear, so a publisher may save itself the work. May change at any time. */
  readonly alone: boolean;
  publish(signal: Signal): void;
  /** Calls `listener` with every signal of another node, in a turn of the loop of its own. */
  onSignal(listener: (signal: Signal) => void): void;
  /** Calls `listener` when signals may have been lost: it looks at everything again. */
  onLost(listener: () => void): void;
  /** Resolves when signals of others are heard. */
  start(): Promise<void>;
  stop(): Promise<void>;
}
