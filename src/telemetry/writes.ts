/** How long the store takes to commit, measured on one command at a time so that all others pay a single comparison. */
import type { Clock } from "../lib/clock.ts";
import type { Family } from "./exposition.ts";
import { createHistogram } from "./histogram.ts";

export interface WriteTimes {
  /** A command that was just given to the store; gives back the same promise. */
  watch<Outcome>(write: Promise<Outcome>): Promise<Outcome>;
  families(): readonly Family[];
}

export function createWriteTimes(clock: Clock): WriteTimes {
  const durations = createHistogram();
  let failures = 0;
  let timing = false;
  return {
    watch(write) {
      if (timing) return write;
      timing = true;
      const begun = clock.elapsedMs();
      const settled = (failed: boolean): void => {
        timing = false;
        durations.observe((clock.elapsedMs() - begun) / 1000);
        if (failed) failures += 1;
      };
      void write.then(
        () => settled(false),
        () => settled(true),
      );
      return write;
    },
    families: () => [
      {
        name: "holdline_commit_duration_seconds",
        help: "Time from giving the store a command to its commit, waiting for the batch included; one command is timed at a time.",
        type: "histogram",
        samples: [{ reading: durations.read() }],
      },
      {
        name: "holdline_commit_failures_total",
        help: "Those of the timed commands that were not committed.",
        type: "counter",
        samples: [{ value: failures }],
      },
    ],
  };
}
