/**
 * `npm run dev` while clients use it: the handlers and the program itself change under running jobs and open sockets,
 * and are wrong now and then. No accepted job is lost, sockets resume, what is wrong is told, what is right is served.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createFolder } from "../handler-files/folder.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { program } from "../support/program.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { openStubbornClient, type StubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";
import { openWorkshop } from "../support/workshop.ts";

const CLIENTS = 3;
const WORDS = 16;
const CHANGE_LIMIT_MS = 60_000;
const WAITS = "the start waits until these handler files are mended";

/** Says its mark again and again, for for half a second or so, and in its result. */
const handler = (mark: string) => `import { defineHandler, z } from "holdline";
export default defineHandler({
  type: "slow",
  input: z.object({ words: z.int() }),
  async run(job, { words }) {
    for (let n = 0; n < words; n += 1) {
      await job.text("${mark} ");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return "${mark}";
  },
});
`;

/** What `npm run dev` runs, on the copy of the program. */
async function devCommand(folder: string): Promise<string[]> {
  const { scripts } = (await Bun.file(join(folder, "package.json")).json()) as {
    scripts: Record<string, string>;
  };
  const [bun, ...words] = (scripts["dev"] ?? "").split(" ");
  expect(bun).toBe("bun");
  return [process.execPath, ...words.map((word) => (word.startsWith("src/") ? join(folder, word) : word))];
}

/** Jobs one after the other until it is told to stop: each is handed in under a key, followed to its end and kept. */
function keepBusy(client: StubbornClient, name: string) {
  const jobs: string[] = [];
  let over = false;
  const work = async (): Promise<void> => {
    while (!over) {
      const body = { type: "slow", input: { words: WORDS } };
      const { id } = await client.submit(`${name}-${jobs.length}`, body);
      jobs.push(id);
      await client.finished(id);
    }
  };
  const done = work();
  return {
    jobs,
    /** Resolves when a job that is handed in from now on has ended: it was, once the one after it is handed in. */
    another: () => {
      const before = jobs.length;
      return until("another job to end", () => jobs.length >= before + 2, CHANGE_LIMIT_MS);
    },
    stop: async (): Promise<void> => {
      over = true;
      await done;
    },
  };
}

/** The mark of a job that is handed in now. */
async function markNow(client: StubbornClient, key: string): Promise<string> {
  const { id } = await client.submit(key, { type: "slow", input: { words: 1 } });
  await client.finished(id);
  return (await client.api().output(id)).text.trim();
}

const times = (server: TestServer, words: string): number => server.output().split(words).length - 1;

test("clients notice restarts and nothing else, whatever is saved", async () => {
  const workshop = openWorkshop([]);
  await using handlers = await createFolder({ "slow.ts": handler("one") });
  await using server = await startServer({
    argv: await devCommand(workshop.folder),
    env: { HOLDLINE_HANDLERS_DIR: handlers.path },
  });
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openStubbornClient(server)));
  const busy = clients.map((client, index) => keepBusy(client, `client-${index}`));
  const [first] = clients as [StubbornClient];
  const goesOn = (): Promise<unknown> => Promise.all(busy.map(({ another }) => another()));
  const told = (words: string, before: number): Promise<unknown> =>
    until(`“${words}” to be told`, () => times(server, words) > before, CHANGE_LIMIT_MS);
  /** Saves a file of the program; resolves when the server listens anew. */
  const file = join(workshop.folder, "src/handlers/registry.ts");
  const source = await Bun.file(file).text();
  const restarted = async (text: string): Promise<void> => {
    const before = times(server, '"listening"');
    await Bun.write(file, text);
    await told('"listening"', before);
  };

  // The handlers alone: a good version, a wrong one, a good one.
  await handlers.write("slow.ts", handler("two"));
  await told("handlers were loaded again", 0);
  expect(await markNow(first, "second")).toBe("two");
  await handlers.write("slow.ts", "export default {");
  await told("handlers were not loaded again", 0);
  expect(await markNow(first, "second still")).toBe("two");
  await handlers.write("slow.ts", handler("three"));
  await told("handlers were loaded again", 1);
  expect(await markNow(first, "third")).toBe("three");
  await goesOn();

  // The program: another version, one that is no TypeScript, one that throws when it is loaded, and good ones between.
  await restarted(`${source}\n// Another version.\n`);
  await goesOn();
  await Bun.write(file, `${source}\nconst = ;\n`);
  await told("registry.ts:", 0);
  await restarted(`${source}\n// Mended.\n`);
  await goesOn();
  await Bun.write(file, `${source}\nthrow new Error("thrown by the program");\n`);
  await told("thrown by the program", 0);
  await restarted(`${source}\n// Mended again.\n`);
  await goesOn();

  // Both at once: a program that starts anew finds handlers that are wrong, and waits for them.
  await handlers.write("slow.ts", 'throw new Error("no handler yet");');
  await told("no handler yet", 0);
  await Bun.write(file, `${source}\n// A last version.\n`);
  await told(WAITS, 0);
  const before = times(server, '"listening"');
  await handlers.write("slow.ts", handler("four"));
  await told('"listening"', before);
  expect(await markNow(first, "fourth")).toBe("four");

  await Promise.all(busy.map(({ stop }) => stop()));
  let restarts = 0;
  for (const [index, client] of clients.entries()) {
    const ids = busy[index]?.jobs ?? [];
    expect(ids.length).toBeGreaterThan(3);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) {
      const log = await client.api().log(id);
      expectWhole(log, client.deliveries(id));
      expect(log.at(-1)?.kind).toBe("job.succeeded");
      // One run, one version: nobody hears half of each.
      expect(new Set(textOf(log).trim().split(" ")).size).toBe(1);
      restarts += log.filter(({ kind, data }) => kind === "job.retrying" && data.reason === "restart").length;
    }
    expect(client.moves.length).toBeGreaterThanOrEqual(4);
    expect(client.moves.filter(({ resumed }) => !resumed)).toEqual([]);
    await client[Symbol.asyncDispose]();
  }
  // Runs were under way when the program changed: else nothing was tried.
  expect(restarts).toBeGreaterThan(0);
  expect(server.exit()).toBeNull();
  workshop.close();
}, 240_000);

test("a start that waits for its handler files ends by one signal", async () => {
  await using handlers = await createFolder({ "slow.ts": "export default {" });
  const child = Bun.spawn(program("serve"), {
    cwd: handlers.path,
    env: {
      PATH: process.env["PATH"],
      HOLDLINE_PORT: "0",
      HOLDLINE_HANDLERS_DIR: handlers.path,
      HOLDLINE_HANDLERS_WATCH: "on",
    },
    stdout: "pipe",
    stderr: "ignore",
  });
  let said = "";
  for await (const chunk of child.stdout) {
    const waited = said.includes(WAITS);
    said += new TextDecoder().decode(chunk);
    if (!waited && said.includes(WAITS)) child.kill("SIGTERM");
  }
  expect(await child.exited).toBe(0);
  expect(said).toContain("slow.ts:1:");
  expect(said).toContain("stopped before it had started");
}, 30_000);
