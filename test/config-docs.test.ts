/** The README's table of settings is made from the code; this holds the one against the other. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { Glob } from "bun";
import { describeConfig, settingsTable, tablesDocumentation } from "../src/config.ts";
import { TABLE_BEGIN, TABLE_END } from "../src/config/describe.ts";
import { TABLES_BEGIN, TABLES_END } from "../src/config/file-tables.ts";

test.each([
  [TABLE_BEGIN, TABLE_END, settingsTable()],
  [TABLES_BEGIN, TABLES_END, tablesDocumentation()],
])("the README carries what `holdline config docs` prints from %s to %s", async (first, last, printed) => {
  const readme = await Bun.file(resolve(import.meta.dir, "../README.md")).text();
  const begin = readme.indexOf(first);
  const end = readme.indexOf(last);
  expect(begin).toBeGreaterThan(-1);
  expect(end).toBeGreaterThan(begin);
  expect(readme.slice(begin, end + last.length)).toBe(printed);
});

test("the table has one well-formed row for every setting", () => {
  const rows = settingsTable()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows.map((row) => row.split("`")[1])).toEqual(describeConfig().map(({ variable }) => variable));
  for (const row of rows) expect(row.match(/\|/g)).toHaveLength(4);
});

test("the page about scaling names settings and metrics that there are", async () => {
  const root = resolve(import.meta.dir, "..");
  const page = await Bun.file(`${root}/docs/scaling.md`).text();
  const variables = new Set(describeConfig().map(({ variable }) => variable));
  const named = [...page.matchAll(/`(HOLDLINE_\w+)/g)].map(([, name = ""]) => name);
  expect(named.filter((name) => !variables.has(name))).toEqual([]);
  const telemetry = [...new Glob("src/telemetry/*.ts").scanSync(root)].map((file) =>
    Bun.file(`${root}/${file}`).text(),
  );
  const source = (await Promise.all(telemetry)).join("");
  const metrics = [...page.matchAll(/`(holdline_\w+)`/g)].map(([, name = ""]) => name);
  expect(metrics.length).toBeGreaterThan(0);
  expect(metrics.filter((name) => !source.includes(`"${name}"`))).toEqual([]);
});
