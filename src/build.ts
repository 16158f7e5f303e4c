/**
 * `npm run build`: one binary with everything inside (dist/holdline). Not part of the program; run it with Bun from source.
 * `npm run build -- bun-linux-arm64` builds for another machine, `--out FOLDER` puts it elsewhere.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildWeb } from "./web/build.ts";

const ROOT = resolve(import.meta.dir, "..");
const { values: options, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: { out: { type: "string", default: join(ROOT, "dist") } },
  allowPositionals: true,
});
const DIST = resolve(options.out);
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
    // The program, and the threads it starts.
    join(ROOT, "src/main.ts"),
    join(ROOT, "src/writer.ts"),
    join(ROOT, "src/handlers/speech/worker.ts"),
  ];
  return Bun.spawnSync(command, { cwd: ROOT, stdout: "inherit", stderr: "inherit" }).exitCode;
}

/** The maps are inside the binary; what the bundler leaves beside it is not for anybody. */
function removeMaps(): void {
  for (const name of readdirSync(DIST)) if (name.endsWith(".map")) rmSync(join(DIST, name));
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly version?: string;
  readonly license?: string;
}

/** The licences of everything that is inside the binary: most of them ask to go along with it. */
function collectNotices(): string {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  const parts: string[] = [];
  for (const [path, { dev, version, license }] of Object.entries(lock.packages)) {
    const folder = join(ROOT, path);
    if (path === "" || dev === true || !existsSync(folder)) continue;
    const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
    const text = file === undefined ? "" : `\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
    parts.push(
      `${path.replace(/^.*node_modules\//, "")} ${version ?? ""} (${license ?? "see its package"})\n${text}`,
    );
  }
  return parts.join(`\n${"-".repeat(80)}\n\n`);
}

await writePages();
writeFileSync(join(DIST, "THIRD-PARTY-NOTICES.txt"), collectNotices());
process.exitCode = compile(positionals[0] ?? null);
removeMaps();
