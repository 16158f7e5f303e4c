/** `createHoldline` from the package: a server inside another program, from source and compiled into one binary. */
import { createHoldline, defineHandler, HandlerError, z } from "holdline";
import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect } from "../support/client.ts";
import { apiOf } from "../support/http.ts";
import { within } from "../support/wait.ts";

const ROOT = resolve(import.meta.dir, "../..");
const PROGRAM = join(ROOT, "examples/embed.ts");

const folders: string[] = [];
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "holdline-embed-"));
  folders.push(path);
  return path;
}
afterAll(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))));

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\n");
    if (end !== -1) return text.slice(0, end);
  }
  throw new Error(`it ended after: ${text}`);
}

/** Runs the program in an empty folder and uses it; it ends with 0 when it is told to. */
async function use(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], {
    cwd: await folder(),
    env: { PATH: process.env["PATH"] ?? "", HOLDLINE_PORT: "0", HOLDLINE_LOG: "error" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await within("the program to tell its address", firstLine(child.stdout), 20_000);
  const url = /http:\S+$/.exec(said)?.[0] ?? "";
  {
    await using client = await connect({ url });
    const api = apiOf({ url }, client.token);
    const greeting = await api.submit({ type: "greet", input: { name: "Ada" } });
    expect((await client.waitForEnd(greeting.id)).data).toEqual({ result: { greeted: "Ada" } });
    // The writer's thread and the voice's are programs of their own inside the binary.
    const speech = await api.submit({ type: "speech", input: { text: "Hello." } });
    expect((await client.waitForEnd(speech.id)).kind).toBe("job.succeeded");
  }
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}

test(
  "a program embeds the server with a handler of its own",
  () => use([process.execPath, "--no-env-file", PROGRAM]),
  40_000,
);

test("the same program, compiled", async () => {
  const out = await folder();
  const build = Bun.spawn(
    [process.execPath, "--no-env-file", join(ROOT, "src/build.ts"), "--entry", PROGRAM, "--out", out],
    { cwd: ROOT, stdout: "pipe", stderr: "pipe" },
  );
  const errors = await new Response(build.stderr).text();
  expect({ code: await build.exited, errors }).toEqual({ code: 0, errors: expect.any(String) as string });
  // Of what goes inside, wherever the program lies that is compiled.
  const notices = await Bun.file(join(out, "THIRD-PARTY-NOTICES.txt")).text();
  for (const name of ["hono", "zod"]) expect(notices).toMatch(new RegExp(`^${name} \\d`, "m"));
  await use([join(out, "holdline")]);
}, 120_000);

test("an error that nobody awaits does not end the program around it", async () => {
  const stray = defineHandler({
    type: "stray",
    input: z.object({}),
    async run() {
      void Promise.reject(new Error("left alone"));
      return "done";
    },
  });
  const settings = { port: 0, dataDir: await folder(), log: "silent" };
  const server = createHoldline({ handlers: [stray], settings });
  await server.start();
  {
    await using client = await connect({ url: server.url });
    const { id } = await apiOf({ url: server.url }, client.token).submit({ type: "stray", input: {} });
    expect((await client.waitForEnd(id)).data).toEqual({ result: "done" });
  }
  await server.stop();
});

test("what is wrong with a handler is said when it is given", () => {
  const input = z.object({});
  const isolated = defineHandler({ type: "apart", input, isolate: true, run: async () => 1 });
  expect(() => createHoldline({ handlers: [isolated] })).toThrow(HandlerError);
  expect(() => createHoldline({ handlers: [isolated] })).toThrow("put it into the handlers folder");
  const nameless = defineHandler({ type: "", input, run: async () => 1 });
  expect(() => createHoldline({ handlers: [nameless] })).toThrow("handler 1: type must be 1 to 64");
});

test("settings that do not exist are told with the nearest that does", () => {
  const settings = { prot: 1 } as unknown as { port: number };
  expect(() => createHoldline({ settings })).toThrow("port");
});

test("a start that fails leaves the data folder to the next one in the same process", async () => {
  const settings = { port: 0, dataDir: await folder(), log: "silent" };
  const input = z.object({});
  const webhook = "https://hooks.example.com/end";
  const told = defineHandler({ type: "told", input, webhook, run: async () => 1 });
  const wrong = createHoldline({ handlers: [told], settings });
  const error = await wrong.start().catch((cause: unknown) => cause);
  expect(String(error)).toContain("the webhook of the type told names a host");
  const right = createHoldline({ settings });
  await right.start();
  expect((await fetch(`${right.url}/readyz`)).status).toBe(200);
  await right.stop();
});
