/** A Redis server of a test's own: in a temporary folder, on a free port of the loopback. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { requireService } from "../services.ts";
import { freePort } from "./free-port.ts";
import { until } from "./wait.ts";

export interface RedisServer {
  /** `redis://…` or, with TLS, `rediss://…`; with the password, where there is one. */
  readonly url: string;
  readonly port: number;
  /** One command of an operator; its answer as `redis-cli` prints it. Throws when it is refused. */
  command(...words: readonly string[]): Promise<string>;
  /** Ends it: `term` lets it write its file, `kill` does not. */
  halt(how?: "term" | "kill"): Promise<void>;
  /** Starts it again on the same port, with what its file has. */
  resume(): Promise<void>;
  /** Starts it again on the same port, with nothing. */
  resumeEmpty(): Promise<void>;
  /** It keeps its connections and answers nothing, until `wake`. */
  freeze(): void;
  wake(): void;
  /** Halts it, and takes its folder away. */
  remove(): Promise<void>;
}

export interface RedisServerOptions {
  /** One more address that it listens at, open to whoever is there. */
  readonly alsoAt?: string;
  /** More of redis.conf, one directive an entry. */
  readonly settings?: () => readonly string[] | Promise<readonly string[]>;
  readonly password?: string;
  readonly tls?: RedisCertificates;
  /** Runs as a Sentinel: its own commands, no data. */
  readonly sentinel?: boolean;
}

/** Paths of PEM files. */
export interface RedisCertificates {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/** What `redis-cli` is to be told to reach it. */
function reach(port: number, { password, tls }: RedisServerOptions): string[] {
  return [
    "redis-cli",
    "-p",
    String(port),
    ...(tls === undefined ? [] : ["--tls", "--cacert", tls.authority]),
    ...(password === undefined ? [] : ["--no-auth-warning", "-a", password]),
  ];
}

async function settingsOf(port: number, folder: string, options: RedisServerOptions): Promise<string[]> {
  const { tls, password, alsoAt, settings = () => [], sentinel = false } = options;
  return [
    ...(alsoAt === undefined ? ["bind 127.0.0.1"] : [`bind 127.0.0.1 ${alsoAt}`, "protected-mode no"]),
    `dir ${folder}`,
    ...(tls === undefined
      ? [`port ${port}`]
      : [
          "port 0",
          `tls-port ${port}`,
          `tls-cert-file ${tls.certificate}`,
          `tls-key-file ${tls.key}`,
          `tls-ca-cert-file ${tls.authority}`,
          "tls-auth-clients no",
          "tls-replication yes",
          "tls-cluster yes",
        ]),
    ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
    ...(sentinel ? [] : ['save ""']),
    ...(await settings()),
  ];
}

/** A port that was free a moment ago may not be any more: then again, on others. */
async function persistently<Started>(start: () => Promise<Started>): Promise<Started> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start();
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
}

/** `settings` may be asked for again with each try. */
export function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  requireService("redis");
  return persistently(() => startOnce(options));
}

async function startOnce(options: RedisServerOptions): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "holdline-redis-"));
  const port = await freePort();
  const file = join(folder, "redis.conf");
  await Bun.write(file, `${(await settingsOf(port, folder, options)).join("\n")}\n`);
  let running: Subprocess | null = null;

  const command = async (...words: readonly string[]): Promise<string> => {
    const child = Bun.spawn([...reach(port, options), "-e", ...words], { stdout: "pipe", stderr: "pipe" });
    const [said, complaint] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`redis-cli ${words.join(" ")}: ${said}${complaint}`);
    return said.trim();
  };
  const resume = async (): Promise<void> => {
    const mode = options.sentinel ? ["--sentinel"] : [];
    const child = Bun.spawn(["redis-server", file, ...mode], {
      stdout: "ignore",
      stderr: "ignore",
      cwd: folder,
    });
    running = child;
    await until("Redis to answer", async () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      return command("PING").then(
        (answer) => answer === "PONG",
        () => false,
      );
    });
  };
  const halt = async (how: "term" | "kill" = "kill"): Promise<void> => {
    running?.kill("SIGCONT");
    running?.kill(how === "kill" ? "SIGKILL" : "SIGTERM");
    await running?.exited;
    running = null;
  };
  await resume().catch(async (error: unknown) => {
    await halt();
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const credentials = options.password === undefined ? "" : `:${encodeURIComponent(options.password)}@`;
  return {
    url: `redis${options.tls === undefined ? "" : "s"}://${credentials}127.0.0.1:${port}`,
    port,
    command,
    halt,
    resume,
    async resumeEmpty() {
      for (const name of ["appendonlydir", "dump.rdb"])
        await rm(join(folder, name), { recursive: true, force: true });
      await resume();
    },
    freeze: () => running?.kill("SIGSTOP"),
    wake: () => running?.kill("SIGCONT"),
    async remove() {
      await halt();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
