/**
 * A real server process for black-box tests: its own port and data folder, ready when it says so, gone when the test is.
 */
import { afterAll, beforeAll } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "./free-port.ts";
import { program } from "./program.ts";
import { until, within } from "./wait.ts";

const START_LIMIT_MS = 20_000;
/**
 * Many users of one address on one server are what tests are made of, so the limits per address and user are off;
 * tests of those limits set them.
 */
const BASE_ENVIRONMENT = {
  HOLDLINE_USER_SESSIONS: "0",
  HOLDLINE_RATE_PER_MINUTE: "0",
  HOLDLINE_FRAMES_PER_MINUTE: "0",
};

export interface ServerOptions {
  /** `HOLDLINE_…` variables on top of port and data folder. */
  readonly env?: Readonly<Record<string, string>>;
  /** Text of `holdline.toml` in the folder where it is started. */
  readonly file?: string;
  /** Another program than the product's own (a file under test/), with job types that a product would not have. */
  readonly program?: string;
  /** Another command than the product's own, such as one with `--watch`. */
  readonly argv?: readonly string[];
  /** Put in front of the command, such as `["prlimit", "--nofile=64", "--"]`. */
  readonly under?: readonly string[];
  /** The address it listens at, when it is not the loopback. */
  readonly host?: string;
}

export interface ExitFacts {
  readonly code: number | null;
  readonly signal: string | number | null;
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly dataFolder: string;
  readonly pid: number;
  /** Everything written to stdout and stderr so far, by all processes since the first start. */
  output(): string;
  /** The parsed JSON lines of stdout. */
  logs(): Record<string, unknown>[];
  /** null while the process lives. */
  exit(): ExitFacts | null;
  /** Sends the signal; resolves when the process is gone if the signal is one that ends it, else at once. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Resolves when the process has ended by itself or by a signal. */
  exited(limitMs?: number): Promise<ExitFacts>;
  /** A new process on the same port and folder; the old one is killed first if it still runs. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>;
}

/** The environment of this process without anything that could configure the server behind the test's back. */
function cleanEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined || /^(HOLDLINE_|OTEL_|BUN_|NO_COLOR$|FORCE_COLOR$)/.test(name)) continue;
    kept[name] = value;
  }
  return kept;
}

interface Running {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** Resolves with the line that says where it listens. */
  readonly listening: Promise<string>;
}

/** Reads lines as they come; `onLine` gets each one whole. */
async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  if (rest !== "") onLine(rest);
}

/** The fields of a JSON line; nothing for any other, or for one cut short by a kill. */
function readLogLine(line: string): Record<string, unknown>[] {
  try {
    return line.startsWith("{") ? [JSON.parse(line) as Record<string, unknown>] : [];
  } catch {
    return [];
  }
}

function command({ argv, program: other, under = [] }: ServerOptions): string[] {
  if (argv !== undefined) return [...under, ...argv];
  if (other !== undefined)
    return [...under, process.execPath, "--no-env-file", resolve(import.meta.dir, "..", other)];
  return [...under, ...program("serve")];
}

function spawnServer(
  options: ServerOptions,
  folder: string,
  env: Record<string, string>,
  lines: string[],
): Running {
  const listening = Promise.withResolvers<string>();
  // Nobody may be waiting any more when it fails.
  listening.promise.catch(() => undefined);
  const child = Bun.spawn(command(options), {
    cwd: folder,
    env: { ...cleanEnvironment(), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const readOut = readLines(child.stdout, (line) => {
    lines.push(line);
    if (line.includes('"listening"')) listening.resolve(line);
  });
  const readErr = readLines(child.stderr, (line) => lines.push(line));
  void Promise.all([child.exited, readOut, readErr]).then(() => {
    listening.reject(
      new Error(
        `the server ended before it listened (${child.exitCode ?? child.signalCode}):\n${lines.join("\n")}`,
      ),
    );
    return undefined;
  });
  return { child, listening: listening.promise };
}

async function waitUntilReady(running: Running, url: string, lines: readonly string[]): Promise<void> {
  try {
    await within('a line "listening" on stdout', running.listening, START_LIMIT_MS);
    await until(
      "/readyz to answer 200",
      async () => (await fetch(`${url}/readyz`).catch(() => null))?.status === 200,
      START_LIMIT_MS,
    );
  } catch (cause) {
    running.child.kill("SIGKILL");
    throw new Error(`the server did not start; it wrote:\n${lines.join("\n")}`, { cause });
  }
}

/** Signals after which a process cannot go on. */
const ENDING: ReadonlySet<string> = new Set(["SIGKILL", "SIGABRT", "SIGSEGV"]);

/** Starts a server and waits until it is ready. Dispose of it with `await using`. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-test-"));
  const dataFolder = join(folder, "data");
  if (options.file !== undefined) await Bun.write(join(folder, "holdline.toml"), options.file);
  const lines: string[] = [];
  const { host = "127.0.0.1" } = options;
  let port = 0;
  let running: Running;

  async function launch(env: Readonly<Record<string, string>>): Promise<void> {
    const fixed = { HOLDLINE_HOST: host, HOLDLINE_PORT: String(port), HOLDLINE_DATA_DIR: dataFolder };
    running = spawnServer(options, folder, { ...BASE_ENVIRONMENT, ...fixed, ...env }, lines);
    await waitUntilReady(running, `http://${host}:${port}`, lines);
  }
  const exit = (): ExitFacts | null => {
    const { exitCode, signalCode } = running.child;
    return exitCode === null && signalCode === null ? null : { code: exitCode, signal: signalCode };
  };
  const exited = async (limitMs?: number): Promise<ExitFacts> => {
    await within("the server process to end", running.child.exited, limitMs);
    return exit() ?? { code: null, signal: null };
  };
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    running.child.kill(signal);
    if (ENDING.has(signal)) await exited();
  };
  const dispose = async (): Promise<void> => {
    if (exit() === null) await kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  };

  for (let tries = 1; ; tries += 1) {
    port = await freePort();
    try {
      await launch(options.env ?? {});
      break;
    } catch (error) {
      // Somebody else may have taken the port between the probe and the start.
      if (tries < 3 && /EADDRINUSE|in use/i.test(lines.join("\n"))) continue;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  return {
    url: `http://${host}:${port}`,
    port,
    dataFolder,
    get pid() {
      return running.child.pid;
    },
    output: () => lines.join("\n"),
    logs: () => lines.flatMap(readLogLine),
    exit,
    kill,
    exited,
    restart: async (env) => {
      if (exit() === null) await kill("SIGKILL");
      await launch(env ?? options.env ?? {});
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/**
 * One server for all tests of a file (or describe block), started before the first and gone after the last.
 * A server that died under those tests fails them, whatever they asserted.
 */
export function sharedServer(options: ServerOptions = {}): () => TestServer {
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await startServer(options);
  });
  afterAll(async () => {
    const exit = server?.exit() ?? null;
    const output = server?.output() ?? "";
    await server?.[Symbol.asyncDispose]();
    if (exit !== null) throw new Error(`the server died (${exit.code ?? exit.signal}):\n${output}`);
  });
  return () => {
    if (server === undefined) throw new Error("the server is not there yet");
    return server;
  };
}

/** Whether something accepts TCP connections there. */
export async function accepts(port: number): Promise<boolean> {
  const answer = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: "127.0.0.1" });
  socket.once("connect", () => answer.resolve(true));
  socket.once("error", () => answer.resolve(false));
  const accepted = await answer.promise;
  socket.destroy();
  return accepted;
}
