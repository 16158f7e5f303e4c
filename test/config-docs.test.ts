/** The README's table of settings is made from the code; this holds the one against the other. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
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
