/** How long the store takes to commit, how much goes into one commit, and what it did not take. */
import { counter, type Family } from "./exposition.ts";
import { createHistogram } from "./histogram.ts";

/** As much of a batch of writes as is counted. */
export interface CommittedBatch {
  readonly commands: number;
  readonly tookMs: number;
  /** Commands that the storage did not take. */
  readonly refused: number;
}

export interface WriteCounters {
  batch(batch: CommittedBatch): void;
  families(): readonly Family[];
}

/** Commands of one commit, up to the most that go together. */
const BATCH_BOUNDS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

export function createWriteCounters(): WriteCounters {
  const durations = createHistogram();
  const sizes = createHistogram(BATCH_BOUNDS);
  let refusals = 0;
  return {
    batch({ commands, tookMs, refused }) {
      durations.observe(tookMs / 1000);
      sizes.observe(commands);
      refusals += refused;
    },
    families: () => [
      {
        name: "holdline_commit_duration_seconds",
        help: "Time of one commit, from handing its commands to the database until it answered.",
        type: "histogram",
        samples: [{ reading: durations.read() }],
      },
      {
        name: "holdline_commit_commands",
        help: "Commands that went into one commit.",
        type: "histogram",
        samples: [{ reading: sizes.read() }],
      },
      counter(
        "holdline_writes_refused_total",
        "Commands that the storage did not take: no room, or somebody else's lock.",
        refusals,
      ),
    ],
  };
}
