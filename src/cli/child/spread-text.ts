/** Measured durations in words, the same in every report. */
import type { Spread } from "../../lib/percentile.ts";

/** `1.3 ms`, `250 ms`; a dash when nothing was measured. */
export function inMs(value: number | null): string {
  return value === null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function spreadText({ p50, p99, most }: Spread): string {
  return `p50 ${inMs(p50)}   p99 ${inMs(p99)}   most ${inMs(most)}`;
}
