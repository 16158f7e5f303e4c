/**
 * What it costs that the socket is at another node than the run: two real servers on one PostgreSQL database and one
 * Redis server, the same jobs heard at the node that runs them and at the other one, in turns. (The database of the
 * tests does not wait for its disk, which would only hide the difference.)
 */
import { percentile } from "../../src/lib/percentile.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import type { TestServer } from "../support/server.ts";
import { cpuMicros } from "./usage.ts";

const ROUNDS = 300;
const WARM_JOBS = 300;
/** One event after the other, far enough apart that each of them travels alone. */
const PACED = { tokens: 400, size: 16, intervalMs: 10 };
const STREAMS = 10;
const TOKENS = 4000;

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

interface Throughput {
  readonly eventsPerSecond: number;
  /** CPU of both servers together, for each event. */
  readonly microsPerEvent: number;
}

type Frame = {
  readonly type: string;
  readonly job?: string;
  readonly seq?: number;
  readonly first?: number;
} & {
  readonly kind?: string;
  readonly token?: string;
};

interface Visitor {
  readonly token: string;
  /** Called with every frame and the moment in which it came. */
  listener: (frame: Frame, atMs: number) => void;
  send(frame: object): void;
}

function visit(server: TestServer, token: string): Promise<Visitor> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/connect`, [
    "holdline.v1",
    `bearer.${token}`,
  ]);
  return new Promise((resolve, reject) => {
    const visitor = {
      listener: () => undefined,
      send: (frame: object) => socket.send(JSON.stringify(frame)),
    };
    let own: Visitor | null = null;
    socket.addEventListener("error", reject);
    socket.addEventListener("message", ({ data }) => {
      const atMs = performance.now();
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type === "ping") socket.send(JSON.stringify({ ...frame, type: "pong" }));
      if (frame.type === "welcome") {
        own = { ...visitor, token: frame.token ?? "" };
        resolve(own);
      }
      own?.listener(frame, atMs);
    });
  });
}

async function submit(server: TestServer, token: string, input: object): Promise<string> {
  const response = await fetch(`${server.url}/v1/jobs`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ type: "tokens", input }),
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}

/** Resolves with the moment of the first frame that `isIt`. */
function heard(visitor: Visitor, isIt: (frame: Frame) => boolean): Promise<number> {
  return new Promise((resolve) => {
    visitor.listener = (frame, atMs) => {
      if (isIt(frame)) resolve(atMs);
    };
  });
}

const isText = ({ kind }: Frame): boolean => kind === "output.text";
const isEnd = ({ kind }: Frame): boolean => kind === "job.succeeded";
const latencyOf = (all: readonly number[]): Latency => ({
  p50: percentile(all, 0.5) ?? Number.NaN,
  p99: percentile(all, 0.99) ?? Number.NaN,
});

/** From the request at the node that runs the job to its first text at the visitor, in ms. */
async function firstText(runs: TestServer, visitor: Visitor): Promise<number> {
  const beganMs = performance.now();
  const text = heard(visitor, isText);
  await submit(runs, visitor.token, { tokens: 1, size: 16, intervalMs: 0 });
  const tookMs = (await text) - beganMs;
  await Bun.sleep(2);
  return tookMs;
}

/** How much later each event of one job came to the visitor elsewhere than to the one at the node that runs it, in ms. */
async function lag(runs: TestServer, near: Visitor, far: Visitor): Promise<number[]> {
  const came = new Map<number, { near?: number; far?: number }>();
  const ended = [near, far].map((visitor, index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    visitor.listener = (frame, atMs) => {
      if (frame.type !== "event" || frame.seq === undefined) return;
      came.set(frame.seq, { ...came.get(frame.seq), [index === 0 ? "near" : "far"]: atMs });
      if (isEnd(frame)) resolve();
    };
    return promise;
  });
  const job = await submit(runs, far.token, PACED);
  near.send({ type: "attach", job });
  await Promise.all(ended);
  // The first ones were there before the other had asked for them.
  return [...came].flatMap(([seq, at]) =>
    seq < 20 || at.near === undefined || at.far === undefined ? [] : [at.far - at.near],
  );
}

/** Many jobs at once that write as fast as they can: every entry arrives, folded where it has to catch up. */
async function throughput(
  servers: readonly TestServer[],
  runs: TestServer,
  visitor: Visitor,
): Promise<Throughput> {
  const cpu = (): number => servers.reduce((sum, server) => sum + cpuMicros(server.pid), 0);
  const all = new Promise<void>((resolve) => {
    let left = STREAMS;
    visitor.listener = (frame) => {
      if (isEnd(frame)) left -= 1;
      if (left === 0) resolve();
    };
  });
  const [beganMs, beganMicros] = [performance.now(), cpu()];
  const input = { tokens: TOKENS, size: 32, intervalMs: 0 };
  await Promise.all(Array.from({ length: STREAMS }, () => submit(runs, visitor.token, input)));
  await all;
  const events = STREAMS * TOKENS;
  return {
    eventsPerSecond: (events / (performance.now() - beganMs)) * 1000,
    microsPerEvent: (cpu() - beganMicros) / events,
  };
}

async function measure(cluster: Cluster): Promise<string[]> {
  const env = { HOLDLINE_USER_JOBS: "0", HOLDLINE_LOG: "warn" };
  const runs = await cluster.start({ env });
  const other = await cluster.start({ env: { ...env, HOLDLINE_ROLE: "gateway" } });
  const near = await visit(runs, cluster.userToken("mara"));
  const far = await visit(other, cluster.userToken("mara"));
  for (let n = 0; n < WARM_JOBS; n += 1) await firstText(runs, n % 2 === 0 ? near : far);

  const first: Record<"near" | "far", number[]> = { near: [], far: [] };
  for (let n = 0; n < ROUNDS; n += 1) {
    first.near.push(await firstText(runs, near));
    first.far.push(await firstText(runs, far));
  }
  const lags = [...(await lag(runs, near, far)), ...(await lag(runs, near, far))];
  const servers = [runs, other];
  const rounds = { near: [] as Throughput[], far: [] as Throughput[] };
  for (let n = 0; n < 3; n += 1) {
    rounds.near.push(await throughput(servers, runs, near));
    rounds.far.push(await throughput(servers, runs, far));
  }
  const best = (all: readonly Throughput[]): Throughput =>
    all.reduce((a, b) => (a.eventsPerSecond > b.eventsPerSecond ? a : b));
  const row = (what: string, there: number, here: number, unit: string): string =>
    `${what.padEnd(40)} ${there.toFixed(2).padStart(9)} ${unit}   same node ${here.toFixed(2).padStart(9)}   ×${(there / here).toFixed(2)}`;
  const [atNear, atFar, crossing] = [latencyOf(first.near), latencyOf(first.far), latencyOf(lags)];
  const [same, across] = [best(rounds.near), best(rounds.far)];
  return [
    row("submit to the first text, p50", atFar.p50, atNear.p50, "ms"),
    row("submit to the first text, p99", atFar.p99, atNear.p99, "ms"),
    `${"an event at the other node, later by".padEnd(40)} ${crossing.p50.toFixed(2).padStart(9)} ms p50, ${crossing.p99.toFixed(2)} ms p99, of ${lags.length}`,
    row("events per second", across.eventsPerSecond, same.eventsPerSecond, "/s"),
    row("CPU of both servers for each event", across.microsPerEvent, same.microsPerEvent, "µs"),
  ];
}

/** The figures, a line each. */
export async function nodesTable(): Promise<string[]> {
  const cluster = await startCluster();
  try {
    return await measure(cluster);
  } finally {
    await cluster[Symbol.asyncDispose]();
  }
}
