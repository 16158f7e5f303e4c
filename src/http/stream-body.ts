/** The body of an answer that follows a log: read as fast as its reader takes it, and given up when that takes nothing. */
import type { Clock, Timer } from "../lib/clock.ts";

export interface StreamBodyOptions<Page> {
  /** In order; ended by its consumer when the reader is gone. */
  readonly pages: AsyncGenerator<Page>;
  readonly encode: (page: Page) => string;
  /** Sent at once, so that the headers go out. Empty: nothing is. */
  readonly opening: string;
  /** Asked right before each page; false ends the stream. */
  readonly mayGoOn: () => Promise<boolean>;
  readonly clock: Pick<Clock, "after">;
  /** How long the reader may leave a page lying. */
  readonly stalledMs: number;
  /** It did: nothing is read for it any more, and its connection should end. */
  readonly onStalled: () => void;
  /** Called once, whatever ended the stream; wakes `pages` if it waits. */
  readonly onEnd: () => void;
}

/** One page at most is read ahead of the reader. */
export function streamBody<Page>(options: StreamBodyOptions<Page>): ReadableStream<Uint8Array> {
  const { pages, clock } = options;
  const encoder = new TextEncoder();
  let stall: Timer | null = null;
  let ended = false;

  const end = (): void => {
    if (ended) return;
    ended = true;
    stall?.cancel();
    options.onEnd();
    // A generator that stands at a `yield` lets go of what it holds only when it is told.
    pages.return(undefined).catch(() => undefined);
  };
  const stalled = (): void => {
    end();
    options.onStalled();
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (options.opening !== "") controller.enqueue(encoder.encode(options.opening));
      },
      // Pulled by the socket: a reader that stops reading stops the reading of the log.
      async pull(controller) {
        stall?.cancel();
        try {
          const { done, value } = ended ? { done: true, value: null } : await pages.next();
          if (done === true || value === null || !(await options.mayGoOn())) {
            end();
            controller.close();
            return;
          }
          controller.enqueue(encoder.encode(options.encode(value)));
          if (!ended) stall = clock.after(options.stalledMs, stalled);
        } catch (error) {
          end();
          throw error;
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
