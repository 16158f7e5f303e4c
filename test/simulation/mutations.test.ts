/** The simulation notices deliberate bugs: each is built into a copy of the product, and a seed has to find it. */
import { expect, test } from "bun:test";
import { MUTATIONS } from "./mutations.ts";
import { openSimulationWorkshop } from "./workshop.ts";

/** Copies of the product that are tried at a time. */
const WORKSHOPS = 2;

/** Most seeds that may be needed for one bug. */
const MOST = 200;

function seedsFrom(first: number): number[] {
  return Array.from({ length: MOST }, (_, index) => 1 + ((first - 1 + index) % MOST));
}

test("every deliberate bug is found, and without one the same seeds find nothing", async () => {
  const waiting = [...MUTATIONS];
  const missed: string[] = [];
  const work = async (): Promise<void> => {
    const workshop = openSimulationWorkshop();
    try {
      for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
        const found = await workshop.judge(mutation, seedsFrom(mutation.seed));
        if (found === null) missed.push(mutation.name);
      }
    } finally {
      workshop.close();
    }
  };
  await Promise.all(Array.from({ length: WORKSHOPS }, work));
  expect(missed).toEqual([]);

  const workshop = openSimulationWorkshop();
  try {
    const seeds = [...new Set(MUTATIONS.map(({ seed }) => seed))];
    expect(await workshop.judge(null, seeds)).toBeNull();
  } finally {
    workshop.close();
  }
}, 120_000);

test("a deliberate bug whose text is gone is told, not passed over", async () => {
  const workshop = openSimulationWorkshop();
  try {
    const gone = { name: "gone", file: "src/app.ts", text: "no such text", instead: "" };
    expect(workshop.judge(gone, [1])).rejects.toThrow("stands in src/app.ts 0 times");
  } finally {
    workshop.close();
  }
});
