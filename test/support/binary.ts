/** Compiles the present source into a folder of its own, so that tests of the binary can run side by side. */
import { expect } from "bun:test";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

/** Runs `npm run build`; resolves with the new folder that holds `holdline`. The caller removes it. */
export async function buildBinary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-build-"));
  const build = Bun.spawn(["npm", "run", "--silent", "build", "--", "--out", folder], {
    cwd: ROOT,
    stdout: "pipe",
    stderr: "pipe",
  });
  const errors = await new Response(build.stderr).text();
  expect({ code: await build.exited, errors }).toEqual({ code: 0, errors: expect.any(String) as string });
  return folder;
}
