/**
 * Ten minutes of the selftest's load and kills, and ten of its load without kills: nothing is lost, and the memory of a
 * server that lives as long as the load stays where it was.
 */
import { expect, test } from "bun:test";
import { runSelftest } from "../../src/cli/selftest/run.ts";
import type { Report } from "../../src/cli/selftest/scene.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { percentile } from "../../src/lib/percentile.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { temporaryFolder } from "../cli/holdline.ts";

const SECONDS = 600;
const LIMIT_MS = (SECONDS + 240) * 1000;
const SAMPLE_MS = 1000;
/** What the median of the last fifth may be above that of the second: the allocator's own moods. */
const GROWTH = 1.15;

interface Measured {
  readonly report: Report;
  /** Resident bytes of the server, once a second. */
  readonly resident: readonly number[];
}

async function run(options: { readonly kills: boolean }): Promise<Measured> {
  await using folder = await temporaryFolder();
  const clock = createSystemClock();
  const resident: number[] = [];
  let residentBytes = (): number | null => null;
  const sampling = clock.every(SAMPLE_MS, () => {
    const bytes = residentBytes();
    if (bytes !== null) resident.push(bytes);
  });
  try {
    const report = await runSelftest({
      ...options,
      folder: folder.path,
      durability: "power",
      maxLostLeases: LIMITS.maxLostLeases,
      seconds: SECONDS,
      clients: 24,
      clock,
      random: Math.random,
      signal: new AbortController().signal,
      onStarted: (child) => {
        residentBytes = () => child.residentBytes();
      },
    });
    return { report, resident: resident.slice(0, SECONDS) };
  } finally {
    sampling.cancel();
  }
}

/** The median of the n-th fifth (from 0) of the samples. */
function medianOfFifth(samples: readonly number[], n: number): number {
  const fifth = Math.floor(samples.length / 5);
  return percentile(samples.slice(n * fifth, (n + 1) * fifth), 0.5) ?? Number.NaN;
}

test(
  "faults/R03: ten minutes of kills under load lose, double and contradict nothing, and clients are back within a second",
  async () => {
    const { report } = await run({ kills: true });
    process.stdout.write(`${JSON.stringify({ ...report, flaws: report.flaws.slice(0, 5) })}\n`);
    expect(report.flaws).toEqual([]);
    expect(report.answered).toBe(report.accepted);
    expect(report.kills).toBeGreaterThan(SECONDS / 10);
    expect(report.reconnectMs.p99 ?? Number.NaN).toBeLessThan(1000);
  },
  LIMIT_MS,
);

test(
  "ten minutes of load leave the memory of the server where it was",
  async () => {
    const { report, resident } = await run({ kills: false });
    const [early, late] = [medianOfFifth(resident, 1), medianOfFifth(resident, 4)];
    process.stdout.write(
      `${JSON.stringify({ accepted: report.accepted, events: report.events, early, late })}\n`,
    );
    expect(report.flaws).toEqual([]);
    expect(report.kills).toBe(0);
    expect(resident.length).toBeGreaterThan(SECONDS / 2);
    expect(late / early).toBeLessThan(GROWTH);
  },
  LIMIT_MS,
);
