/** The table in docs/security.md says of every abuse which test answers it: no row may be missing, and no test made up. */
import { Glob } from "bun";
import { join, resolve } from "node:path";
import { expect, test } from "bun:test";

const DOCS = resolve(import.meta.dir, "../../docs");
const ROWS = 54;

interface Row {
  readonly name: string;
  /** Of the test file, from the docs folder; null where this version has nothing to test. */
  readonly file: string | null;
}

const text = await Bun.file(join(DOCS, "security.md")).text();
const rows: Row[] = [...text.matchAll(/^\| (S\d\d) \| .+ \| .+ \| (.+) \|$/gm)].map(
  ([, name = "", link = ""]) => ({
    name,
    file: /^\[[\w-]+\]\((.+\.test\.ts)\)$/.exec(link)?.[1] ?? null,
  }),
);

/** Rows that the names of tests and groups in a file begin with. */
async function testedIn(path: string): Promise<Set<string>> {
  const source = await Bun.file(path).text();
  return new Set(
    [...source.matchAll(/\b(?:test|describe)(?:\.each\b[^;]*?\))?\(\s*["'`](S\d\d) /g)].map(
      ([, name = ""]) => name,
    ),
  );
}

test("the table names every abuse once, in order", () => {
  const names = Array.from({ length: ROWS }, (_, n) => `S${String(n + 1).padStart(2, "0")}`);
  expect(rows.map(({ name }) => name)).toEqual(names);
});

test("every row has a test of its name in the file it links to, or says what this version does not have", async () => {
  for (const { name, file } of rows) {
    if (file === null) {
      expect(text).toMatch(new RegExp(`^\\| ${name} \\| .+ \\| .*(?:in|of) this version \\| – \\|$`, "m"));
    } else {
      expect({ name, file, tested: (await testedIn(resolve(DOCS, file))).has(name) }).toEqual({
        name,
        file,
        tested: true,
      });
    }
  }
});

test("every row that a test is named by is in the table, with a file that tests it", async () => {
  const linked = new Map(rows.map(({ name, file }) => [name, file]));
  for await (const path of new Glob("*.test.ts").scan({ cwd: import.meta.dir, absolute: true })) {
    for (const name of await testedIn(path)) {
      expect({ name, path, linked: linked.get(name) }).toEqual({
        name,
        path,
        linked: expect.any(String) as string,
      });
    }
  }
});

test("every link of the page leads somewhere", async () => {
  const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
  expect(links.length).toBeGreaterThan(40);
  for (const link of new Set(links)) {
    expect({ link, exists: await Bun.file(resolve(DOCS, link)).exists() }).toEqual({ link, exists: true });
  }
});
