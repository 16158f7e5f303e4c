/**
 * What streams that trickle cost, all of them heard at another node than the one that runs them, and what they cost a
 * node that has no part in it: three real servers on one PostgreSQL database and one Redis server.
 */
import { percentile } from "../../src/lib/percentile.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import type { TestServer } from "../support/server.ts";
import { valueOf } from "../telemetry/scrape.ts";
import { cpuMicros, familyMicros } from "./usage.ts";
import { submitTokens, visit } from "./visitor.ts";

const STREAMS = [200, 600];
const INTERVAL_MS = 40;
/** Long enough for all of them to be begun, and for nodes to be past what follows a start; then as long as is measured. */
const BEFORE_MS = 10_000;
const MEASURED_MS = 10_000;
/** Of one short text each, one behind the other: what every node hears of is jobs, not entries. */
const JOBS = 3000;
/** Fewer than one connection may follow. */
const OF_A_SOCKET = 100;
const IN_FLIGHT = 16;

interface Reading {
  readonly jobs: number;
  readonly gateway: number;
  readonly third: number;
  readonly postgres: number;
  readonly redis: number;
  readonly entries: number;
  /** Signals that the third node has heard. */
  readonly heard: number;
  readonly atMs: number;
}

/** Opens a socket at which it is noted of some events how old they are; the token of its session. */
async function listen(server: TestServer, userToken: string, ages: number[]): Promise<string> {
  let count = 0;
  const { token } = await visit(server, userToken, (text) => {
    count += 1;
    if (count % 50 !== 0) return;
    const { at, kind } = JSON.parse(text) as { readonly at?: number; readonly kind?: string };
    if (kind === "output.text" && at !== undefined) ages.push(Date.now() - at);
  });
  return token;
}

async function measure(cluster: Cluster, streams: number): Promise<string[]> {
  const env = { HOLDLINE_USER_JOBS: "0", HOLDLINE_LOG: "warn", HOLDLINE_CONCURRENCY: String(streams + 1) };
  const runs = await cluster.start({ env });
  const gateway = await cluster.start({ env: { ...env, HOLDLINE_ROLE: "gateway" } });
  const third = await cluster.start({ env: { ...env, HOLDLINE_ROLE: "gateway" } });
  const postmaster = await cluster.postgres.pid();
  const [, redis = ""] = /process_id:(\d+)/.exec(await cluster.redis.command("INFO", "server")) ?? [];
  const read = async (): Promise<Reading> => {
    const [sum] = await cluster.postgres.query(
      cluster.databaseUrl,
      "SELECT coalesce(sum(head), 0)::float8 AS entries FROM jobs",
    );
    const { text } = await cluster.adminAt(third).call("GET", "/metrics");
    return {
      jobs: cpuMicros(runs.pid),
      gateway: cpuMicros(gateway.pid),
      third: cpuMicros(third.pid),
      postgres: familyMicros(postmaster),
      redis: cpuMicros(redis),
      entries: Number(sum?.["entries"]),
      heard: valueOf(text, "holdline_backplane_received_total") ?? Number.NaN,
      atMs: performance.now(),
    };
  };
  const row = (what: string, before: Reading, after: Reading, extra = ""): string => {
    const seconds = (after.atMs - before.atMs) / 1000;
    const share = (key: keyof Reading): string =>
      `${((after[key] - before[key]) / seconds / 1e4).toFixed(1)} %`.padStart(9);
    const rate = (key: keyof Reading): string => `${((after[key] - before[key]) / seconds).toFixed(0)}/s`;
    const cells = (["jobs", "gateway", "third", "postgres", "redis"] as const).map(share).join(" ");
    return `${what.padEnd(18)} ${cells} ${rate("entries").padStart(10)} ${rate("heard").padStart(9)}  ${extra}`;
  };
  const ages: number[] = [];
  const tokens = Array.from({ length: streams / OF_A_SOCKET }, async (_none, n) => {
    const token = await listen(gateway, cluster.userToken(`user-${n}`), ages);
    return Array.from({ length: OF_A_SOCKET }, () => token);
  });
  const waiting = (await Promise.all(tokens)).flat();
  await Bun.sleep(BEFORE_MS);
  const [idle, idleAfter] = [await read(), await Bun.sleep(MEASURED_MS).then(read)];
  const submits = [...waiting, ...Array.from({ length: JOBS - waiting.length }, () => waiting[0] ?? "")];
  const hurry = async (): Promise<void> => {
    for (let token = submits.pop(); token !== undefined; token = submits.pop())
      await submitTokens(runs, token, { tokens: 1, size: 16, intervalMs: 0 });
  };
  const short = await read();
  await Promise.all(Array.from({ length: IN_FLIGHT }, hurry));
  const shortAfter = await read();
  const count = (BEFORE_MS + 2 * MEASURED_MS) / INTERVAL_MS;
  const begin = async (): Promise<void> => {
    for (let token = waiting.pop(); token !== undefined; token = waiting.pop())
      await submitTokens(runs, token, { tokens: count, size: 16, intervalMs: INTERVAL_MS });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, begin));
  await Bun.sleep(BEFORE_MS);
  ages.length = 0;
  const [before, after] = [await read(), await Bun.sleep(MEASURED_MS).then(read)];
  const age = (of: number): string => (percentile(ages, of) ?? Number.NaN).toFixed(0);
  return [
    row("nothing", idle, idleAfter),
    row(
      "short jobs",
      short,
      shortAfter,
      `${((JOBS / (shortAfter.atMs - short.atMs)) * 1000).toFixed(0)} jobs a second`,
    ),
    row(`${streams} streams`, before, after, `${age(0.5)} ms old at the socket (p50), ${age(0.99)} (p99)`),
  ];
}

/** The figures, a line each. */
export async function trickleTable(): Promise<string[]> {
  const names = ["jobs", "gateway", "third", "postgres", "redis"].map((name) => name.padStart(9)).join(" ");
  const lines = [
    `${"CPU of".padEnd(18)} ${names} ${"entries".padStart(10)} ${"heard".padStart(9)} by the third`,
  ];
  for (const streams of STREAMS) {
    await using cluster = await startCluster();
    lines.push(...(await measure(cluster, streams)));
  }
  return lines;
}
