/** SIGKILL at random moments, again and again. */
import { type Clock, sleep } from "../../lib/clock.ts";
import type { ChildServer } from "../child/server.ts";
import type { Scene, Tally } from "./scene.ts";

/**
 * Between a start and the next kill, at most a quarter of the whole. Now and then it comes at once, while the server
 * recovers from the one before.
 */
const CALM_MS = { least: 500, most: 6000 };
const CALM_PART = 1 / 4;
const AT_ONCE = { share: 0.2, mostMs: 300 };
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Kills and starts again until the time is over; resolves with the server running. */
export async function killLoop({ options, child, tally, over }: Scene): Promise<void> {
  const { clock, random, seconds } = options;
  const mostMs = Math.max(CALM_MS.least, Math.min(CALM_MS.most, seconds * 1000 * CALM_PART));
  while (!over.aborted) {
    const calmMs = CALM_MS.least + random() * (mostMs - CALM_MS.least);
    if (options.kills === false) {
      await untilAborted(over);
      return;
    }
    const delayMs = random() < AT_ONCE.share ? random() * AT_ONCE.mostMs : calmMs;
    try {
      await sleep(clock, delayMs, over);
    } catch {
      return;
    }
    const killedMs = clock.elapsedMs();
    tally.backMs = null;
    await child.kill();
    tally.kills += 1;
    await child.start();
    const backMs = clock.elapsedMs();
    tally.backMs = backMs;
    tally.recovery.push(backMs - killedMs);
    options.onStarted?.(child);
  }
}

/** A key that interrupts us interrupts the child as well: one that drains would refuse what is still to be answered. */
export async function startAnew(child: ChildServer, clock: Clock, tally: Tally): Promise<void> {
  tally.backMs = null;
  await child.kill();
  await child.start();
  tally.backMs = clock.elapsedMs();
}
