/**
 * Heavy computing. `isolate` gives each run a thread, so that it delays nobody; checkpoints let a run that was cut short
 * (a restart, a crash) go on where the one before had been. Its output starts anew, as every run's does.
 */
import { defineHandler, JobError, z } from "holdline";

interface Found {
  readonly last: number;
  readonly count: number;
}

function isPrime(candidate: number): boolean {
  for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) {
    if (candidate % divisor === 0) return false;
  }
  return candidate > 1;
}

export default defineHandler({
  type: "primes",
  input: z.object({ below: z.int().min(2).max(50_000_000) }),
  output: ["text"],
  isolate: true,
  timeoutMs: 10 * 60_000,
  async run(job, { below }) {
    const before = job.lastCheckpoint as Found | null;
    let { last, count } = before ?? { last: 1, count: 0 };
    if (last >= below)
      throw new JobError("checkpoint_ahead", "The checkpoint is past the end.", { retryable: false });
    while (last < below - 1) {
      const until = Math.min(last + 100_000, below - 1);
      for (let candidate = last + 1; candidate <= until; candidate += 1) if (isPrime(candidate)) count += 1;
      last = until;
      await job.checkpoint({ last, count });
      await job.text(`${count} primes up to ${last}\n`);
      await job.progress(last / below);
    }
    return { below, count };
  },
});
