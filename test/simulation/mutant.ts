/** Runs the simulation over the given seeds (1,2,3) until one is broken, and says which. Exit code 1: one was. */
import { simulate } from "./simulate.ts";

for (const seed of (process.argv[2] ?? "").split(",").map(Number)) {
  const { violations } = await simulate(seed);
  if (violations.length === 0) continue;
  process.stdout.write(`seed ${seed}: ${violations[0]}\n`);
  process.exit(1);
}
