/** Pairs the frames a client sends with the answers that name them in `re`. */
import type { ClientFrame, ServerFrame } from "../protocol/frames.ts";

/** An answer; null when the connection went before one came. */
export type Answer = Extract<ServerFrame, { type: "attached" | "history" | "ok" | "error" }> | null;

type WithoutId<Frame> = Frame extends unknown ? Omit<Frame, "id"> : never;
export type Ask = WithoutId<Exclude<ClientFrame, { type: "pong" }>>;

export interface Requests {
  /** Sends `ask` under an id of its own; false when there is no connection, and then `onAnswer` is never called. */
  ask(ask: Ask, onAnswer: (answer: Answer) => void): boolean;
  /** Hands an answer to whoever waits for it; runs before the next frame is looked at. */
  answered(answer: NonNullable<Answer>): void;
  /** Answers everything that still waits with null. */
  abandon(): void;
}

export function createRequests(send: (frame: ClientFrame) => boolean): Requests {
  const waiting = new Map<string, (answer: Answer) => void>();
  let last = 0;
  return {
    ask(ask, onAnswer) {
      last += 1;
      const id = `c${last}`;
      waiting.set(id, onAnswer);
      const sent = send({ ...ask, id });
      if (!sent) waiting.delete(id);
      return sent;
    },
    answered(answer) {
      const onAnswer = answer.re === undefined ? undefined : waiting.get(answer.re);
      if (answer.re === undefined || onAnswer === undefined) return;
      waiting.delete(answer.re);
      onAnswer(answer);
    },
    abandon() {
      const lost = [...waiting.values()];
      waiting.clear();
      for (const onAnswer of lost) onAnswer(null);
    },
  };
}
