/** A copy of the product to break: where a deliberate bug is built in, and the simulation is asked whether it notices. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Mutation } from "./mutations.ts";

const ROOT = resolve(import.meta.dir, "../..");
/** What the simulation needs of the checkout. */
const COPIED = ["src", "migrations", "package.json", "tsconfig.json", "test/simulation", "test/support"];

export interface Workshop {
  /** What the first of the seeds says that is broken; null when none is. Throws when the text is not there once. */
  judge(mutation: Mutation | null, seeds: readonly number[]): Promise<string | null>;
  close(): void;
}

export function openWorkshop(): Workshop {
  const folder = mkdtempSync(join(tmpdir(), "holdline-mutants-"));
  for (const path of COPIED) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));

  const run = async (seeds: readonly number[]): Promise<string | null> => {
    const child = Bun.spawn([process.execPath, "--no-env-file", "test/simulation/mutant.ts", seeds.join()], {
      cwd: folder,
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
    async judge(mutation, seeds) {
      if (mutation === null) return run(seeds);
      const path = join(folder, mutation.file);
      const original = readFileSync(path, "utf8");
      const places = original.split(mutation.text).length - 1;
      if (places !== 1)
        throw new Error(`“${mutation.name}”: its text stands in ${mutation.file} ${places} times`);
      writeFileSync(
        path,
        original.replace(mutation.text, () => mutation.instead),
      );
      try {
        return await run(seeds);
      } finally {
        writeFileSync(path, original);
      }
    },
    close: () => rmSync(folder, { recursive: true }),
  };
}
