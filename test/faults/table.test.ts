/** The table in docs/reliability.md says of every fault which tests bring it about: no row missing, no test made up. */
import { Glob } from "bun";
import { join, relative, resolve } from "node:path";
import { expect, test } from "bun:test";

const TESTS = resolve(import.meta.dir, "..");
const DOCS = resolve(TESTS, "../docs");
const ROWS = 50;
const UNTESTED = "not tested yet";

interface Row {
  readonly name: string;
  /** Its cells after the name: fault, what happens, tests, last figures. */
  readonly cells: readonly string[];
  /** Test files that it links to, under test/. */
  readonly files: readonly string[];
}

const text = await Bun.file(join(DOCS, "reliability.md")).text();

function readRow(line: string): Row {
  const [name = "", ...cells] = line
    .split("|")
    .map((cell) => cell.trim())
    .slice(1, -1);
  const links = [...(cells[2] ?? "").matchAll(/\]\(([^)]+)\)/g)].map(([, path = ""]) => path);
  return { name, cells, files: links.map((path) => relative(TESTS, resolve(DOCS, path))) };
}

const rows = text
  .split("\n")
  .filter((line) => /^\| R\d/.test(line))
  .map(readRow);

const nameOf = (number: number): string => `R${String(number).padStart(2, "0")}`;

/** `R03-R05 R07` as the rows it means. */
function namesIn(list: string): string[] {
  return [...list.matchAll(/R(\d\d)(?:-R(\d\d))?/g)].flatMap(([, first, last]) => {
    const count = Number(last ?? first) - Number(first) + 1;
    return Array.from({ length: count }, (_, n) => nameOf(Number(first) + n));
  });
}

/** Rows that titles of tests and groups in a file begin with: `faults/R07 …`, `faults/R03-R05 R08: …`. */
function testedIn(source: string): Set<string> {
  const titles = /\b(?:test|describe)(?:\.\w+\b[^;]*?\))?\(\s*["'`]faults\/((?:R\d\d(?:[-, ]+)?)+)/g;
  return new Set([...source.matchAll(titles)].flatMap(([, list = ""]) => namesIn(list)));
}

/** File under test/ → the rows it tests. */
const tested = new Map<string, Set<string>>();
for await (const path of new Glob("**/*.test.ts").scan({ cwd: TESTS })) {
  const names = testedIn(await Bun.file(join(TESTS, path)).text());
  if (names.size > 0) tested.set(path, names);
}

test("the table names every fault once, in order, with five cells each", () => {
  expect(rows.map(({ name }) => name)).toEqual(Array.from({ length: ROWS }, (_, n) => nameOf(n + 1)));
  for (const { name, cells } of rows) {
    expect({ name, cells: cells.length, empty: cells.filter((cell) => cell === "").length }).toEqual({
      name,
      cells: 4,
      empty: 0,
    });
  }
});

test("every row links to the files whose tests name it and to no others, or says that it is not tested yet", () => {
  for (const { name, cells, files } of rows) {
    const naming = [...tested].filter(([, names]) => names.has(name)).map(([file]) => file);
    expect({ name, files: files.toSorted() }).toEqual({ name, files: naming.toSorted() });
    if (files.length === 0) expect({ name, tests: cells[2] }).toEqual({ name, tests: UNTESTED });
  }
});

test("every row that a test is named by is in the table", () => {
  const known = new Set(rows.map(({ name }) => name));
  for (const [file, names] of tested) {
    expect({ file, unknown: [...names].filter((name) => !known.has(name)) }).toEqual({ file, unknown: [] });
  }
});

test("every link of the page leads somewhere", async () => {
  const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
  expect(links.length).toBeGreaterThan(5);
  for (const link of new Set(links)) {
    expect({ link, exists: await Bun.file(resolve(DOCS, link)).exists() }).toEqual({ link, exists: true });
  }
});
