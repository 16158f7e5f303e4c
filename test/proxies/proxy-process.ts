/**
 * A real nginx, HAProxy or Caddy that runs one of the example configurations, as a user would have it: only the addresses
 * are this test's own (and the time-outs, where a test has no two minutes).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "../support/free-port.ts";
import { until } from "../support/wait.ts";
import { requireService } from "../services.ts";

const EXAMPLES = resolve(import.meta.dir, "../../examples/proxies");

export interface Kind {
  readonly name: "nginx" | "haproxy" | "caddy";
  readonly example: string;
  /** Where the example listens, as it is written there. */
  readonly listens: string;
  /** The command, given the folder and the file with the configuration. */
  command(folder: string, file: string): string[];
  /** What has to stand around the example. */
  around(folder: string, text: string): string;
}

export const KINDS: readonly Kind[] = [
  {
    name: "nginx",
    example: "nginx.conf",
    listens: "listen 8080;",
    command: (folder, file) => ["nginx", "-p", folder, "-c", file, "-e", "stderr", "-g", "daemon off;"],
    around: (folder, text) => {
      const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (name) => `${name}_temp_path ${folder}/${name};`,
      );
      const user = process.getuid?.() === 0 ? "user root;" : "";
      return `${user} pid ${folder}/pid; events {} http { access_log off; ${places.join(" ")}\n${text}\n}\n`;
    },
  },
  {
    name: "haproxy",
    example: "haproxy.cfg",
    listens: "bind :8080",
    command: (_folder, file) => ["haproxy", "-db", "-f", file],
    around: (_folder, text) => text,
  },
  {
    name: "caddy",
    example: "Caddyfile",
    listens: ":8080 {",
    command: (_folder, file) => ["caddy", "run", "--adapter", "caddyfile", "--config", file],
    // Its interface for changes at run time listens on a fixed port.
    around: (_folder, text) => `{\n  admin off\n}\n${text}`,
  },
];

/** The configuration as it stands in the examples. */
export function exampleOf(kind: Kind): Promise<string> {
  return Bun.file(join(EXAMPLES, kind.example)).text();
}

/** Replaces what must be there. */
function swap(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the example says nothing of ${from}`);
  return text.replaceAll(from, to);
}

export interface ProxyOptions {
  /** Ports of the two nodes. */
  readonly nodes: readonly [number, number];
  /** In place of the example. */
  readonly text?: string;
  /** Where it listens; a free port if it is not said. */
  readonly port?: number;
  /** In place of the two minutes that a connection may be quiet. */
  readonly quietSeconds?: number;
}

export interface Proxy extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Starts it and waits until it passes requests on. */
export async function startProxy(kind: Kind, options: ProxyOptions): Promise<Proxy> {
  requireService(kind.name);
  const { nodes, quietSeconds, port = await freePort() } = options;
  const folder = await mkdtemp(join(tmpdir(), `holdline-${kind.name}-`));
  let text = options.text ?? (await exampleOf(kind));
  text = swap(text, kind.listens, kind.listens.replace("8080", String(port)));
  if (options.text === undefined) {
    text = swap(text, "127.0.0.1:8787", `127.0.0.1:${nodes[0]}`);
    text = swap(text, "127.0.0.1:8788", `127.0.0.1:${nodes[1]}`);
  }
  if (quietSeconds !== undefined && kind.name !== "caddy") text = swap(text, "120s", `${quietSeconds}s`);
  const file = join(folder, "config");
  await Bun.write(file, kind.around(folder, text));
  const child = Bun.spawn(kind.command(folder, file), {
    stdout: "ignore",
    stderr: Bun.file(join(folder, "log")),
    env: { ...process.env, HOME: folder },
  });
  const url = `http://127.0.0.1:${port}`;
  const dispose = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(`${kind.name} to pass requests on`, async () => {
      if (child.exitCode !== null)
        throw new Error(`${kind.name} ended: ${await Bun.file(join(folder, "log")).text()}`);
      return (await fetch(`${url}/healthz`).catch(() => null))?.status === 200;
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return { url, port, [Symbol.asyncDispose]: dispose };
}
