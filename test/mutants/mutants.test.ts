/** The list of bugs stays true: each stands in the product's source as it says, and no row of faults is without one. */
import { expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { mutate } from "../support/workshop.ts";
import { MUTANTS } from "./mutants.ts";

const ROOT = resolve(import.meta.dir, "../..");

test("each bug is one change of a text that stands in its file once, and is TypeScript afterwards", async () => {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  for (const mutant of MUTANTS) {
    const source = await Bun.file(join(ROOT, mutant.file)).text();
    const changed = mutate(mutant, source);
    expect(changed).not.toBe(source);
    expect(transpiler.transformSync(changed)).not.toBe("");
  }
});

test("each bug names a test that is there", async () => {
  for (const { test: file, title, name } of MUTANTS) {
    const source = await Bun.file(join(ROOT, "test", file)).text();
    // Titles are put together from pieces here and there; the first word of them is not.
    expect({ name, named: source.includes(title.split(" ")[0] ?? "") }).toEqual({ name, named: true });
  }
});

test("every fault of the table has a bug that its test has to notice", async () => {
  const table = await Bun.file(join(ROOT, "docs/reliability.md")).text();
  const rows = [...table.matchAll(/^\| (R\d\d) \|/gm)].map(([, row = ""]) => row);
  expect(rows).toHaveLength(50);
  const met = new Set(MUTANTS.flatMap((mutant) => mutant.rows));
  expect(rows.filter((row) => !met.has(row))).toEqual([]);
});
