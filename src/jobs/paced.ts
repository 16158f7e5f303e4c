/**
 * Reads of logs take turns, whoever asks: a few at a time, and for a small share of each turn of the event loop. Otherwise
 * a replay of a million entries to somebody who takes them as fast as they come would be one piece of work.
 */
import type { Clock } from "../lib/clock.ts";
import { createLanes } from "../lib/lanes.ts";
import { createLoopShare } from "../lib/loop-share.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { JobStore } from "./store.ts";

/** The same store; a page of a log comes when it is its turn. */
export function pacedLogs(store: JobStore, clock: Clock): JobStore {
  const before = createLoopShare({ clock, sliceMs: LIMITS.logReadSliceMs });
  const lanes = createLanes({ most: LIMITS.logReads, before });
  return {
    ...store,
    events: (id, query) => lanes.run(() => store.events(id, query)),
    audioChunks: (id, after) => lanes.run(() => store.audioChunks(id, after)),
  };
}
