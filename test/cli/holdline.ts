/** Runs the program as a child process, the way an operator or a script does, in an empty folder and a clean environment. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "../support/program.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** The working folder; an empty one by default. */
  readonly cwd?: string;
}

/** `holdline ARGUMENTS`; resolves when it has ended. */
export async function holdline(
  argv: readonly string[],
  { env = {}, cwd }: Surroundings = {},
): Promise<Outcome> {
  await using folder = await temporaryFolder();
  const child = Bun.spawn(program(...argv), {
    cwd: cwd ?? folder.path,
    env: { PATH: process.env["PATH"], ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, out, err };
}

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** A folder that is gone with its scope. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "holdline-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
