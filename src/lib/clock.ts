/**
 * Time, passed in: the only file that touches the runtime's clocks and timers, so that a test can own them.
 *
 * Several readings, because wall clocks jump and processes are stopped: `wallMs` is for humans and tokens (`at`,
 * `createdAt`, `exp`), `steadyMs` for everything that waits (leases, back-off, expiry), `elapsedMs` for measuring.
 * `steadyMs` is anchored to the wall clock when the process starts and then only moves forward at one rate, so that its
 * values can be stored and compared after a restart. It stands still while the process does (SIGSTOP, a blocked loop):
 * nobody may be judged by time in which nobody listened.
 *
 * Where several processes share a database both readings follow that one's clock (`follow`), so that what one of them
 * stores means the same to all of them, whatever the clocks of their machines say.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the epoch by the wall clock; may jump either way. */
  wallMs(): number;
  /** Milliseconds since the epoch as of process start plus the time that this process ran; never jumps. */
  steadyMs(): number;
  /** Milliseconds that really went by since some moment, pauses of this process included. */
  elapsedMs(): number;
  /** Runs once after `delayMs` of steady time. The timer does not keep the process alive. */
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

/** How often the clock makes sure that its process runs, and the most that counts between two of these looks. */
const LOOK_MS = 250;
const PAUSE_MS = 1000;

/** A timer may fire this much before its time without being sent back to wait. */
const EARLY_MS = 2;

/** A clock that is told what time it is elsewhere, and goes by it. */
export interface Follower {
  /**
   * It was so at some moment since `askedMs` (`elapsedMs`). The first telling sets both readings; it is for the start,
   * before anything waits. From then on what is behind catches up at once, and steady time that is ahead stands still
   * until the other has caught up; what lies within the uncertainty of the answer is left as it is.
   */
  follow(told: Instant, askedMs: number): void;
}

/** The machine's own clock, which knows how far the processes before this one had come. */
export interface SystemClock extends Clock, Follower {
  /**
   * Steady time goes on from this reading at the earliest, though the wall clock may have been set back meanwhile: what
   * an earlier process stored must not lie in the future. For the start, before anything waits.
   */
  resume(leastSteadyMs: number): void;
}

export function createSystemClock(): SystemClock {
  let seenMs = performance.now();
  /** Steady time at `seenMs`. */
  let reachedMs = Date.now();
  /** How far steady time is ahead of the clock that it follows. */
  let aheadMs = 0;
  /** Wall time at `elapsedMs` 0 by the clock that is followed; null: this machine's own is good. */
  let wallAtZeroMs: number | null = null;
  const passed = (nowMs: number): number => Math.min(nowMs - seenMs, PAUSE_MS);
  const steadyMs = (): number => reachedMs + Math.max(passed(performance.now()) - aheadMs, 0);
  const look = (): void => {
    const nowMs = performance.now();
    const passedMs = passed(nowMs);
    reachedMs += Math.max(passedMs - aheadMs, 0);
    aheadMs = Math.max(aheadMs - passedMs, 0);
    seenMs = nowMs;
  };
  const wallMs = (): number => (wallAtZeroMs === null ? Date.now() : wallAtZeroMs + performance.now());
  setInterval(look, LOOK_MS).unref();
  return {
    wallMs,
    steadyMs,
    elapsedMs: () => performance.now(),
    follow(told, askedMs) {
      look();
      const uncertainMs = seenMs - askedMs;
      if (wallAtZeroMs === null) {
        reachedMs = told.steadyMs + uncertainMs / 2;
        wallAtZeroMs = told.wallMs + uncertainMs / 2 - seenMs;
        return;
      }
      reachedMs = Math.max(reachedMs, told.steadyMs);
      aheadMs = Math.max(reachedMs - told.steadyMs - uncertainMs, 0);
      wallAtZeroMs = Math.min(
        Math.max(wallAtZeroMs, told.wallMs - seenMs),
        told.wallMs + uncertainMs - seenMs,
      );
    },
    resume(leastSteadyMs) {
      reachedMs += Math.max(leastSteadyMs - steadyMs(), 0);
    },
    after(delayMs, run) {
      const dueMs = steadyMs() + delayMs;
      let timer: ReturnType<typeof setTimeout>;
      const wait = (leftMs: number): void => {
        timer = setTimeout(ring, Math.min(Math.max(leftMs, 0), LONGEST_DELAY_MS));
        timer.unref();
      };
      const ring = (): void => {
        const leftMs = dueMs - steadyMs();
        if (leftMs > EARLY_MS) wait(leftMs);
        else run();
      };
      wait(delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    every(intervalMs, run) {
      const timer = setInterval(run, intervalMs);
      timer.unref();
      return { cancel: () => clearInterval(timer) };
    },
  };
}

/** Keeps the process alive until the returned function is called: timers do not, and there may be nothing else. */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, LONGEST_DELAY_MS);
  return () => clearInterval(timer);
}

const NOBODY = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Stops this thread for that long, and some 0.1 ms more. Never in the thread of the event loop. */
export function pauseThread(delayMs: number): void {
  Atomics.wait(NOBODY, 0, 0, delayMs);
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
