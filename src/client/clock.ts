/**
 * Time for code that runs in a page: the browser's timers behind the part of the server's clock that a client needs.
 * A simulation or a test passes its own; any `Clock` of the server fits.
 */

export interface ClientTimer {
  cancel(): void;
}

export interface ClientClock {
  /** Milliseconds that only move forward; only differences mean anything. */
  steadyMs(): number;
  /** Runs once after `delayMs`. */
  after(delayMs: number, run: () => void): ClientTimer;
}

/** The runtime's own timers. */
export function createBrowserClock(): ClientClock {
  return {
    steadyMs: () => performance.now(),
    after(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
