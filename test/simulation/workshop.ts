/** Deliberate bugs in a copy of the product, and the simulation that is asked whether it notices. */
import { openWorkshop, type Mutation } from "../support/workshop.ts";

export interface SimulationWorkshop {
  /** What the first of the seeds says that is broken; null when none is. Throws when the text is not there once. */
  judge(mutation: Mutation | null, seeds: readonly number[]): Promise<string | null>;
  close(): void;
}

export function openSimulationWorkshop(): SimulationWorkshop {
  const workshop = openWorkshop(["test/simulation", "test/support"]);
  const run = async (seeds: readonly number[]): Promise<string | null> => {
    const child = Bun.spawn([process.execPath, "--no-env-file", "test/simulation/mutant.ts", seeds.join()], {
      cwd: workshop.folder,
      stdout: "pipe",
      stderr: "pipe",
    });
    const [said, failed, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0 && !said.startsWith("seed ")) throw new Error(`the simulation could not run: ${failed}`);
    return code === 0 ? null : said.trim();
  };
  return {
    judge: (mutation, seeds) => workshop.during(mutation, () => run(seeds)),
    close: () => workshop.close(),
  };
}
