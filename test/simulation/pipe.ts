/** One direction of one connection: what goes in comes out once, in order and later, or never once it is cut. */
import type { Timer } from "../../src/lib/clock.ts";
import type { Timeline } from "./timeline.ts";

export interface PipeOptions {
  readonly timeline: Timeline;
  /** How long the next piece is under way. */
  readonly latencyMs: () => number;
  /** Nothing comes out before (dark cable, partition); what is in it waits. */
  readonly darkUntilMs: () => number;
  /** Called when a piece has come out, with its size. */
  readonly onDelivered?: (bytes: number) => void;
}

interface Piece {
  readonly dueMs: number;
  readonly bytes: number;
  readonly deliver: () => void;
}

export class Pipe {
  readonly #options: PipeOptions;
  readonly #pieces: Piece[] = [];
  #timer: Timer | null = null;
  #cut = false;
  /** Bytes under way. */
  bytes = 0;

  constructor(options: PipeOptions) {
    this.#options = options;
  }

  push(bytes: number, deliver: () => void): void {
    if (this.#cut) return;
    const { timeline, latencyMs } = this.#options;
    this.#pieces.push({ dueMs: timeline.nowMs + latencyMs(), bytes, deliver });
    this.bytes += bytes;
    if (this.#timer === null) this.#wait();
  }

  /** What is under way is lost, and nothing goes in any more. */
  cut(): void {
    this.#cut = true;
    this.#pieces.length = 0;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #wait(): void {
    const next = this.#pieces[0];
    const { timeline } = this.#options;
    this.#timer = next === undefined ? null : timeline.after(next.dueMs - timeline.nowMs, () => this.#come());
  }

  #come(): void {
    const { timeline, darkUntilMs, onDelivered } = this.#options;
    const darkMs = darkUntilMs() - timeline.nowMs;
    if (darkMs > 0) {
      // Looked at again now and then, since the dark may end earlier than it was going to.
      this.#timer = timeline.after(Math.min(darkMs, 1000), () => this.#come());
      return;
    }
    const piece = this.#pieces.shift();
    this.#wait();
    if (piece === undefined) return;
    this.bytes -= piece.bytes;
    piece.deliver();
    onDelivered?.(piece.bytes);
  }
}
