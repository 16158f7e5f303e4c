/** The promises hold over many seeds of the simulation, the rare states are reached, and a seed is the same run again. */
import { expect, test } from "bun:test";
import { simulate } from "./simulate.ts";
import { RARE_STATES, SEEDS } from "./states.ts";
import { createSometimes } from "./trace.ts";

test("no seed breaks a promise, and every rare state is reached", async () => {
  const sometimes = createSometimes();
  const broken: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { violations } = await simulate(seed, { sometimes });
    for (const violation of violations) broken.push(`npm run simulate -- --seed ${seed}: ${violation}`);
  }
  expect(broken).toEqual([]);
  expect(RARE_STATES.filter((state) => !sometimes.counts.has(state))).toEqual([]);
}, 120_000);

test("a seed is the same run again, and another seed is another", async () => {
  const [first, again, other] = [await simulate(7), await simulate(7), await simulate(8)];
  expect(again.hash).toBe(first.hash);
  expect(again.events).toBe(first.events);
  expect(other.hash).not.toBe(first.hash);
});
