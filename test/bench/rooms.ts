/**
 * What it costs a room to be spread over two nodes: a thousand members at one of two real servers, and then half of them
 * at each, in turns, on one PostgreSQL database and one Redis server.
 */
import { startCluster, type Cluster } from "../support/cluster.ts";
import type { TestServer } from "../support/server.ts";
import { measureFanOut, MEMBERS, type FanOut } from "./fan-out.ts";
import { cpuMicros } from "./usage.ts";

const ROUNDS = 3;

const NO_LIMITS = { HOLDLINE_FRAMES_PER_MINUTE: "0", HOLDLINE_USER_SESSIONS: "0", HOLDLINE_LOG: "warn" };

async function measure(cluster: Cluster): Promise<string[]> {
  const servers: TestServer[] = [];
  for (let n = 0; n < 2; n += 1) servers.push(await cluster.start({ env: NO_LIMITS }));
  const measured = servers.map(({ url, pid }) => ({ url, cpuMicros: () => cpuMicros(pid) }));
  const joined = (text: string): boolean => text.includes('"ok"');
  const rounds = { one: [] as FanOut[], two: [] as FanOut[] };
  // The first round warms both of them.
  for (let n = 0; n <= ROUNDS; n += 1) {
    const [one, two] = [
      await measureFanOut(measured.slice(0, 1), joined),
      await measureFanOut(measured, joined),
    ];
    if (n === 0) continue;
    rounds.one.push(one);
    rounds.two.push(two);
  }
  const best = (all: readonly FanOut[]): FanOut =>
    all.reduce((a, b) => (a.deliveriesPerSecond > b.deliveriesPerSecond ? a : b));
  const [one, two] = [best(rounds.one), best(rounds.two)];
  const row = (what: string, over: number, at: number, unit: string): string =>
    `${what.padEnd(36)} ${over.toFixed(1).padStart(9)} ${unit}   one node ${at.toFixed(1).padStart(9)}   ×${(over / at).toFixed(2)}`;
  return [
    `a room of ${MEMBERS}, half of them at each of two nodes; the best of ${ROUNDS} rounds`,
    row("messages × members per second", two.deliveriesPerSecond, one.deliveriesPerSecond, "/s"),
    row("from saying to hearing, p50", two.p50Ms, one.p50Ms, "ms"),
    row("from saying to hearing, p99", two.p99Ms, one.p99Ms, "ms"),
    row("CPU of all servers per member", two.microsPerDelivery, one.microsPerDelivery, "µs"),
  ];
}

/** The figures, a line each. */
export async function roomsTable(): Promise<string[]> {
  const cluster = await startCluster({ open: true });
  try {
    return await measure(cluster);
  } finally {
    await cluster[Symbol.asyncDispose]();
  }
}
