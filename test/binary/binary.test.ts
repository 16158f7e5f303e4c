/**
 * The compiled binary as a stranger starts it: in an empty folder, as another user, beside files that are not meant for
 * it. Built by the test itself, so that it is always the present source.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildBinary, ROOT } from "../support/binary.ts";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody } from "../support/http.ts";

const NOBODY = 65_534;

let folder = "";
let binary = "";

beforeAll(async () => {
  const built = await buildBinary();
  // Away from the sources: nothing beside it may be needed.
  folder = await mkdtemp(join(tmpdir(), "holdline-binary-"));
  binary = join(folder, "holdline");
  await rename(join(built, "holdline"), binary);
  await rm(built, { recursive: true });
  await chmod(binary, 0o755);
  await chmod(folder, 0o777);
  // Both would end the start if the binary heeded them.
  await writeFile(join(folder, ".env"), "HOLDLINE_PORT=1\n");
  await writeFile(join(folder, "bunfig.toml"), 'preload = ["./missing.ts"]\n');
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the binary in the folder with an empty environment, as another user where this one may. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return Bun.spawn([binary, ...args], {
    cwd: folder,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdout: "pipe",
    stderr: "pipe",
    ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
  });
}

async function serve(port: string, env: Readonly<Record<string, string>> = {}) {
  const child = run(["serve", "--port", port], env);
  const decoder = new TextDecoder();
  let text = "";
  let line: string | undefined;
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    line = text.split("\n").find((one) => one.includes('"listening"') && one.endsWith("}"));
    if (line !== undefined) break;
  }
  const { url } = JSON.parse(line ?? "{}") as { url: string };
  return { child, url };
}

test("does the main job alone in an empty folder, through a SIGKILL", async () => {
  const first = await serve("0");
  const page = await fetch(first.url);
  const html = await page.text();
  const script = /src="([^"]+\.js)"/.exec(html)?.[1] ?? "";
  expect((await fetch(new URL(script, first.url))).headers.get("content-type")).toContain("javascript");

  const client = await connect(first);
  const api = apiOf(first, client.token);
  const voice = await api.submit({
    type: "voice",
    input: { messages: [{ role: "user", content: "Hello." }] },
  });
  expect((await client.waitForEnd(voice.id)).kind).toBe("job.succeeded");
  const audio = client.events(voice.id).filter((event) => event.kind === "output.audio");
  expect(audio.length).toBeGreaterThan(10);

  const job = await api.submit(tokensBody({ tokens: 200, intervalMs: 10 }));
  await client.waitForEvent(job.id, "some text", (event) => event.seq > 20);
  first.child.kill("SIGKILL");
  await first.child.exited;
  const seen = client.events(job.id).at(-1)?.seq ?? 0;

  const second = await serve(new URL(first.url).port);
  await using again = await connect(second, { token: client.token });
  expect(again.welcome.session?.resumed).toBe(true);
  await again.attach(job.id, seen);
  expect((await again.waitForEnd(job.id)).kind).toBe("job.succeeded");
  expect(again.events(job.id)[0]?.first).toBe(seen + 1);
  second.child.kill("SIGTERM");
  expect(await second.child.exited).toBe(0);

  const data = join(folder, "data");
  expect((await stat(data)).mode & 0o777).toBe(0o700);
  expect(await readdir(folder)).toEqual(expect.arrayContaining(["data", "holdline", ".env", "bunfig.toml"]));
  expect((await readdir(folder)).length).toBe(4);
}, 60_000);

test("serves handlers in TypeScript from a folder, in threads of their own too", async () => {
  const handlers = join(ROOT, "examples/handlers");
  const { child, url } = await serve("0", { HOLDLINE_HANDLERS_DIR: handlers });
  await using client = await connect({ url });
  const api = apiOf({ url }, client.token);
  const shout = await api.submit({ type: "shout", input: { text: "hey you" } });
  expect((await client.waitForEnd(shout.id)).data).toEqual({ result: { words: 2 } });
  const primes = await api.submit({ type: "primes", input: { below: 100 } });
  expect((await client.waitForEnd(primes.id)).data).toEqual({ result: { below: 100, count: 25 } });
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}, 30_000);

test("tries itself out: doctor and selftest need nothing beside it", async () => {
  const doctor = run(["doctor", "--port", "0"]);
  expect(await new Response(doctor.stdout).text()).toMatch(/^ok +SQLite/m);
  expect(await doctor.exited).toBe(0);
  const selftest = run(["selftest", "--seconds", "3", "--clients", "4", "--json"]);
  const report = (await new Response(selftest.stdout).json()) as { flaws: unknown[]; kills: number };
  expect(report.flaws).toEqual([]);
  expect(report.kills).toBeGreaterThan(0);
  expect(await selftest.exited).toBe(0);
}, 60_000);

test("tells its version, and a beginner what is wrong", async () => {
  const { version } = (await Bun.file(join(ROOT, "package.json")).json()) as { version: string };
  expect(await new Response(run(["version"]).stdout).text()).toContain(version);
  const mistyped = run(["serve", "--prot", "9000"]);
  expect(await new Response(mistyped.stderr).text()).toContain("--port");
  expect(await mistyped.exited).toBe(2);
});
