/**
 * A server of this very program as a child process, in a folder of its own: what `selftest` kills and `bench` loads. It
 * is told everything by flags, so that nothing of the operator's settings gets into it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { environmentWithoutSettings } from "../../config.ts";

/** Below the ports that the kernel gives to outgoing connections, so that none takes ours while the server is down. */
const FIRST_PORT = 20_000;
const PORT_COUNT = 12_000;
const PORT_TRIES = 20;
/** Of what it wrote to stdout and stderr, for a report of a failure. */
const TAIL_LINES = 40;

/** For a server under load: limits are for users, and here one user stands for many. */
export const WITHOUT_LIMITS = {
  host: "127.0.0.1",
  log: "warn",
  tokens: "on",
  "user-sessions": "0",
  "user-jobs": "0",
  "queue-jobs": "0",
  "rate-per-minute": "0",
  "frames-per-minute": "0",
} as const;

/** How this program is started: the compiled binary by itself, the sources by the runtime. */
export function program(): string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath];
  return [process.execPath, "--no-env-file", join(import.meta.dir, "../../main.ts")];
}

export interface ChildServerOptions {
  /** Working folder of the child; its data folder is `data` in it. */
  readonly folder: string;
  /** Flags by name, without dashes. */
  readonly flags: Readonly<Record<string, string>>;
  /** Variables, for what nobody else on the machine may read. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly random: () => number;
}

export interface ChildServer {
  /** The same after every restart. */
  readonly url: string;
  readonly pid: number;
  /** Starts a new process; resolves when it says that it listens. Rejects with what it wrote when it ends instead. */
  start(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number>;
  /** Resident memory in bytes; null where the system does not tell. */
  residentBytes(): number | null;
  /** The last lines it wrote, of all processes so far. */
  tail(): string;
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  if (rest !== "") take(rest);
}

function createChild({ folder, flags, settings: variables }: ChildServerOptions, port: number): ChildServer {
  const lines: string[] = [];
  let child: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null;
  const settings = { ...flags, port: String(port), "data-dir": join(folder, "data") };
  const argv = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > TAIL_LINES) lines.shift();
  };
  const present = (): Bun.Subprocess<"ignore", "pipe", "pipe"> => {
    if (child === null) throw new Error("the child server was not started");
    return child;
  };

  return {
    url: `http://127.0.0.1:${port}`,
    get pid() {
      return present().pid;
    },
    async start() {
      const listening = Promise.withResolvers<void>();
      const started = Bun.spawn([...program(), "serve", ...argv], {
        cwd: folder,
        env: { ...environmentWithoutSettings(), ...variables },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      child = started;
      const out = eachLine(started.stdout, (line) => {
        keep(line);
        if (line.includes('"listening"')) listening.resolve();
      });
      const err = eachLine(started.stderr, keep);
      void Promise.all([started.exited, out, err]).then(() => {
        const text = `the server ended before it listened:\n${lines.join("\n")}`;
        return listening.reject(new Error(text));
      });
      await listening.promise;
    },
    async kill() {
      present().kill("SIGKILL");
      await present().exited;
    },
    async stop() {
      present().kill("SIGTERM");
      return present().exited;
    },
    residentBytes() {
      try {
        const status = readFileSync(`/proc/${present().pid}/status`, "utf8");
        const line = /^VmRSS:\s+(\d+) kB$/m.exec(status);
        return line === null ? null : Number(line[1]) * 1024;
      } catch {
        return null;
      }
    },
    tail: () => lines.join("\n"),
  };
}

/** Starts a child on a free port. Rejects with what it wrote when it cannot start. */
export async function startChildServer(options: ChildServerOptions): Promise<ChildServer> {
  for (let tries = 1; ; tries += 1) {
    const child = createChild(options, FIRST_PORT + Math.floor(options.random() * PORT_COUNT));
    try {
      await child.start();
      return child;
    } catch (error) {
      if (tries >= PORT_TRIES || !/EADDRINUSE|in use/i.test(child.tail())) throw error;
    }
  }
}
