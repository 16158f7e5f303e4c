/**
 * What grows with what on a node of several, for the arithmetic of docs/scaling.md: one node of the role `gateway` with
 * thousands of sockets, one that runs the jobs, a PostgreSQL and a Redis, all of them asked what they have used.
 */
import { startCluster, type Cluster } from "../support/cluster.ts";
import type { TestServer } from "../support/server.ts";
import { cpuMicros, familyMicros, residentBytes } from "./usage.ts";
import { submitTokens, visit } from "./visitor.ts";

/** Each of them is a descriptor here and one at the gateway. */
const CONNECTIONS = 8000;
const AT_A_TIME = 50;
/** Short, so that many pings fit into the time; what one costs does not depend on how rarely it comes. */
const PING_MS = 5000;
const IDLE_MS = 4 * PING_MS;
const STREAMS = 10;
const TOKENS = 4000;
const SUBMITS = 3000;
const IN_FLIGHT = 32;

interface Usage {
  readonly jobs: number;
  readonly gateway: number;
  readonly postgres: number;
  readonly redis: number;
}

interface Site {
  readonly cluster: Cluster;
  readonly runs: TestServer;
  readonly gateway: TestServer;
  /** CPU of each so far, in microseconds. */
  readonly usage: () => Promise<Usage>;
}

async function field(cluster: Cluster, section: string, name: string): Promise<number> {
  const text = await cluster.redis.command("INFO", section);
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(text)?.[1]);
}

async function wal(cluster: Cluster): Promise<number> {
  const [position] = await cluster.postgres.query(
    cluster.databaseUrl,
    "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS bytes",
  );
  return Number(position?.["bytes"]);
}

const per = (before: Usage, after: Usage, count: number): Usage => ({
  jobs: (after.jobs - before.jobs) / count,
  gateway: (after.gateway - before.gateway) / count,
  postgres: (after.postgres - before.postgres) / count,
  redis: (after.redis - before.redis) / count,
});

function row(what: string, usage: Usage, extra = ""): string {
  const cell = (micros: number): string => micros.toFixed(1).padStart(9);
  return `${what.padEnd(34)} ${cell(usage.jobs)} ${cell(usage.gateway)} ${cell(usage.postgres)} ${cell(usage.redis)}  ${extra}`;
}

async function connections({ cluster, gateway, usage }: Site): Promise<string[]> {
  const before = { usage: await usage(), resident: residentBytes(gateway.pid) };
  const redisBytes = await field(cluster, "memory", "used_memory");
  const beganMs = performance.now();
  const sockets: WebSocket[] = [];
  for (let n = 0; n < CONNECTIONS; n += AT_A_TIME) {
    const some = Array.from({ length: AT_A_TIME }, (_none, i) =>
      visit(gateway, cluster.userToken(`user-${n + i}`)),
    );
    for (const { socket } of await Promise.all(some)) sockets.push(socket);
  }
  const perSecond = (CONNECTIONS / (performance.now() - beganMs)) * 1000;
  const opened = await usage();
  const kib = (residentBytes(gateway.pid) - before.resident) / CONNECTIONS / 1024;
  const sessionBytes = ((await field(cluster, "memory", "used_memory")) - redisBytes) / CONNECTIONS;
  await Bun.sleep(PING_MS);
  const idle = await usage();
  await Bun.sleep(IDLE_MS);
  const pinged = per(idle, await usage(), CONNECTIONS * (IDLE_MS / PING_MS));
  for (const socket of sockets) socket.close();
  return [
    row("a connect, with its session", per(before.usage, opened, CONNECTIONS), `${perSecond.toFixed(0)}/s`),
    row("an idle connection, for each ping", pinged, `${kib.toFixed(1)} KiB at the gateway`),
    `${"a session".padEnd(34)} ${sessionBytes.toFixed(0)} bytes in Redis`,
  ];
}

/** Jobs of one short text, each from its submit to its end at a socket of the gateway; no more at once than it follows. */
async function jobs({ cluster, runs, gateway, usage }: Site): Promise<string> {
  const { socket, token } = await visit(gateway, cluster.userToken("short"));
  const ended = new Set<string>();
  const waiting = new Map<string, () => void>();
  socket.addEventListener("message", ({ data }) => {
    const [, id = ""] = /"job":"([^"]+)".*"kind":"job.succeeded"/.exec(String(data)) ?? [];
    ended.add(id);
    waiting.get(id)?.();
  });
  const [before, walBefore, beganMs] = [await usage(), await wal(cluster), performance.now()];
  let left = SUBMITS;
  const input = { tokens: 1, size: 16, intervalMs: 0 };
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const id = await submitTokens(runs, token, input);
      if (!ended.has(id)) await new Promise<void>((resolve) => void waiting.set(id, resolve));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const perSecond = (SUBMITS / (performance.now() - beganMs)) * 1000;
  const bytes = ((await wal(cluster)) - walBefore) / SUBMITS;
  socket.close();
  return row(
    "a short job, submit to its end",
    per(before, await usage(), SUBMITS),
    `${perSecond.toFixed(0)}/s, ${(bytes / 1024).toFixed(1)} KiB of WAL`,
  );
}

/** Entries of streams; at `listener` their sockets are, the other node only hears that they are there. */
async function events(site: Site, what: string, listener: TestServer): Promise<string> {
  const { cluster, runs, usage } = site;
  const { socket, token } = await visit(listener, cluster.userToken("long"));
  let ended = 0;
  const all = new Promise<void>((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      if (String(data).includes('"kind":"job.succeeded"')) ended += 1;
      if (ended === STREAMS) resolve();
    });
  });
  const before = { usage: await usage(), wal: await wal(cluster), beganMs: performance.now() };
  const sentBefore = await field(cluster, "stats", "total_net_input_bytes");
  const input = { tokens: TOKENS, size: 32, intervalMs: 0 };
  await Promise.all(Array.from({ length: STREAMS }, () => submitTokens(runs, token, input)));
  await all;
  const count = STREAMS * TOKENS;
  const perSecond = (count / (performance.now() - before.beganMs)) * 1000;
  const bytes = ((await wal(cluster)) - before.wal) / count;
  const sent = ((await field(cluster, "stats", "total_net_input_bytes")) - sentBefore) / count;
  socket.close();
  return row(
    what,
    per(before.usage, await usage(), count),
    `${perSecond.toFixed(0)}/s, ${bytes.toFixed(0)} bytes of WAL, ${sent.toFixed(1)} to Redis`,
  );
}

async function measure(cluster: Cluster): Promise<string[]> {
  const env = {
    HOLDLINE_USER_JOBS: "0",
    HOLDLINE_LOG: "warn",
    HOLDLINE_PING_MS: String(PING_MS),
    HOLDLINE_PING_TIMEOUT_MS: "4000",
  };
  const runs = await cluster.start({ env });
  const gateway = await cluster.start({ env: { ...env, HOLDLINE_ROLE: "gateway" } });
  const [postmaster, redis] = [await cluster.postgres.pid(), await field(cluster, "server", "process_id")];
  const usage = (): Promise<Usage> =>
    Promise.resolve({
      jobs: cpuMicros(runs.pid),
      gateway: cpuMicros(gateway.pid),
      postgres: familyMicros(postmaster),
      redis: cpuMicros(redis),
    });
  const site = { cluster, runs, gateway, usage };
  // First, so that what they add to the memory is theirs.
  const ofConnections = await connections(site);
  // The first time warms everything up.
  await jobs(site);
  const ofJobs = await jobs(site);
  const here = await events(site, "an entry, heard where it runs", runs);
  const across = await events(site, "an entry, heard at the gateway", gateway);
  const [held] = await cluster.postgres.query(
    cluster.databaseUrl,
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
  );
  return [
    `${"CPU in µs of".padEnd(34)} ${["jobs", "gateway", "postgres", "redis"].map((name) => name.padStart(9)).join(" ")}`,
    ofJobs,
    here,
    across,
    ...ofConnections,
    `${"connections to PostgreSQL".padEnd(34)} ${Number(held?.["n"])} of two nodes`,
  ];
}

/** The figures, a line each. */
export async function capacityTable(): Promise<string[]> {
  await using cluster = await startCluster();
  return await measure(cluster);
}
