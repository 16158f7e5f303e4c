/**
 * `npm test`: sees to it that what the tests need is installed, runs them, and ends with the line `N passed, N failed`.
 * Arguments go to `bun test`: parts of file names, `-t` and a pattern, and so on.
 */
import { Glob, spawn, spawnSync } from "bun";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { missingFor, missingMessage, type Service } from "./services.ts";

const ROOT = resolve(import.meta.dir, "..");
/** Minutes of load and of faults are not part of the ordinary suite; `npm run test:soak` runs them. */
const SOAK = "test/soak/";
/** bunfig.toml has no key for it. Waits inside tests end sooner and say what they waited for. */
const TEST_LIMIT_MS = 30_000;
/** Test files at a time. Most of them wait for a server, so four keep two cores busy. */
const WORKERS = 4;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Test files under test/ that the arguments select, as paths under test/. */
function selectedFiles(filters: readonly string[]): string[] {
  const files = [...new Glob("**/*.test.ts").scanSync({ cwd: resolve(ROOT, "test") })];
  const wanted = filters
    .filter((filter) => !filter.startsWith("-"))
    .map((filter) => filter.replace(/^\.\//, ""));
  const chosen =
    wanted.length === 0
      ? files
      : files.filter((file) => wanted.some((part) => `test/${file}`.includes(part)));
  // An argument may be the value of an option (`-t pattern`) and match no file: then any file may run.
  return chosen.length === 0 ? files : chosen;
}

/** The command in front of apt-get that makes it work here, or null when it cannot. */
function installer(): string[] | null {
  if (Bun.which("apt-get") === null) return null;
  if (process.getuid?.() === 0) return [];
  if (Bun.which("sudo") === null) return null;
  const allowed = spawnSync(["sudo", "-n", "true"], { stdout: "ignore", stderr: "ignore" });
  return allowed.exitCode === 0 ? ["sudo", "-n"] : null;
}

function install(missing: readonly Service[], prefix: readonly string[]): void {
  const packages = missing.map((service) => service.debianPackage);
  say(`installing with apt-get: ${packages.join(" ")}`);
  const aptGet = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"];
  for (const step of [["update"], ["install", "-y", "--no-install-recommends", ...packages]]) {
    const done = spawnSync([...aptGet, ...step], { stdout: "ignore", stderr: "inherit" });
    if (done.exitCode !== 0) {
      say(`apt-get ${step[0]} failed with code ${done.exitCode}`);
      return;
    }
  }
}

/** Installs what is missing where that is allowed; false when the run must not start. */
function prepareServices(files: readonly string[]): boolean {
  const missing = missingFor(files);
  if (missing.length === 0) return true;
  const prefix = installer();
  if (prefix !== null) install(missing, prefix);
  const stillMissing = missingFor(files);
  if (stillMissing.length === 0) return true;
  say(missingMessage(stillMissing));
  return process.env["CI"] !== "true";
}

/** Passes a stream on to stdout as it comes, so that nothing of it can arrive after the last line; keeps its text. */
async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** The number before `word` in the last summary of bun's, 0 when it is not mentioned. */
function countOf(word: string, output: string): number {
  const lines = [...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))];
  return Number(lines.at(-1)?.[1] ?? 0);
}

export interface Verdict {
  readonly exitCode: number;
  /** What to print, the counts last. */
  readonly lines: readonly string[];
}

/** Judges a run by what bun printed and how it ended: skipped tests and a run without tests are failures too. */
export function judge(printed: string, bunExitCode: number): Verdict {
  const output = Bun.stripANSI(printed);
  const passed = countOf("pass", output);
  const left = countOf("skip", output) + countOf("todo", output);
  const lines: string[] = [];
  // bun counts an error outside of tests as a failed test, though not always.
  let failed = Math.max(countOf("fail", output), countOf("errors?", output));
  if (left > 0) lines.push(`${left} tests were skipped, which this suite does not allow`);
  if (passed + failed === 0) lines.push("no test ran");
  if (bunExitCode !== 0 && failed === 0) {
    lines.push(`bun test ended with code ${bunExitCode}`);
    failed = 1;
  }
  const good = bunExitCode === 0 && failed === 0 && left === 0 && passed > 0;
  lines.push(`${passed} passed, ${failed} failed`);
  return { exitCode: good ? 0 : Math.max(bunExitCode, 1), lines };
}

/**
 * The whole suite starts some hundred servers. Compiled once they start in half the time, and are what is shipped; a few
 * chosen files are not worth the wait, and run on the source as it is.
 */
function buildServer(folder: string): Record<string, string> | null {
  say("compiling the server under test");
  const build = spawnSync(
    [process.execPath, "--no-env-file", resolve(ROOT, "src/build.ts"), "--out", folder],
    { cwd: ROOT, stdout: "ignore", stderr: "pipe" },
  );
  if (build.exitCode === 0) return { TEST_SERVER_BINARY: resolve(folder, "holdline") };
  say(build.stderr.toString());
  return null;
}

async function runTests(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const ignored = args.some((arg) => arg.includes("soak")) ? [] : [`--path-ignore-patterns=${SOAK}**`];
  const child = spawn(
    [
      process.execPath,
      "--no-env-file",
      "test",
      `--parallel=${WORKERS}`,
      `--timeout=${TEST_LIMIT_MS}`,
      ...ignored,
      ...args,
    ],
    {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdin: "inherit",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const printed = await Promise.all([passOn(child.stdout), passOn(child.stderr)]);
  const verdict = judge(printed.join("\n"), await child.exited);
  for (const line of verdict.lines) say(line);
  return verdict.exitCode;
}

async function main(args: readonly string[]): Promise<number> {
  if (!prepareServices(selectedFiles(args))) return 1;
  if (args.length > 0) return runTests(args, {});
  const folder = await mkdtemp(join(tmpdir(), "holdline-suite-"));
  try {
    const server = buildServer(folder);
    if (server !== null) return await runTests(args, server);
    say("the server under test could not be compiled\n0 passed, 1 failed");
    return 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
