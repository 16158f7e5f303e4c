/** More than one Redis server: a Sentinel set, a Cluster, and certificates for TLS; all on the loopback. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireService } from "../services.ts";
import { freePort } from "./free-port.ts";
import { startRedis, type RedisCertificates, type RedisServer, type RedisServerOptions } from "./redis.ts";
import { until } from "./wait.ts";

const PATIENCE_MS = 30_000;

export interface RedisSet {
  readonly url: string;
  /** Those that hold data. */
  readonly servers: readonly RedisServer[];
  remove(): Promise<void>;
}

export interface SentinelSet extends RedisSet {
  /** The server that is the master now, by what the Sentinels say. */
  master(): Promise<RedisServer>;
}

const removeAll = async (servers: readonly RedisServer[]): Promise<void> => {
  await Promise.all(servers.map((server) => server.remove()));
};

const credentialsOf = ({ password }: RedisServerOptions): string =>
  password === undefined ? "" : `:${encodeURIComponent(password)}@`;

const schemeOf = ({ tls }: RedisServerOptions): string => (tls === undefined ? "redis" : "rediss");

/** A master with one replica, watched by three Sentinels that act within a second. */
export async function startSentinelSet(options: RedisServerOptions = {}): Promise<SentinelSet> {
  const master = await startRedis(options);
  const replica = await startRedis({ ...options, settings: () => [`replicaof 127.0.0.1 ${master.port}`] });
  const servers = [master, replica];
  const { tls } = options;
  const sentinels = await Promise.all(
    [0, 1, 2].map(() =>
      startRedis({
        ...(tls === undefined ? {} : { tls }),
        sentinel: true,
        settings: () => [
          `sentinel monitor main 127.0.0.1 ${master.port} 2`,
          "sentinel down-after-milliseconds main 500",
          "sentinel failover-timeout main 3000",
          ...(options.password === undefined ? [] : [`sentinel auth-pass main ${options.password}`]),
        ],
      }),
    ),
  );
  const [first] = sentinels;
  if (first === undefined) throw new Error("three Sentinels were asked for");
  // Until each of them knows the replica and the others, there is nobody to fail over to.
  for (const sentinel of sentinels)
    await until(
      "the Sentinels to know each other",
      async () =>
        /num-slaves\n1\n[^]*num-other-sentinels\n2\n/.test(
          await sentinel.command("SENTINEL", "MASTER", "main"),
        ),
      PATIENCE_MS,
    );
  const list = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return {
    url: `${schemeOf(options)}+sentinel://${credentialsOf(options)}${list}/main`,
    servers,
    async master() {
      const [, port] = (await first.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")).split("\n");
      const found = servers.find((server) => server.port === Number(port));
      if (found === undefined) throw new Error(`the Sentinels name a master on port ${port}`);
      return found;
    },
    remove: () => removeAll([...servers, ...sentinels]),
  };
}

/** Three masters that share the slots, without replicas: what one of them holds is away while it is. */
export async function startCluster(options: RedisServerOptions = {}): Promise<RedisSet> {
  const servers = await Promise.all(
    [0, 1, 2].map(() =>
      startRedis({
        ...options,
        settings: async () => [
          "cluster-enabled yes",
          "cluster-config-file nodes.conf",
          "cluster-node-timeout 1000",
          "cluster-require-full-coverage no",
          `cluster-port ${await freePort()}`,
        ],
      }),
    ),
  );
  const [first] = servers;
  if (first === undefined) throw new Error("three servers were asked for");
  await first.command(
    "--cluster",
    "create",
    ...servers.map(({ port }) => `127.0.0.1:${port}`),
    "--cluster-yes",
  );
  for (const server of servers)
    await until(
      "the Cluster to be whole",
      async () => (await server.command("CLUSTER", "INFO")).includes("cluster_state:ok"),
      PATIENCE_MS,
    );
  const list = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return {
    url: `${schemeOf(options)}+cluster://${credentialsOf(options)}${list}`,
    servers,
    remove: () => removeAll(servers),
  };
}

/** `words`: arguments without spaces in them. */
async function openssl(cwd: string, words: string): Promise<void> {
  const child = Bun.spawn(["openssl", ...words.split(" ")], { cwd, stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`openssl ${words}: ${said}`);
}

/** An authority of a test's own, and a certificate of it for `localhost` and 127.0.0.1. */
export async function makeCertificates(): Promise<RedisCertificates & { remove(): Promise<void> }> {
  requireService("openssl");
  const folder = await mkdtemp(join(tmpdir(), "holdline-certificates-"));
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=holdline-test";
  await openssl(folder, `req -x509 ${key} -keyout ca.key -out ca.pem -days 2`);
  await openssl(folder, `req ${key} -keyout server.key -out server.csr`);
  await Bun.write(join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const signed = "-in server.csr -out server.pem -days 2 -extfile names";
  await openssl(folder, `x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial ${signed}`);
  return {
    certificate: join(folder, "server.pem"),
    key: join(folder, "server.key"),
    authority: join(folder, "ca.pem"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
