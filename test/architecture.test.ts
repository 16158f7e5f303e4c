/** Holds src/ to the rules of the house, and shows for each rule that breaking it is noticed. */
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  checkArchitecture,
  FILE_LINES,
  FUNCTION_LINES,
  readTree,
  type Complaint,
} from "./support/architecture.ts";
import { functionSpans, importsOf, readSource } from "./support/source-text.ts";

function inWords({ path, line, rule, detail }: Complaint): string {
  return `${path}${line === undefined ? "" : `:${line}`} ${rule}: ${detail}`;
}

test("src keeps every rule", async () => {
  const tree = await readTree(resolve(import.meta.dir, ".."));
  expect(tree.size).toBeGreaterThan(20);
  expect(checkArchitecture(tree).map(inWords)).toEqual([]);
});

const OPENING = "/** Exists to be looked at by a test. */\n";

/** A small tree that keeps every rule. */
const GOOD: Readonly<Record<string, string>> = {
  "src/main.ts": `${OPENING}import { app } from "./app.ts";\nprocess.exit(app);\n`,
  "src/app.ts": `${OPENING}import type { Store } from "./jobs/store.ts";\nimport { env } from "./config.ts";\nexport const app: Store = env;\n`,
  "src/config.ts": `${OPENING}export const env = Number(process.env["PORT"]);\n`,
  "src/jobs/store.ts": `${OPENING}// process.exit, console.log and Date.now in a comment are words.\nexport type Store = number;\nexport const text = "Date.now()" + \`setTimeout \${1} console.log\`;\n`,
  "src/lib/clock.ts": `${OPENING}export const now = Date.now();\n`,
  "test/jobs.test.ts": `${OPENING}import { now } from "../src/lib/clock.ts";\nexport const seen = now;\n`,
};

/** The rules that the good tree breaks once `changes` are made to it. */
function brokenBy(changes: Readonly<Record<string, string>>): string[] {
  return checkArchitecture(new Map(Object.entries({ ...GOOD, ...changes }))).map(
    ({ path, rule }) => `${path} ${rule}`,
  );
}

/** A file that is reached, since a test of its own imports it. */
function reached(path: string, body: string): Record<string, string> {
  const importer = `${OPENING}import * as it from "../${path}";\nexport const seen = it;\n`;
  return { [path]: body, [`test/${path.replaceAll("/", "-")}.test.ts`]: importer };
}

function longFunction(lines: number): string {
  return `${OPENING}export function long(\n  value: number,\n): number {\n${"  value += 1;\n".repeat(lines - 5)}  return value;\n}\n`;
}

describe("a tree", () => {
  test("that keeps the rules raises no complaint", () => {
    expect(brokenBy({})).toEqual([]);
  });

  const arrows: [from: string, to: string][] = [
    ["src/lib/a.ts", "src/protocol/b.ts"],
    ["src/protocol/a.ts", "src/telemetry/b.ts"],
    ["src/sqlite/a.ts", "src/jobs/b.ts"],
    ["src/jobs/a.ts", "src/sessions/b.ts"],
    ["src/jobs/a.ts", "src/handlers/b.ts"],
    ["src/hub/a.ts", "src/http/b.ts"],
    ["src/http/a.ts", "src/ws/b.ts"],
    ["src/ws/a.ts", "src/app.ts"],
    ["src/app.ts", "src/cli/b.ts"],
    ["src/jobs/a.ts", "src/config.ts"],
    ["src/config.ts", "src/jobs/b.ts"],
    ["src/client/a.ts", "src/lib/b.ts"],
    ["src/web/a.ts", "src/jobs/b.ts"],
    ["src/hub/a.ts", "src/client/b.ts"],
    ["src/http/a.ts", "src/web/b.ts"],
    ["src/jobs/a.ts", "test/support/b.ts"],
  ];
  test.each(arrows)("in which %s imports %s is complained about, for a type as well", (from, to) => {
    const up = "../".repeat(from.split("/").length - 1);
    for (const word of ["import", "import type", "export"]) {
      const source = `${OPENING}${word} { it } from "${up}${to}";\n`;
      const target = GOOD[to] ?? `${OPENING}export const it = 1;\n`;
      expect(brokenBy({ ...reached(to, target), ...reached(from, source) })).toContain(`${from} arrows`);
    }
  });

  const lines: [rule: string, path: string, line: string][] = [
    ["clock", "src/jobs/a.ts", "export const now = Date.now();"],
    ["clock", "src/jobs/a.ts", "export const now = new Date();"],
    ["clock", "src/ws/a.ts", "performance.now();"],
    ["clock", "src/ws/a.ts", "export const text = `${setTimeout(() => 1, 5)}`;"],
    ["clock", "src/hub/a.ts", "setInterval(() => 1, 5);"],
    ["clock", "src/hub/a.ts", "await Bun.sleep(5);"],
    ["environment", "src/http/a.ts", 'export const port = process.env["PORT"];'],
    ["environment", "src/http/a.ts", "export const port = Bun.env.PORT;"],
    ["console", "src/jobs/a.ts", 'console.log("here");'],
    ["process", "src/cli/a.ts", "process.exit(1);"],
    ["process", "src/app.ts", 'process.on("SIGTERM", stop);'],
    ["secrets", "src/sessions/a.ts", "export const key = Buffer.from(authSecret);"],
  ];
  test.each(lines)(
    "that breaks the rule %s in %s with %s is complained about, unless a reason stands there",
    (rule, path, line) => {
      expect(brokenBy(reached(path, `${OPENING}${line}\n`))).toContain(`${path} ${rule}`);
      const excused = `${OPENING}${line} // allowed: the test says so\n// allowed: and so it says here\n${line}\n`;
      expect(brokenBy(reached(path, excused))).not.toContain(`${path} ${rule}`);
      expect(brokenBy(reached(path, `${OPENING}${line} // allowed:\n`))).toContain(`${path} ${rule}`);
    },
  );

  const shapes: [rule: string, path: string, body: string][] = [
    ["rooms", "src/stuff/a.ts", OPENING],
    ["extensions", "src/jobs/a.ts", `${OPENING}import { it } from "./store";\n`],
    ["names", "src/lib/utils.ts", OPENING],
    ["names", "src/lib/string-helpers.ts", OPENING],
    ["names", "src/hub/session-manager.ts", OPENING],
    ["names", "src/jobs/types.ts", OPENING],
    ["names", "src/jobs/common/a.ts", OPENING],
    ["opening", "src/jobs/a.ts", "export const it = 1;\n"],
    ["opening", "src/jobs/a.ts", "/** */\nexport const it = 1;\n"],
    ["opening", "src/jobs/a.ts", "// A line comment.\nexport const it = 1;\n"],
    ["file length", "src/jobs/a.ts", `${OPENING}${"export {};\n".repeat(FILE_LINES)}`],
    ["function length", "src/jobs/a.ts", longFunction(FUNCTION_LINES + 1)],
    [
      "function length",
      "src/jobs/a.ts",
      `${OPENING}export const f = () => {\n${"  g();\n".repeat(FUNCTION_LINES)}};\n`,
    ],
  ];
  test.each(shapes)("that breaks the rule %s in %s is complained about", (rule, path, body) => {
    expect(brokenBy(reached(path, body))).toContain(`${path} ${rule}`);
  });

  test("may have files and functions of exactly the allowed length", () => {
    expect(brokenBy(reached("src/jobs/a.ts", `${OPENING}${"export {};\n".repeat(FILE_LINES - 1)}`))).toEqual(
      [],
    );
    expect(brokenBy(reached("src/jobs/a.ts", longFunction(FUNCTION_LINES)))).toEqual([]);
  });

  test("with a file that nothing leads to is complained about; a worker named by URL is led to", () => {
    expect(brokenBy({ "src/jobs/lonely.ts": OPENING })).toEqual(["src/jobs/lonely.ts reach"]);
    const named = `${OPENING}export const url = new URL("./lonely.ts", import.meta.url);\n`;
    expect(brokenBy({ "src/jobs/lonely.ts": OPENING, ...reached("src/jobs/a.ts", named) })).toEqual([]);
  });

  test("in which files import each other is complained about, unless one is loaded only when it is needed", () => {
    const first = `${OPENING}import type { It } from "./b.ts";\nexport const it: It = 1;\n`;
    const middle = `${OPENING}export type { It } from "./c.ts";\n`;
    const last = `${OPENING}export type It = number;\n`;
    const files = { ...reached("src/jobs/a.ts", first), "src/jobs/b.ts": middle };
    const back = `${last}import { it } from "./a.ts";\nexport const on = it;\n`;
    expect(brokenBy({ ...files, "src/jobs/c.ts": back })).toEqual(["src/jobs/a.ts circles"]);
    const later = `${last}export const on = import("./a.ts");\n`;
    expect(brokenBy({ ...files, "src/jobs/c.ts": later })).toEqual([]);
  });

  test("may have pages, whose scripts they lead to", () => {
    const page = { "src/web/index.html": '<script type="module" src="./main.ts"></script>\n' };
    const script = { "src/web/main.ts": `${OPENING}import "./view.ts";\n`, "src/web/view.ts": OPENING };
    expect(brokenBy({ ...page, ...script })).toEqual([]);
    expect(brokenBy(script)).toEqual(["src/web/main.ts reach", "src/web/view.ts reach"]);
  });

  test("is read from disk with its folders", async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdline-tree-"));
    try {
      await Bun.write(join(folder, "src/jobs/deep/a.ts"), "console.log(1);\n");
      await Bun.write(join(folder, "docs/b.ts"), "");
      const tree = await readTree(folder);
      expect([...tree.keys()]).toEqual(["src/jobs/deep/a.ts"]);
      expect(checkArchitecture(tree).map(({ rule }) => rule)).toContain("console");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("a source", () => {
  test("is read without its comments, strings and regular expressions", () => {
    const source =
      'a(); // b()\n/* c() */ d("e()", /f("[/]g()/, `h() ${i(`j()`)} k()`) / 2 / l();\nm(\'n()\');\n';
    const { code, withStrings } = readSource(source);
    expect([...code.matchAll(/\w\(/g)].map(([call]) => call).join("")).toBe("a(d(i(l(m(");
    expect(code.split("\n").map((line) => line.length)).toEqual(
      source.split("\n").map((line) => line.length),
    );
    expect(withStrings).toContain('"e()"');
    expect(withStrings).not.toContain("b()");
  });

  test("gives up its imports in every form", () => {
    const source = `import a, { b } from "1";\nimport type {\n  c,\n} from "2";\nexport * from "3";\nimport "4";\nconst d = await import("5");\nimport e from "6" with { type: "text" };\n// import f from "7";\n`;
    expect(importsOf(readSource(source)).toSorted()).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  test("gives up its functions, nested ones too", () => {
    const source = `function a() {\n  const b = () => {\n    c();\n  };\n}\nconst d = {\n  async e(f: number) {\n    if (f) {\n      g();\n    }\n  },\n};\n`;
    expect(functionSpans(readSource(source))).toEqual([
      { line: 1, ownLines: 2 },
      { line: 2, ownLines: 3 },
      { line: 7, ownLines: 5 },
    ]);
  });
});
