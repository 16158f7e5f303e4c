/** `npm run simulate -- --seed N`: runs one seed and prints its trace; `--seeds N --from M`: many, and what they reached. */
import { parseArgs } from "node:util";
import { simulate } from "./simulate.ts";
import { createSometimes } from "./trace.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    /** Ends after the first seed that breaks something. */
    first: { type: "boolean", default: false },
  },
});

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function runOne(seed: number): Promise<boolean> {
  const { violations, hash, faults, lines, jobs, events, virtualMs } = await simulate(seed, {
    keepAll: true,
  });
  for (const line of lines) say(line);
  say(`seed ${seed}: ${faults}`);
  say(`${jobs} jobs, ${events} events, ${(virtualMs / 1000).toFixed(1)} virtual seconds, trace ${hash}`);
  for (const violation of violations) say(`broken: ${violation}`);
  return violations.length === 0;
}

async function runMany(from: number, count: number): Promise<boolean> {
  const sometimes = createSometimes();
  let broken = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const { violations } = await simulate(seed, { sometimes });
    if (violations.length === 0) continue;
    broken += 1;
    say(`seed ${seed}: ${violations[0]}   (npm run simulate -- --seed ${seed})`);
    if (values.first) break;
  }
  const states = [...sometimes.counts].toSorted(([a], [b]) => a.localeCompare(b));
  for (const [state, count_] of states) say(`${String(count_).padStart(8)}  ${state}`);
  say(`${count} seeds, ${broken} broken`);
  return broken === 0;
}

const isWhole = await (values.seed === undefined
  ? runMany(Number(values.from), Number(values.seeds))
  : runOne(Number(values.seed)));
process.exitCode = isWhole ? 0 : 1;
