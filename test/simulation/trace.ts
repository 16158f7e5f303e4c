/** What happened, line by line: hashed always, so that two runs of a seed can be compared; kept when somebody reads it. */
import type { Timeline } from "./timeline.ts";

export interface Trace {
  note(what: string): void;
  /** Of everything noted so far. */
  readonly hash: string;
  /** The last lines, or all of them. */
  readonly lines: readonly string[];
}

/** Enough of them to see what led to a violation. */
const KEPT = 60;

export function createTrace(timeline: Timeline, keepAll: boolean): Trace {
  let hash = 0n;
  const lines: string[] = [];
  return {
    note(what) {
      const line = `${timeline.nowMs.toFixed(3).padStart(11)}  ${what}`;
      hash = Bun.hash.wyhash(line, hash);
      lines.push(line);
      if (!keepAll && lines.length > KEPT * 2) lines.splice(0, KEPT);
    },
    get hash() {
      return hash.toString(16).padStart(16, "0");
    },
    get lines() {
      return lines;
    },
  };
}

/** Rare states, counted: a suite of seeds proves that it reached them. */
export interface Sometimes {
  readonly counts: ReadonlyMap<string, number>;
  reached(state: string): void;
}

export function createSometimes(): Sometimes {
  const counts = new Map<string, number>();
  return {
    counts,
    reached(state) {
      counts.set(state, (counts.get(state) ?? 0) + 1);
    },
  };
}
