/**
 * The `RoomHistory` contract: messages of rooms that keep some, so that whoever was away can ask for what it missed.
 *
 * Guarantees every driver gives (held by test/conformance/room-history.ts)
 * - Every call is atomic; `append` resolves when the message is as durable as the store was configured, and in the order
 *   in which one process called it. A read sees what was resolved before.
 * - `num` grows with every message, whatever its room, and is never given twice.
 * - Of a room the newest `most` are kept and the one before them, which tells whoever has seen it that it missed nothing.
 */
import type { MessageFrame } from "../../protocol/frames.ts";

export interface KeptMessage {
  /** Its place among all messages. */
  readonly num: number;
  readonly room: string;
  /** Unique in its room. */
  readonly id: string;
  readonly from: MessageFrame["from"];
  /** JSON text. */
  readonly data: string;
  /** Wall time in ms. */
  readonly at: number;
}

/** Where a message stands among those of its room. */
export interface Place {
  readonly num: number;
  /** The number of the one before it; 0 when none is kept. */
  readonly before: number;
}

export interface RoomHistory {
  /** Keeps it, and of its room no more than `most` and one. */
  append(message: Omit<KeptMessage, "num">, most: number): Promise<Place>;
  /** Where a message stands; null when it is not kept. */
  find(room: string, id: string): Promise<number | null>;
  /** What whoever wants the newest `most` has seen already: all that come after it are these. 0: nothing. */
  before(room: string, most: number): Promise<number>;
  /** Messages of the room after `num`, in order, at most `limit`. */
  page(room: string, num: number, limit: number): Promise<readonly KeptMessage[]>;
  /** Removes at most `limit` messages that were said before that time; how many it was. */
  sweep(saidBefore: number, limit: number): Promise<number>;
}
