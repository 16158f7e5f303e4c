/** Whether something answers in time, asked at most once in a while however many want to know. */
import type { Clock } from "../lib/clock.ts";

export interface ProbeOptions {
  /** One question; a rejection is an answer of "no". */
  readonly ask: () => Promise<unknown>;
  readonly clock: Clock;
  /** No answer by then is "no". */
  readonly deadlineMs: number;
  /** How long an answer is good for. */
  readonly freshMs: number;
}

/** Never rejects. */
export type Probe = () => Promise<boolean>;

export function createProbe({ ask, clock, deadlineMs, freshMs }: ProbeOptions): Probe {
  let asking: Promise<boolean> | null = null;
  let looking: Promise<boolean> | null = null;
  let known: { readonly answered: boolean; readonly untilMs: number } | null = null;

  /** A question that got no answer yet is not asked again: questions must not pile up before something that hangs. */
  const question = (): Promise<boolean> => {
    asking ??= ask()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        asking = null;
      });
    return asking;
  };

  const look = async (): Promise<boolean> => {
    const late = Promise.withResolvers<boolean>();
    const timer = clock.after(deadlineMs, () => late.resolve(false));
    const answered = await Promise.race([question(), late.promise]);
    timer.cancel();
    known = { answered, untilMs: clock.steadyMs() + freshMs };
    looking = null;
    return answered;
  };

  return () => {
    if (known !== null && clock.steadyMs() < known.untilMs) return Promise.resolve(known.answered);
    looking ??= look();
    return looking;
  };
}
