/** The simulation over seeds that nobody has seen yet, for as long as there is time. */
import { expect, test } from "bun:test";
import { simulate } from "../simulation/simulate.ts";

const SECONDS = Number(process.env["SIMULATION_SECONDS"] ?? 60);
/** Others each day, the same all day; `SIMULATION_FROM` names the first one. */
const FROM = Number(process.env["SIMULATION_FROM"] ?? Math.floor(Date.now() / 86_400_000) * 1_000_000);

test(
  "no seed breaks a promise",
  async () => {
    const until = performance.now() + SECONDS * 1000;
    const broken: string[] = [];
    let seed = FROM;
    for (; performance.now() < until; seed += 1) {
      const { violations } = await simulate(seed);
      for (const violation of violations) broken.push(`npm run simulate -- --seed ${seed}: ${violation}`);
    }
    expect(broken).toEqual([]);
    expect(seed).toBeGreaterThan(FROM);
  },
  (SECONDS + 60) * 1000,
);
