/** The rules of the house for src/ (docs/architecture.md), as a function from a tree of files to complaints. */
import { Glob } from "bun";
import { posix, resolve } from "node:path";
import {
  functionSpans,
  importsAtOnceOf,
  importsOf,
  readSource,
  referencesOf,
  type SourceText,
} from "./source-text.ts";

/** A room imports only rooms that stand before it. */
const ROOMS = [
  "lib",
  "protocol",
  "telemetry",
  "database",
  "sqlite",
  "postgres",
  "redis",
  "jobs",
  "sessions",
  "backplane",
  "nodes",
  "hub",
  "handlers",
  "webhooks",
  "http",
  "ws",
] as const;
/** Files (or folders) at the top of src, in the order of what may import what; they may import every room. */
const TOP = [
  "storage",
  "access",
  "pages",
  "node-id",
  "world",
  "door",
  "counted",
  "offered",
  "parts",
  "edges",
  "writer",
  "start-again",
  "app",
  "cli",
  "index",
  "build",
  "main",
] as const;
/** Outside the order: whom they may import is listed. */
const ASIDE: Readonly<Record<string, readonly string[]>> = {
  config: ["lib", "protocol"],
  client: ["protocol"],
  web: ["client", "protocol"],
};
/** Who may import those. */
const READERS: Readonly<Record<string, readonly string[]>> = {
  config: ["access", "world", "offered", "parts", "edges", "app", "cli", "index", "build", "main"],
  client: ["web", "cli", "index", "main"],
  web: ["pages", "app", "cli", "build", "main"],
};
const ORDER: readonly string[] = [...ROOMS, ...TOP];

export const FILE_LINES = 400;
export const FUNCTION_LINES = 70;

/** Path from the root (`src/…`, `test/…`) to source text. */
export type Tree = ReadonlyMap<string, string>;

export interface Complaint {
  readonly path: string;
  readonly line?: number;
  readonly rule: string;
  readonly detail: string;
}

/** All TypeScript and HTML files under the given folders of `root`. */
export async function readTree(
  root: string,
  folders: readonly string[] = ["src", "test"],
): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const folder of folders) {
    for await (const path of new Glob(`${folder}/**/*.{ts,tsx,html}`).scan({ cwd: root })) {
      tree.set(path, await Bun.file(resolve(root, path)).text());
    }
  }
  return tree;
}

/** `src/jobs/sqlite/tables.ts` → `jobs`; `src/app.ts` → `app`. */
function roomOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.tsx?$/, "");
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  const listed = ASIDE[from];
  if (listed !== undefined) return listed.includes(to);
  const readers = READERS[to];
  if (readers !== undefined) return readers.includes(from);
  return ORDER.includes(from) && ORDER.includes(to) && ORDER.indexOf(to) < ORDER.indexOf(from);
}

/** Where a relative import of `path` leads, as a path from the root; null for packages. */
function target(path: string, specifier: string): string | null {
  return specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : null;
}

function checkArrows(path: string, source: SourceText): Complaint[] {
  const from = roomOf(path);
  const complaints: Complaint[] = [];
  if (!ORDER.includes(from) && ASIDE[from] === undefined) {
    complaints.push({
      path,
      rule: "rooms",
      detail: `${from} is no known room: give it its place in the order`,
    });
  }
  for (const specifier of importsOf(source)) {
    const to = target(path, specifier);
    if (to === null) continue;
    if (!/\.\w+$/.test(to))
      complaints.push({ path, rule: "extensions", detail: `${specifier} lacks its extension` });
    if (!to.startsWith("src/")) {
      if (/\.tsx?$/.test(to)) complaints.push({ path, rule: "arrows", detail: `src may not import ${to}` });
      continue;
    }
    if (!mayImport(from, roomOf(to)))
      complaints.push({ path, rule: "arrows", detail: `${from} may not import ${to}` });
  }
  return complaints;
}

interface LineRule {
  readonly rule: string;
  readonly pattern: RegExp;
  /** Paths where it is allowed. */
  readonly except: RegExp;
}

const LINE_RULES: readonly LineRule[] = [
  {
    rule: "clock",
    pattern: /\b(?:Date\.now|performance\.now|setTimeout|setInterval|Bun\.sleep)\b|\bnew Date\(\s*\)/,
    // Code for browsers may not import lib, so the client has a clock of its own.
    except: /^src\/(?:lib|client)\/clock\.ts$/,
  },
  {
    rule: "environment",
    pattern: /\b(?:process|Bun|import\.meta)\.env\b/,
    except: /^src\/config(?:\.ts$|\/)/,
  },
  { rule: "console", pattern: /\bconsole\s*\./, except: /^src\/(?:cli\/|lib\/logger\.ts$)/ },
  {
    rule: "process",
    pattern: /\bprocess\s*\.\s*(?:exit|abort|on|once|addListener)\s*\(|\bprocess\.exitCode\s*=/,
    // The two programs: the product, and the one that builds it.
    except: /^src\/(?:main|build)\.ts$/,
  },
  // Buffer.from(text) cuts from a pool that other requests' bytes share; TextEncoder does not.
  { rule: "secrets", pattern: /\bBuffer\.from\(\s*\w*(?:secret|password|token)/i, except: /^$/ },
];

/** `// allowed: why` on the line itself or the one before lifts a line rule there. */
function isAllowed(lines: readonly string[], index: number): boolean {
  const reason = /\/\/ allowed: \S{3,}/;
  const before = lines[index - 1]?.trim() ?? "";
  return reason.test(lines[index] ?? "") || (before.startsWith("//") && reason.test(before));
}

function checkLines(path: string, text: string, source: SourceText): Complaint[] {
  const original = text.split("\n");
  return source.code
    .split("\n")
    .flatMap((line, index) =>
      LINE_RULES.filter(
        ({ pattern, except }) => pattern.test(line) && !except.test(path) && !isAllowed(original, index),
      ).map(({ rule }) => ({ path, line: index + 1, rule, detail: (original[index] ?? "").trim() })),
    );
}

const EMPTY_NAMES = /^(?:.*-)?(?:utils?|helpers?|common|types|managers?|misc)(?:\.|$)/;

function checkShape(path: string, text: string, source: SourceText): Complaint[] {
  const complaints: Complaint[] = [];
  const lineCount = text.trimEnd().split("\n").length;
  if (lineCount > FILE_LINES) complaints.push({ path, rule: "file length", detail: `${lineCount} lines` });
  const opening = /^(?:#![^\n]*\n)?\/\*\*(.*?)\*\//s.exec(text)?.[1] ?? "";
  if ((opening.match(/\w+/g) ?? []).length < 3) {
    complaints.push({ path, rule: "opening", detail: "does not open with a sentence on why it exists" });
  }
  if (path.split("/").some((segment) => EMPTY_NAMES.test(segment))) {
    complaints.push({ path, rule: "names", detail: "the name says nothing" });
  }
  for (const { line, ownLines } of functionSpans(source)) {
    if (ownLines > FUNCTION_LINES)
      complaints.push({ path, line, rule: "function length", detail: `${ownLines} lines` });
  }
  return complaints;
}

/** HTML is read as it stands: there is nothing in it to be blanked, only files that it names. */
function readFile(path: string, text: string): SourceText {
  return path.endsWith(".html") ? { code: text, withStrings: text } : readSource(text);
}

/** Files of src that nothing leads to, from the entries or from a test: dead, and unseen by coverage. */
function checkReach(
  tree: Tree,
  sources: ReadonlyMap<string, SourceText>,
  entries: readonly string[],
): Complaint[] {
  const reached = new Set<string>();
  const open = [...tree.keys()].filter((path) => entries.includes(path) || path.endsWith(".test.ts"));
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const source = sources.get(path);
    if (source === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const specifier of referencesOf(source)) {
      const to = target(path, specifier);
      if (to !== null) open.push(to);
    }
  }
  return [...tree.keys()]
    .filter((path) => path.startsWith("src/") && !path.endsWith(".d.ts") && !reached.has(path))
    .map((path) => ({ path, rule: "reach", detail: "no entry and no test leads here" }));
}

/** Files of src that import each other, directly or by way of others: none of them can be read before the other. */
function checkCircles(sources: ReadonlyMap<string, SourceText>): Complaint[] {
  const complaints: Complaint[] = [];
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start !== -1) {
      const circle = [...way.slice(start), path].join(" → ");
      complaints.push({ path, rule: "circles", detail: circle });
      return;
    }
    const source = sources.get(path);
    if (source === undefined || done.has(path)) return;
    for (const specifier of importsAtOnceOf(source)) {
      const to = target(path, specifier);
      if (to !== null) walk(to, [...way, path]);
    }
    done.add(path);
  };
  for (const path of sources.keys()) if (path.startsWith("src/")) walk(path, []);
  return complaints;
}

/** Programs start here: the server, its threads, the build, an embedder's import, and a page. */
export const ENTRIES = [
  "src/main.ts",
  "src/writer.ts",
  "src/handlers/isolate/thread.ts",
  "src/handlers/speech/worker.ts",
  "src/build.ts",
  "src/index.ts",
  "src/web/index.html",
] as const;

/** Everything in `tree` that breaks a rule. */
export function checkArchitecture(tree: Tree, entries: readonly string[] = ENTRIES): Complaint[] {
  const sources = new Map([...tree].map(([path, text]) => [path, readFile(path, text)]));
  const complaints = [...checkReach(tree, sources, entries), ...checkCircles(sources)];
  for (const [path, text] of tree) {
    const source = sources.get(path);
    if (source === undefined || !path.startsWith("src/")) continue;
    if (path.endsWith(".d.ts") || path.endsWith(".html")) continue;
    complaints.push(
      ...checkArrows(path, source),
      ...checkLines(path, text, source),
      ...checkShape(path, text, source),
    );
  }
  return complaints;
}
