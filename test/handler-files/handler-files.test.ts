/** Handlers in TypeScript files (PROTOCOL section 8), as whoever writes them meets them: a real server on a real folder. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { LIMITS } from "../../src/protocol/limits.ts";
import { connect, type Client } from "../support/client.ts";
import { apiOf, newSession, type Api } from "../support/http.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";
import { until } from "../support/wait.ts";
import { createFolder, handlerFile, type HandlerFolder } from "./folder.ts";

const EXAMPLES = resolve(import.meta.dir, "../../examples/handlers");

function on(folder: string, env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  return startServer({ env: { HOLDLINE_HANDLERS_DIR: folder, ...env } });
}

describe("the examples", () => {
  let server: TestServer;
  let client: Client;
  let api: Api;

  beforeAll(async () => {
    server = await on(EXAMPLES);
    client = await connect(server);
    api = apiOf(server, client.token);
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test("shout speaks word by word and tells its result", async () => {
    const { id } = await api.submit({ type: "shout", input: { text: "come over here" } });
    expect((await client.waitForEnd(id)).data).toEqual({ result: { words: 3 } });
    const events = client.events(id);
    const text = events.filter(({ kind }) => kind === "output.text").map(({ data }) => data.delta);
    expect(text.join("")).toBe("COME OVER HERE ");
    expect(events.some(({ kind, data }) => kind === "job.progress" && data.message === "warming up")).toBe(
      true,
    );
  });

  test("an input is checked by the file's own schema, and the schema is published", async () => {
    const refused = await api.post({ type: "shout", input: { text: "x".repeat(2001) } });
    expect(refused.status).toBe(400);
    expect(refused.body.errors?.[0]?.pointer).toBe("/input/text");
    const types = await api.call<{ items: { type: string; input: unknown; output: string[] }[] }>(
      "GET",
      "/v1/types",
    );
    const shout = types.body.items.find(({ type }) => type === "shout");
    expect(shout?.output).toEqual(["text"]);
    expect(JSON.stringify(shout?.input)).toContain('"maxLength":2000');
  });

  test("primes computes in a thread, and a killed server's next run goes on from the checkpoint", async () => {
    const below = 4_000_000;
    const { id } = await api.submit({ type: "primes", input: { below } });
    await client.waitForEvent(id, "a first line", ({ kind }) => kind === "output.text");
    // While it computes, others are served: far sooner than it is done.
    const asked = performance.now();
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect(performance.now() - asked).toBeLessThan(500);
    await server.restart();
    await using again = await connect(server, { token: client.token });
    await again.attach(id, 0);
    const end = await again.waitForEnd(id, 60_000);
    expect(end.data).toEqual({ result: { below, count: 283_146 } });
    const reset = again.events(id).findIndex(({ kind }) => kind === "output.reset");
    const next = again.events(id).find(({ kind }, index) => index > reset && kind === "output.text");
    expect(reset).toBeGreaterThan(0);
    // From nothing it would be the line "… up to 100001".
    expect(Number(/up to (\d+)/.exec(next?.data.delta ?? "")?.[1])).toBeGreaterThan(200_000);
  }, 90_000);
});

describe("with reload", () => {
  const shout = (mark: string) => `export const mark: string = ${JSON.stringify(mark)};\n`;
  const slow = `import { defineHandler, z } from "holdline";
import { mark } from "./lib/mark.ts";
export default defineHandler({
  type: "slow",
  input: z.object({ words: z.int() }),
  async run(job, { words }) {
    for (let n = 0; n < words; n += 1) {
      await job.text(mark);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  },
});
`;
  const loads = (server: TestServer) =>
    server.logs().filter(({ msg }) => msg === "handlers were loaded again").length;
  const textOf = async (api: Api, id: string) => (await api.output(id)).text;

  test("a change is served at once, connections stay, and a run finishes on the code it began with", async () => {
    await using folder = await createFolder({ "slow.ts": slow, "lib/mark.ts": shout("a") });
    await using server = await on(folder.path, { HOLDLINE_HANDLERS_WATCH: "on" });
    await using client = await connect(server);
    const api = apiOf(server, client.token);
    const old = await api.submit({ type: "slow", input: { words: 25 } });
    await client.waitForEvent(old.id, "a word", ({ kind }) => kind === "output.text");

    await folder.write("lib/mark.ts", shout("b"));
    await until("the handlers to be loaded again", () => loads(server) === 1);
    const fresh = await api.submit({ type: "slow", input: { words: 2 } });
    await client.waitForEnd(fresh.id);
    expect(await textOf(api, fresh.id)).toBe("bb");
    expect((await api.job(old.id)).terminal).toBe(false);
    await client.waitForEnd(old.id);
    expect(await textOf(api, old.id)).toBe("a".repeat(25));
    // One welcome: the socket lived through it.
    expect(client.frames("welcome")).toHaveLength(1);
  });

  test("a mistake is told with its place, and what worked goes on", async () => {
    await using folder = await createFolder({ "slow.ts": slow, "lib/mark.ts": shout("a") });
    await using server = await on(folder.path, { HOLDLINE_HANDLERS_WATCH: "on" });
    await using client = await connect(server);
    const api = apiOf(server, client.token);
    const problems = () =>
      server.logs().flatMap(({ problem }) => (typeof problem === "string" ? [problem] : []));

    await folder.write("lib/mark.ts", "export const mark: string =\n");
    await until("the mistake to be told", () => problems().some((text) => text.startsWith("lib/mark.ts:")));
    await folder.write("lib/mark.ts", shout("c"));
    await until("the handlers to be loaded again", () => loads(server) === 1);
    await folder.write("other.ts", handlerFile("slow", "return 1;"));
    await until("the double type to be told", () =>
      problems().some((text) => text.includes("slow.ts and other.ts both serve the type slow")),
    );
    const job = await api.submit({ type: "slow", input: { words: 1 } });
    await client.waitForEnd(job.id);
    expect(await textOf(api, job.id)).toBe("c");
  });

  test("a handler in a thread stays as it was loaded, too, until what is saved can be served", async () => {
    const apart = (body: string) => `import { defineHandler, z } from "holdline";
import { mark } from "./lib/mark.ts";
export default defineHandler({ type: "apart", isolate: true, maxAttempts: 1, input: z.object({}), ${body} });
`;
    const files = { "apart.ts": apart("run: async () => `one ${mark}`"), "lib/mark.ts": shout("a") };
    await using folder = await createFolder(files);
    // By another name, as a folder below a link has.
    await using outside = await createFolder({});
    const link = join(outside.path, "link");
    await symlink(folder.path, link);
    await using server = await on(link, { HOLDLINE_HANDLERS_WATCH: "on" });
    await using client = await connect(server);
    const api = apiOf(server, client.token);
    const result = async () => {
      const { id } = await api.submit({ type: "apart", input: {} });
      return (await client.waitForEnd(id)).data;
    };
    expect(await result()).toEqual({ result: "one a" });
    await folder.write("lib/mark.ts", "export const mark: string =");
    await until("the mistake to be told", () => server.output().includes('"lib/mark.ts:1:'));
    expect(await result()).toEqual({ result: "one a" });
    await folder.write("lib/mark.ts", shout("b"));
    await until("the handlers to be loaded again", () => loads(server) === 1);
    expect(await result()).toEqual({ result: "one b" });
  });

  test("a start with a mistake waits until it is mended, and then serves", async () => {
    await using outside = await createFolder({});
    const marker = join(outside.path, "read");
    const mistake = `await Bun.write(${JSON.stringify(marker)}, ""); throw new Error("not yet");`;
    await using folder = await createFolder({ "one.ts": mistake });
    const starting = on(folder.path, { HOLDLINE_HANDLERS_WATCH: "on" });
    await until("the file to be read", () => Bun.file(marker).exists());
    await folder.write("one.ts", handlerFile("one", "return 1;"));
    await using server = await starting;
    expect(server.output()).toContain("the start waits until these handler files are mended");
    await using client = await connect(server);
    const job = await apiOf(server, client.token).submit({ type: "one", input: {} });
    expect((await client.waitForEnd(job.id)).data).toEqual({ result: 1 });
  });

  test("a new file brings a new type, for jobs that wait as well", async () => {
    await using folder = await createFolder({ "one.ts": handlerFile("one", "return 1;") });
    await using server = await on(folder.path, { HOLDLINE_HANDLERS_WATCH: "on" });
    await using client = await connect(server);
    const api = apiOf(server, client.token);
    expect((await api.post({ type: "two", input: {} })).body.code).toBe("unknown_type");
    await folder.write("two.ts", handlerFile("two", "return 2;"));
    await until("the handlers to be loaded again", () => loads(server) >= 1);
    const job = await api.submit({ type: "two", input: {} });
    expect((await client.waitForEnd(job.id)).data).toEqual({ result: 2 });
  });
});

/** Everything a handler can do wrong, each in a type of its own. */
const ACCIDENTS: Readonly<Record<string, string>> = {
  "throws.ts": handlerFile("throws", 'throw new Error("the secret reason");', "maxAttempts: 1,"),
  "chooses.ts": handlerFile(
    "chooses",
    'throw new JobError("out_of_paper", "There is no paper.", { retryable: false });',
  ),
  "stray.ts": handlerFile(
    "stray",
    `Promise.reject(new Error("nobody awaits"));
     setTimeout(() => { throw new Error("too late"); }, 1);
     await new Promise((resolve) => setTimeout(resolve, 50));
     return "done";`,
  ),
  "hangs.ts": handlerFile("hangs", "await new Promise(() => {});", "timeoutMs: 200, maxAttempts: 1,"),
  "floods.ts": handlerFile("floods", 'for (;;) job.text("word ");'),
  "blocks.ts": handlerFile("blocks", "const until = Date.now() + 1500; while (Date.now() < until);"),
  "chatty.ts": `import { defineHandler, z } from "holdline";
const input = z.object({});
async function run(job) {
  const where = job.type;
  job.log.info(where + ": words alone");
  job.log.warn({ where }, where + ": fields first");
  job.log.error(new Error(where + ": an error alone"));
  job.log.debug();
  job.log.info({ where, unclonable: () => 1, big: 1n }, where + ": what cannot be copied");
  job.log.info(null, 7, [where + ": anything"]);
  return "said";
}
export default [
  defineHandler({ type: "chatty", maxAttempts: 1, input, run }),
  defineHandler({ type: "chatty-apart", isolate: true, maxAttempts: 1, input, run }),
  defineHandler({ type: "stray-apart", isolate: true, maxAttempts: 1, input,
    async run() {
      Promise.reject(new Error("nobody awaits in a thread"));
      setTimeout(() => { throw new Error("too late in a thread"); }, 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return "done";
    } }),
  defineHandler({ type: "gushes", isolate: true, maxAttempts: 1, input,
    async run(job) {
      for (let n = 0; n < 100_000; n += 1) job.log.info({ n }, "a drop of many");
      return "done";
    } }),
  defineHandler({ type: "posts", isolate: true, maxAttempts: 1, input,
    async run() { postMessage("hello"); await new Promise(() => {}); } }),
];
`,
  "isolated.ts": `import { defineHandler, JobError, z } from "holdline";
export default [
  defineHandler({ type: "asks", isolate: true, input: z.object({}),
    async run() { throw new JobError("no_answer", "Nobody answers.", { retryable: false, origin: "upstream" }); } }),
  defineHandler({ type: "spins", isolate: true, timeoutMs: 300, maxAttempts: 1, input: z.object({}),
    async run(job) { await job.text("before"); for (;;); } }),
  defineHandler({ type: "leaves", isolate: true, maxAttempts: 1, input: z.object({}),
    async run() { process.exit(3); } }),
  defineHandler({ type: "pours", isolate: true, maxAttempts: 1, input: z.object({}),
    async run(job) { for (;;) job.text("word "); } }),
  defineHandler({ type: "pours-much", isolate: true, maxAttempts: 1, input: z.object({}),
    async run(job) {
      let calls = 0;
      try { for (;;) { void job.text("word ".repeat(10_000)); calls += 1; } } catch { job.log.info({ calls }, "poured until refused"); }
    } }),
  defineHandler({ type: "complete", isolate: true, input: z.object({ n: z.int() }),
    async run(job, { n }) {
      await job.text(job.metadata.word);
      await job.audioFormat({ codec: "pcm_s16le", sampleRate: 8000, channels: 1 });
      await job.audio(new Uint8Array([1, 2, 3, 4]));
      await job.data({ n });
      await job.progress(0.5, "half");
      job.log.info({ n }, "said in a thread");
      if (job.attempt === 1) { await job.checkpoint({ n }); throw new Error("once more"); }
      return { left: job.lastCheckpoint, attempt: job.attempt };
    } }),
];
`,
};

describe("what goes wrong in a handler is contained and named", () => {
  let folder: HandlerFolder;
  let server: TestServer;
  let client: Client;
  let api: Api;

  beforeAll(async () => {
    folder = await createFolder(ACCIDENTS);
    server = await on(folder.path);
    client = await connect(server);
    api = apiOf(server, client.token);
  });
  afterAll(async () => {
    // Whatever the handlers did, the process is the one that was started.
    expect(server.exit()).toBeNull();
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const ended = async (type: string, body: object = {}) => {
    const { id } = await api.submit({ type, input: {}, ...body });
    const end = await client.waitForEnd(id, 30_000);
    return { id, kind: end.kind, data: end.data };
  };
  const errorOf = ({ data }: { data: { error?: { code: string; message: string } } }) => data.error;

  test("throws: the user learns that it failed, the log why", async () => {
    const { kind, data } = await ended("throws");
    expect(kind).toBe("job.failed");
    expect(errorOf({ data })?.code).toBe("handler_error");
    expect(JSON.stringify(data)).not.toContain("secret reason");
    await until("the reason in the log", () => server.output().includes("the secret reason"));
  });

  test("throws a JobError: code and message are the user's", async () => {
    expect(errorOf(await ended("chooses"))).toMatchObject({
      code: "out_of_paper",
      message: "There is no paper.",
    });
  });

  test("an error that nobody awaits is logged with its file, and the run goes on", async () => {
    const { data } = await ended("stray");
    expect(data).toEqual({ result: "done" });
    await until("both errors in the log", () =>
      ["nobody awaits", "too late"].every((text) => server.output().includes(text)),
    );
    await until("its file in the log", () => server.output().includes("stray.ts:"));
  });

  test("hangs: its time limit ends the job", async () => {
    expect(errorOf(await ended("hangs"))?.code).toBe("timeout");
  });

  test("floods without waiting: ended once 16 MiB wait to be stored", async () => {
    const error = errorOf(await ended("floods"));
    expect(error?.code).toBe("handler_error");
    expect(error?.message).toContain("16777216 bytes were waiting");
  });

  test("blocks the loop: the log says for how long, and which types ran", async () => {
    await ended("blocks");
    const line = await until("a line about it", () =>
      server
        .logs()
        .find(
          ({ msg, types }) =>
            msg === "something held the event loop" && JSON.stringify(types).includes("blocks"),
        ),
    );
    expect(Number(line["blockedMs"])).toBeGreaterThan(1000);
  });

  test("isolated, computing for ever: ended from outside, and others are served meanwhile", async () => {
    const { id } = await api.submit({ type: "spins", input: {} });
    await client.waitForEvent(id, "its text", ({ kind }) => kind === "output.text");
    const other = await ended("complete", { input: { n: 1 }, metadata: { word: "x" } });
    expect(other.kind).toBe("job.succeeded");
    expect(errorOf({ data: (await client.waitForEnd(id)).data })?.code).toBe("timeout");
  });

  test.each(["chatty", "chatty-apart"])("logs in whatever form: each is a line of %s", async (type) => {
    expect((await ended(type)).data).toEqual({ result: "said" });
    const said = ["words alone", "fields first", "an error alone", "what cannot be copied", "anything"];
    await until("every line", () => said.every((text) => server.output().includes(`${type}: ${text}`)));
    const line = server.logs().find(({ msg }) => msg === `${type}: what cannot be copied`);
    expectShape(line, { level: "info", type, attempt: 1, where: type });
  });

  test("isolated: an error that nobody awaits is logged, and the run goes on", async () => {
    expect((await ended("stray-apart")).data).toEqual({ result: "done" });
    await until("both errors in the log", () =>
      ["nobody awaits in a thread", "too late in a thread"].every((text) => server.output().includes(text)),
    );
  });

  test("isolated, logging without end: lines are left out, and their number is told", async () => {
    expect((await ended("gushes")).data).toEqual({ result: "done" });
    const drops = () => server.logs().filter(({ msg }) => msg === "a drop of many").length;
    const told = await until("the number of lines that are missing", () =>
      server.logs().find(({ msg }) => msg === "a handler logged faster than that can be written"),
    );
    expect(told["lines"]).toBe(100_000 - LIMITS.isolatedLines);
    await until("the lines before", () => drops() === LIMITS.isolatedLines);
  });

  test("isolated, posting messages of its own: the run fails, the server stays", async () => {
    expect(errorOf(await ended("posts"))?.code).toBe("handler_error");
  });

  test("isolated, ending its thread or writing without end: the run fails, the server stays", async () => {
    expect(errorOf(await ended("leaves"))?.code).toBe("handler_error");
    const poured = errorOf(await ended("pours"));
    expect(poured?.code).toBe("handler_error");
    expect(poured?.message).toContain("did not wait");
    // 16 MiB on their way to the server are enough, however few calls they are.
    await ended("pours-much");
    const line = await until("its line in the log", () =>
      server.logs().find(({ msg }) => msg === "poured until refused"),
    );
    expect(line["calls"]).toBe(Math.floor(LIMITS.unwrittenBytes / 50_000));
  });

  test("isolated, throws a JobError: all of it is the user's, its origin too", async () => {
    expect(errorOf(await ended("asks"))).toMatchObject({
      code: "no_answer",
      message: "Nobody answers.",
      retryable: false,
      origin: "upstream",
    });
  });

  test("isolated: the whole job is there, checkpoints and metadata too", async () => {
    const { id, data } = await ended("complete", { input: { n: 7 }, metadata: { word: "seven" } });
    expect(data).toEqual({ result: { left: { n: 7 }, attempt: 2 } });
    const kinds = client.events(id).map(({ kind }) => kind);
    const run = ["output.text", "output.audio.format", "output.audio", "output.data", "job.progress"];
    expect(kinds.filter((kind) => kind.startsWith("output.") || kind === "job.progress")).toEqual([
      ...run,
      "output.reset",
      ...run,
    ]);
    await until("its line in the log", () => server.output().includes("said in a thread"));
  });
});

describe("a server does not start", () => {
  const refusals: [what: string, files: Record<string, string>, sentence: RegExp][] = [
    ["on a file that cannot be read as TypeScript", { "a.ts": "export default {" }, /a\.ts:1:\d+: /],
    [
      "on a file with several mistakes",
      { "a.ts": "export const a = {\nlet x = ;\n" },
      /a\.ts:2:5: Expected "\}" but found "x"; a\.ts:2:9: Unexpected ;/,
    ],
    [
      "on a file without a handler",
      { "a.ts": "export const b = 1;" },
      /a\.ts has no handler: export default/,
    ],
    [
      "on a handler with parts missing",
      { "a.ts": "export default { typ: 'a', run() {} };" },
      /a\.ts: type is missing, input is missing, typ is not a field/,
    ],
    [
      "on a handler whose defaults nobody may ask for",
      { "a.ts": handlerFile("a", "", "maxAttempts: 26, timeoutMs: 0.5, rollupMs: 2000,") },
      /maxAttempts must be a whole number from 1 to 25, timeoutMs must .* to 86400000, rollupMs must .* 0 to 1000/,
    ],
    [
      "on a file that throws",
      { "a.ts": 'const a = 1;\nthrow new Error("no model");' },
      /a\.ts:2:\d+: no model/,
    ],
    [
      "on two files with one type",
      { "a.ts": handlerFile("same", ""), "b.ts": handlerFile("same", "") },
      /b\.ts and a\.ts both serve the type same/,
    ],
    [
      "on a type that is there already",
      { "a.ts": handlerFile("chat", "") },
      /two handlers serve the type chat/,
    ],
    ["on an import that is not there", { "a.ts": 'import "./gone.ts";' }, /a\.ts.*gone\.ts/],
  ];
  test.each(refusals)("%s, and says which", async (_what, files, sentence) => {
    await using folder = await createFolder(files);
    let message = "";
    try {
      await (await on(folder.path))[Symbol.asyncDispose]();
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message).toMatch(sentence);
  });

  test("without its folder", async () => {
    const missing = join(EXAMPLES, "nowhere");
    const started = on(missing);
    expect(started).rejects.toThrow(
      `the handlers folder ${missing} is not there: make it, or leave HOLDLINE_HANDLERS_DIR out`,
    );
    await started.catch(() => undefined);
  });
});

test("a handler that ends the process is named, and a supervisor sees a failure", async () => {
  await using folder = await createFolder({ "leaver.ts": handlerFile("leaver", "process.exit(0);") });
  await using server = await on(folder.path);
  const api = await newSession(server);
  await api.post({ type: "leaver", input: {} }).catch(() => null);
  expect(await server.exited()).toEqual({ code: 1, signal: null });
  expect(server.output()).toContain("called process.exit(0)");
  expect(server.output()).toContain(join(folder.path, "leaver.ts"));
});
