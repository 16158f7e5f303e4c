/**
 * `npm run build`: one binary with everything inside (dist/holdline). Not part of the program; run it with Bun from source.
 * `npm run build -- bun-linux-arm64` builds for another machine, `--out FOLDER` puts it elsewhere, `--entry FILE` makes
 * a binary of a program of one's own that embeds the server (`createHoldline`).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildWeb } from "./web/build.ts";

const ROOT = resolve(import.meta.dir, "..");
const { values: options, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    out: { type: "string", default: join(ROOT, "dist") },
    entry: { type: "string", default: join(ROOT, "src/main.ts") },
  },
  allowPositionals: true,
});
const DIST = resolve(options.out);
const ENTRY = resolve(options.entry);
/** The programs of our threads (lib/entry-point.ts), seen from src/. */
const THREADS = ["writer.ts", "handlers/isolate/thread.ts", "handlers/speech/worker.ts"];
const BINARY = join(DIST, "holdline");
/** Becomes the folder `web` beside the program inside the binary; pages.ts looks for it there. */
const PAGES = join(DIST, "web");

async function writePages(): Promise<void> {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(PAGES, { recursive: true });
  for (const [path, { bytes }] of await buildWeb()) writeFileSync(join(PAGES, path), bytes);
}

/** `target` such as `bun-linux-arm64` builds for another machine; null for this one. */
function compile(target: string | null): number {
  // Inside the binary every entry point lies under its path from the folder of the first one, without the steps up.
  const sources = relative(dirname(ENTRY), join(ROOT, "src")).replace(/^(?:\.\.\/)+/, "");
  const command = [
    process.execPath,
    "build",
    "--compile",
    "--minify",
    "--sourcemap",
    // Parsed ahead of time: starts in a third of the time. Needs ESM for top-level await.
    "--bytecode",
    "--format=esm",
    "--asset",
    PAGES,
    // What lies in the folder where somebody starts it is theirs, not ours.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    ...(target === null ? [] : [`--target=${target}`]),
    "--outfile",
    BINARY,
    `--define=HOLDLINE_SOURCES=${JSON.stringify(`./${sources === "" ? "" : `${sources}/`}`)}`,
    // The program, and the threads it starts.
    ENTRY,
    ...THREADS.map((path) => join(ROOT, "src", path)),
  ];
  return Bun.spawnSync(command, { cwd: ROOT, stdout: "inherit", stderr: "inherit" }).exitCode;
}

/** The maps are inside the binary; what the bundler leaves beside it is not for anybody. */
function removeMaps(): void {
  for (const name of readdirSync(DIST)) if (name.endsWith(".map")) rmSync(join(DIST, name));
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly version?: string;
  readonly license?: string;
}

/** The folder of the project that builds: the nearest one above the entry with a lock file. */
function projectFolder(): string {
  for (let folder = dirname(ENTRY); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package-lock.json"))) return folder;
    if (folder === dirname(folder)) {
      throw new Error(
        `no package-lock.json above ${ENTRY}: the licences of what goes inside are read from it`,
      );
    }
  }
}

/** What each package of a project asks to be told, by its name and version. */
function noticesOf(project: string): [about: string, text: string][] {
  const file = join(project, "package-lock.json");
  if (!existsSync(file)) return [];
  const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
  return Object.entries(lock.packages).flatMap(([path, { dev, link, version, license }]) => {
    const folder = join(project, path);
    // A link leads to a project of its own.
    if (!path.includes("node_modules/") || dev === true || link === true || !existsSync(folder)) return [];
    const name = path.replace(/^.*node_modules\//, "");
    const licence = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text = licence === undefined ? "" : readFileSync(join(folder, licence), "utf8").trim();
    return [[`${name} ${version ?? ""} (${license ?? "see its package"})`, text]];
  });
}

/**
 * The licences of everything that is inside the binary: most of them ask to go along with it. A program that links
 * this checkout has a lock file that names it, and not what it is made of.
 */
function collectNotices(): string {
  const notices = new Map([...noticesOf(projectFolder()), ...noticesOf(ROOT)]);
  return [...notices]
    .map(([about, text]) => (text === "" ? `${about}\n` : `${about}\n\n${text}\n`))
    .join(`\n${"-".repeat(80)}\n\n`);
}

await writePages();
writeFileSync(join(DIST, "THIRD-PARTY-NOTICES.txt"), collectNotices());
process.exitCode = compile(positionals[0] ?? null);
removeMaps();
