/** The README's table of settings is made from the code; this holds the one against the other. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { describeConfig, settingsTable } from "../src/config.ts";
import { TABLE_BEGIN, TABLE_END } from "../src/config/describe.ts";

test("the README carries the table that `holdline config docs` prints", async () => {
  const readme = await Bun.file(resolve(import.meta.dir, "../README.md")).text();
  const begin = readme.indexOf(TABLE_BEGIN);
  const end = readme.indexOf(TABLE_END);
  expect(begin).toBeGreaterThan(-1);
  expect(end).toBeGreaterThan(begin);
  expect(readme.slice(begin, end + TABLE_END.length)).toBe(settingsTable());
});

test("the table has one well-formed row for every setting", () => {
  const rows = settingsTable()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows.map((row) => row.split("`")[1])).toEqual(describeConfig().map(({ variable }) => variable));
  for (const row of rows) expect(row.match(/\|/g)).toHaveLength(4);
});
