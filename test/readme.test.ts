/** The README's tour is run as it stands there: what a stranger copies has to work. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startServer } from "./support/server.ts";

const ROOT = resolve(import.meta.dir, "..");

/** The block of code in this language that holds `mark`. */
async function blockWith(language: string, mark: string): Promise<string> {
  const readme = await Bun.file(join(ROOT, "README.md")).text();
  const blocks = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)];
  const found = blocks.find(([, named, code]) => named === language && code?.includes(mark));
  if (found?.[2] === undefined) throw new Error(`the README has no ${language} with ${mark}`);
  return found[2];
}

test("the client, against a server of one's own", async () => {
  const example = await blockWith("ts", "createClient");
  await using server = await startServer();
  const script = `
    const [said, heard] = [[], []];
    const fetchUserToken = () => null;
    const show = (delta) => said.push(delta);
    const play = (bytes) => heard.push(bytes.byteLength);
    ${example.replace("https://jobs.example.com", server.url)}
    console.log(JSON.stringify({ text: said.join(""), bytes: heard.reduce((sum, one) => sum + one, 0) }));
    client.close();`;
  const run = Bun.spawn([process.execPath, "-e", script], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const [output, errors, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ]);
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  const { text, bytes } = JSON.parse(output) as { text: string; bytes: number };
  expect(text.length).toBeGreaterThan(10);
  expect(bytes).toBeGreaterThan(20_000);
});

test("the tour in 60 seconds", async () => {
  const tour = await blockWith("sh", "A session and its token");
  await using server = await startServer();
  const folder = await mkdtemp(join(tmpdir(), "holdline-tour-"));
  const script = tour.replaceAll("node_modules/.bin/bun", process.execPath);
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
