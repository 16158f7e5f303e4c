/**
 * Time, passed in: the only file that touches the runtime's clocks and timers, so that a test can own them.
 *
 * Two readings, because wall clocks jump: `wallMs` is for humans and tokens (`at`, `createdAt`, `exp`), `steadyMs` for
 * everything that waits (leases, back-off, expiry). `steadyMs` is anchored to the wall clock when the process starts
 * and then only moves forward at one rate, so that its values can be stored and compared after a restart.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the epoch by the wall clock; may jump either way. */
  wallMs(): number;
  /** Milliseconds since the epoch as of process start plus the time that really went by; never jumps. */
  steadyMs(): number;
  /** Runs once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Runs every `intervalMs` until cancelled. The timer does not keep the process alive. */
  every(intervalMs: number, run: () => void): Timer;
}

/** Both readings of one moment: wall time is shown, steady time is compared. */
export interface Instant {
  readonly wallMs: number;
  readonly steadyMs: number;
}

/** This moment; wall time in whole milliseconds, as it is shown. */
export function instant(clock: Clock): Instant {
  return { wallMs: Math.round(clock.wallMs()), steadyMs: clock.steadyMs() };
}

/** setTimeout counts in 31 bits; a longer delay would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export function createSystemClock(): Clock {
  const anchorMs = Date.now() - performance.now();
  return {
    wallMs: () => Date.now(),
    steadyMs: () => anchorMs + performance.now(),
    after(delayMs, run) {
      const timer = setTimeout(run, Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS));
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
    every(intervalMs, run) {
      const timer = setInterval(run, intervalMs);
      timer.unref();
      return { cancel: () => clearInterval(timer) };
    },
  };
}

/** Resolves after `delayMs`; rejects with the signal's reason when that is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
