/**
 * Tells the server how far each job was handled: the end of a job at once, the way there now and then, and never so
 * often that acknowledgements alone use up a user's frames per minute.
 */
import type { ClientFrame } from "../protocol/frames.ts";
import type { ClientClock, ClientTimer } from "./clock.ts";

const EVERY_MS = 2000;
const BURST = 60;
const PER_SECOND = 4;

export interface Acks {
  /** `seq` and everything before it was given to the application. */
  handled(job: string, seq: number, terminal: boolean): void;
  /** Sends what waits as far as the budget goes: after a welcome. */
  flush(): void;
  stop(): void;
}

export interface AcksOptions {
  readonly clock: ClientClock;
  /** False when there is no connection; the acknowledgement waits for the next. */
  send(frame: ClientFrame): boolean;
}

export function createAcks(options: AcksOptions): Acks {
  const { clock } = options;
  // A Map keeps the order of insertion, so that the longest-waiting job is served first.
  const ends = new Map<string, number>();
  const ways = new Map<string, number>();
  let budget = BURST;
  let refilledAtMs = clock.steadyMs();
  let timer: ClientTimer | null = null;

  function send(waiting: Map<string, number>): void {
    const nowMs = clock.steadyMs();
    budget = Math.min(BURST, budget + ((nowMs - refilledAtMs) / 1000) * PER_SECOND);
    refilledAtMs = nowMs;
    for (const [job, seq] of waiting) {
      if (budget < 1 || !options.send({ type: "ack", job, seq })) break;
      waiting.delete(job);
      budget -= 1;
    }
    if (waiting.size > 0) later();
  }
  function flush(): void {
    send(ends);
    send(ways);
  }
  function later(): void {
    timer ??= clock.after(EVERY_MS, () => {
      timer = null;
      flush();
    });
  }

  return {
    handled(job, seq, terminal) {
      if (terminal) {
        ways.delete(job);
        ends.set(job, seq);
        send(ends);
      } else {
        ways.set(job, seq);
        later();
      }
    },
    flush,
    stop() {
      timer?.cancel();
      timer = null;
    },
  };
}
