/** What passes between the nodes, and what does not. */
import { counter, gauge, type Family } from "./exposition.ts";

/** As much of the backplane as is shown. */
export interface BackplaneReading {
  readonly healthy: boolean;
  readonly counts: {
    readonly sent: number;
    readonly received: number;
    readonly dropped: number;
    readonly bad: number;
    readonly lost: number;
  };
}

export function backplaneFamilies({ healthy, counts }: BackplaneReading): readonly Family[] {
  return [
    gauge("holdline_backplane_healthy", "1: every node is heard, and hears this one.", healthy ? 1 : 0),
    counter("holdline_backplane_sent_total", "Signals that went out to other nodes.", counts.sent),
    counter("holdline_backplane_received_total", "Signals of other nodes that were heard.", counts.received),
    counter("holdline_backplane_dropped_total", "Signals that could not be sent.", counts.dropped),
    counter(
      "holdline_backplane_bad_total",
      "Messages that were not heard: not of this installation, repeated, or too old.",
      counts.bad,
    ),
    counter(
      "holdline_backplane_lost_total",
      "How often signals may have been lost, and everything was looked at.",
      counts.lost,
    ),
  ];
}
