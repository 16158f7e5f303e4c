/** The README's tour is run as it stands there: what a stranger copies has to work. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startServer } from "./support/server.ts";

const ROOT = resolve(import.meta.dir, "..");

test("the tour in 60 seconds", async () => {
  const readme = await Bun.file(join(ROOT, "README.md")).text();
  const tour = /<!-- tour -->\n```sh\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(tour).toBeDefined();
  await using server = await startServer();
  const folder = await mkdtemp(join(tmpdir(), "holdline-tour-"));
  const script = (tour ?? "").replaceAll("node_modules/.bin/bun", process.execPath);
  const run = Bun.spawn(["bash", "-euo", "pipefail", "-c", script], {
    cwd: folder,
    env: { ...process.env, URL: server.url },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ]);
  const wav = await Bun.file(join(folder, "hello.wav")).bytes();
  await rm(folder, { recursive: true });
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  expect(output).toContain('"kind":"job.succeeded"');
  expect(output).toContain("audio, ");
  expect(output).toMatch(/event \d+ job\.succeeded/);
  expect(new TextDecoder().decode(wav.slice(0, 4))).toBe("RIFF");
  expect(wav.byteLength).toBeGreaterThan(20_000);
});
