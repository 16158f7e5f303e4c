/**
 * examples/compose.yaml without a container engine: the same commands and settings as processes of this machine. Names of
 * services become addresses, and the folder of a node is its own; everything else is what the file says.
 */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { connect } from "../support/client.ts";
import { freePort } from "../support/free-port.ts";
import { apiOf, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRedis } from "../support/redis.ts";
import { startServer } from "../support/server.ts";
import { KINDS, startProxy } from "./proxy-process.ts";

const EXAMPLES = resolve(import.meta.dir, "../../examples");

interface Service {
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: string | readonly string[];
  readonly stop_grace_period?: string;
  readonly restart?: string;
  readonly networks?: { readonly default: { readonly ipv4_address: string } };
}

const compose = Bun.YAML.parse(await Bun.file(`${EXAMPLES}/compose.yaml`).text()) as {
  readonly services: Readonly<Record<string, Service>>;
};
const NODES = ["node1", "node2", "node3"] as const;

function serviceOf(name: string): Service {
  const service = compose.services[name];
  if (service === undefined) throw new Error(`the compose file has no ${name}`);
  return service;
}

/** The password in the command of Redis. */
const [, password = ""] = /--requirepass (\S+)/.exec(String(serviceOf("redis").command)) ?? [];

/** nginx.conf as the command of its service makes it. */
async function nginxText(): Promise<string> {
  const [shell, flag, script = ""] = serviceOf("nginx").command as readonly string[];
  const [makes = ""] = script.split(" > ", 1);
  const child = Bun.spawn(
    [String(shell), String(flag), makes.replace("/holdline/nginx.conf", `${EXAMPLES}/proxies/nginx.conf`)],
    {
      stdout: "pipe",
    },
  );
  return new Response(child.stdout).text();
}

test("three nodes behind nginx serve, and one may stop", async () => {
  await using stack = new AsyncDisposableStack();
  const postgres = await startPostgres();
  stack.defer(() => postgres.remove());
  const redis = await startRedis({ password });
  stack.defer(() => redis.remove());
  const database = await postgres.database();
  const proxyPort = await freePort();

  const nodes = await Promise.all(
    NODES.map(async (name) => {
      const { environment = {} } = serviceOf(name);
      const text = JSON.stringify(environment)
        .replace(/postgres:\/\/[^"]*@postgres:5432\/holdline/, database)
        .replace("@redis:6379", `@127.0.0.1:${redis.port}`)
        .replace("localhost:8080", `localhost:${proxyPort}`)
        .replace("172.30.87.0/24", "127.0.0.1");
      return stack.use(await startServer({ env: JSON.parse(text) as Record<string, string> }));
    }),
  );
  let text = await nginxText();
  for (const [index, name] of NODES.entries()) {
    const address = serviceOf(name).networks?.default.ipv4_address ?? "";
    expect(text).toContain(`server ${address}:8787 max_fails=0;`);
    text = text.replace(`${address}:8787`, `127.0.0.1:${nodes[index]?.port}`);
  }
  const [nginx] = KINDS;
  if (nginx === undefined) throw new Error("nginx is not among the proxies");
  const { port } = stack.use(await startProxy(nginx, { nodes: [0, 0], text, port: proxyPort }));
  const site = { url: `http://localhost:${port}` };

  const seen = new Set<string>();
  const clients = await Promise.all(Array.from({ length: 9 }, () => connect(site)));
  for (const client of clients) {
    stack.use(client);
    seen.add(client.welcome.node ?? "");
    const { id } = await apiOf(site, client.token).submit(tokensBody({ tokens: 20, audioBytes: 200 }));
    await client.waitForEnd(id);
    expectWhole(await apiOf(site, client.token).log(id), [{ after: 0, events: client.events(id) }]);
  }
  expect(seen.size).toBe(NODES.length);

  await nodes[1]?.kill("SIGTERM");
  expect(await nodes[1]?.exited(20_000)).toEqual({ code: 0, signal: null });
  await using late = await connect(site);
  const { id } = await apiOf(site, late.token).submit(tokensBody());
  await late.waitForEnd(id);

  // With two of three away every request finds the one that is left.
  await nodes[0]?.kill("SIGKILL");
  const answers = Array.from({ length: 6 }, async () => (await fetch(`${site.url}/healthz`)).status);
  expect(await Promise.all(answers)).toEqual([200, 200, 200, 200, 200, 200]);
}, 60_000);

test("everything is started again after the machine was", () => {
  for (const name of Object.keys(compose.services))
    expect(serviceOf(name).restart, name).toBe("unless-stopped");
});

test("each node has an address of its own, and more time to stop than its drain takes", () => {
  const addresses = new Set(NODES.map((name) => serviceOf(name).networks?.default.ipv4_address));
  expect(addresses.size).toBe(NODES.length);
  for (const name of NODES) {
    const { stop_grace_period = "", environment } = serviceOf(name);
    // As much longer as the README says.
    expect(Number.parseInt(stop_grace_period, 10) * 1000).toBeGreaterThanOrEqual(
      Number(environment?.["HOLDLINE_DRAIN_MS"]) + 15_000,
    );
  }
});
