/**
 * The kill loop: a child server under load is killed at random moments and started again, until the time is over. Then
 * everything that was accepted has to end, and the judge reads the clients' histories beside the server's logs.
 */
import { join } from "node:path";
import type { Config } from "../../config.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { type Spread, spreadOf } from "../../lib/percentile.ts";
import { integrityFaults } from "../../sqlite/inspect.ts";
import { openStorageBeside } from "../../storage.ts";
import { type ChildServer, startChildServer, WITHOUT_LIMITS } from "../child/server.ts";
import { acceptedJobs, judgeAgain, judgeBooks, judgeJob, type JobVerdict, type Settled } from "./checker.ts";
import type { Flaw } from "./flaw.ts";
import { nextInput } from "./jobs.ts";
import { createLoadClient, type LoadClient } from "./load-client.ts";
import { listJobs, readLog, type Reader, readStoredLog } from "./server-side.ts";

/** Jobs that one client has under way at a time. */
const LANES = 2;
/**
 * Between a start and the next kill, at most a quarter of the whole. Now and then it comes at once, while the server
 * recovers from the one before.
 */
const CALM_MS = { least: 500, most: 6000 };
const CALM_PART = 1 / 4;
const AT_ONCE = { share: 0.2, mostMs: 300 };
/** Jobs that are handed in once more under their key, as a client does whose answer was lost. */
const REPEATED_SHARE = 0.1;
/** How long the server may take to list everything when the load is over. */
const AUDIT_MS = 60_000;
/** How long accepted jobs may take to end once the kills are over: back-offs of lost leases, and the longest job. */
const SETTLE_MS = 60_000;

const DRAIN_MS = 5000;

export interface SelftestOptions {
  /** Empty; the child lives in it. */
  readonly folder: string;
  readonly durability: Config["durability"];
  readonly maxLostLeases: number;
  readonly seconds: number;
  readonly clients: number;
  /** false: the load alone, for whoever measures a server that lives long. [true] */
  readonly kills?: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  /** Aborted: it ends as soon as it can, with what was seen so far. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** After each start, for whoever measures the process. */
  readonly onStarted?: (child: ChildServer) => void;
}

export interface Progress {
  readonly elapsedMs: number;
  readonly kills: number;
  readonly accepted: number;
  readonly answered: number;
  readonly events: number;
  readonly flaws: number;
  readonly phase: "load" | "settling" | "checking";
}

export interface Report {
  readonly seconds: number;
  readonly clients: number;
  readonly durability: Config["durability"];
  readonly kills: number;
  readonly accepted: number;
  readonly answered: number;
  /** Events that arrived and were compared with the log. */
  readonly events: number;
  /** Failed because their lost leases were spent, as promised. */
  readonly budgetSpent: number;
  readonly flaws: readonly Flaw[];
  /** All in milliseconds. Of a submit from its last try to its 202. */
  readonly acceptMs: Spread;
  /** From the kill until the server listens again. */
  readonly recoveryMs: Spread;
  /** From the loss of a connection until its session is resumed. */
  readonly resumedMs: Spread;
  /** The part of it after the server was back. */
  readonly reconnectMs: Spread;
  /** Empty: `PRAGMA integrity_check` said ok. */
  readonly integrityFaults: readonly string[];
}

/** Everything that is counted while it runs. */
interface Tally {
  readonly started: number;
  /** How long it was loaded. */
  loadedMs: number;
  kills: number;
  answered: number;
  events: number;
  budgetSpent: number;
  /** Clock at which the server listened last. */
  backMs: number;
  readonly flaws: Flaw[];
  readonly settled: Settled[];
  readonly recovery: number[];
  readonly resumed: number[];
  readonly reconnect: number[];
}

interface Scene {
  readonly options: SelftestOptions;
  readonly child: ChildServer;
  readonly clients: readonly LoadClient[];
  readonly tally: Tally;
  /** No more jobs are handed in. */
  readonly over: AbortSignal;
  /** Nothing is waited for any more. */
  readonly stopped: AbortSignal;
}

const readerOf = ({ child, options, stopped }: Scene, client: LoadClient): Reader => {
  return { url: child.url, clock: options.clock, signal: stopped, token: () => client.token };
};

function count(tally: Tally, verdict: JobVerdict): void {
  tally.flaws.push(...verdict.flaws);
  tally.settled.push(verdict.settled);
  tally.events += verdict.events;
  if (verdict.answered) tally.answered += 1;
  if (verdict.budgetSpent) tally.budgetSpent += 1;
}

/** One job after the other, each judged by its log as soon as it has ended. */
async function workLane(scene: Scene, client: LoadClient, lane: number): Promise<void> {
  const { options, tally, over, stopped } = scene;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  stopped.addEventListener("abort", () => aborted.reject(stopped.reason), { once: true });
  for (let n = 1; !over.aborted; n += 1) {
    const input = nextInput(options.random);
    const [key, body] = [`${client.name}-${lane}-${n}`, { type: "tokens", input }];
    const job = await client.submit(key, body);
    // Should it make another job, the books tell.
    if (options.random() < REPEATED_SHARE) await client.submit(key, body);
    await Promise.race([client.finished(job), aborted.promise]);
    const log = await readLog(readerOf(scene, client), job);
    count(tally, judgeJob({ job, deliveries: client.take(job), input }, log, options.maxLostLeases));
  }
}

/** A key that interrupts us interrupts the child as well: one that drains would refuse what is still to be answered. */
async function startAnew(child: ChildServer, clock: Clock, tally: Tally): Promise<void> {
  await child.kill();
  await child.start();
  tally.backMs = clock.elapsedMs();
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Kills and starts again until the time is over; resolves with the server running. */
async function killLoop({ options, child, tally, over }: Scene): Promise<void> {
  const { clock, random, seconds } = options;
  const mostMs = Math.max(CALM_MS.least, Math.min(CALM_MS.most, seconds * 1000 * CALM_PART));
  while (!over.aborted) {
    const calmMs = CALM_MS.least + random() * (mostMs - CALM_MS.least);
    if (options.kills === false) {
      await untilAborted(over);
      return;
    }
    const delayMs = random() < AT_ONCE.share ? random() * AT_ONCE.mostMs : calmMs;
    try {
      await sleep(clock, delayMs, over);
    } catch {
      return;
    }
    const killedMs = clock.elapsedMs();
    await child.kill();
    tally.kills += 1;
    await child.start();
    tally.backMs = clock.elapsedMs();
    tally.recovery.push(tally.backMs - killedMs);
    options.onStarted?.(child);
  }
}

/** Reads the books of every client over HTTP, then ends the server and reads everything again from its file. */
async function audit(scene: Scene): Promise<readonly string[]> {
  const { options, child, clients, tally } = scene;
  const signal = AbortSignal.timeout(AUDIT_MS);
  for (const client of clients) {
    const listed = await listJobs({ ...readerOf(scene, client), signal });
    const { name, operations } = client;
    tally.flaws.push(...client.flaws, ...judgeBooks({ client: name, operations, listed }));
    client.close();
  }
  const code = await child.stop();
  if (code !== 0)
    tally.flaws.push({ kind: "damaged", text: `the server ended with code ${code}: ${child.tail()}` });
  const dataDir = join(options.folder, "data");
  const path = join(dataDir, "holdline.db");
  const storage = openStorageBeside({
    databaseUrl: `sqlite:${path}`,
    dataDir,
    durability: options.durability,
  });
  try {
    for (const one of tally.settled)
      tally.flaws.push(...judgeAgain(one, await readStoredLog(storage, one.job)));
  } finally {
    await storage.stop();
  }
  const faults = integrityFaults(path);
  tally.flaws.push(...faults.map((text) => ({ kind: "damaged", text }) as const));
  return faults;
}

/** What was accepted and never judged, because its end did not come in time. */
function unended({ clients, tally }: Scene): Flaw[] {
  const judged = new Set(tally.settled.map(({ job }) => job));
  return clients
    .flatMap(({ operations }) => acceptedJobs(operations))
    .filter((job) => !judged.has(job))
    .map((job) => ({ kind: "lost", text: `job ${job}: accepted and not ended after ${SETTLE_MS} ms` }));
}

function reportOf({ options, clients, tally }: Scene, faults: readonly string[]): Report {
  const operations = clients.flatMap((client) => client.operations);
  const accepts = operations.filter(({ name, outcome }) => name === "submit" && outcome === "ok");
  return {
    seconds: Math.round(tally.loadedMs / 1000),
    clients: options.clients,
    durability: options.durability,
    kills: tally.kills,
    accepted: new Set(accepts.map(({ job }) => job)).size,
    answered: tally.answered,
    events: tally.events,
    budgetSpent: tally.budgetSpent,
    flaws: tally.flaws,
    acceptMs: spreadOf(accepts.map(({ invokedMs, endedMs }) => (endedMs ?? invokedMs) - invokedMs)),
    recoveryMs: spreadOf(tally.recovery),
    resumedMs: spreadOf(tally.resumed),
    reconnectMs: spreadOf(tally.reconnect),
    integrityFaults: faults,
  };
}

function createClients({ clients, clock, random }: SelftestOptions, url: string, tally: Tally): LoadClient[] {
  return Array.from({ length: clients }, (_, index) =>
    createLoadClient({
      name: `client-${index + 1}`,
      url,
      clock,
      random,
      onResumed(lostMs) {
        const nowMs = clock.elapsedMs();
        tally.resumed.push(nowMs - lostMs);
        tally.reconnect.push(nowMs - Math.max(tally.backMs, lostMs));
      },
    }),
  );
}

/** Tells how far it is, once a quarter of a second. Returns what ends that. */
function keepTelling({ options, clients, tally, over, stopped }: Scene): () => void {
  const { clock, onProgress } = options;
  const tell = (): void =>
    onProgress?.({
      elapsedMs: clock.elapsedMs() - tally.started,
      kills: tally.kills,
      accepted: clients.reduce((sum, client) => sum + client.accepted, 0),
      answered: tally.answered,
      events: tally.events,
      flaws: tally.flaws.length,
      phase: !over.aborted ? "load" : stopped.aborted ? "checking" : "settling",
    });
  const timer = clock.every(250, tell);
  return () => timer.cancel();
}

/** Runs the whole test. Rejects when the server cannot be started at all; everything else is in the report. */
export async function runSelftest(options: SelftestOptions): Promise<Report> {
  const { clock, random, signal, folder } = options;
  const flags = {
    ...WITHOUT_LIMITS,
    "drain-ms": String(DRAIN_MS),
    durability: options.durability,
    "max-lost-leases": String(options.maxLostLeases),
  };
  const child = await startChildServer({ folder, flags, random });
  const nowMs = clock.elapsedMs();
  const tally: Tally = {
    started: nowMs,
    loadedMs: 0,
    kills: 0,
    answered: 0,
    events: 0,
    budgetSpent: 0,
    backMs: nowMs,
    flaws: [],
    settled: [],
    recovery: [],
    resumed: [],
    reconnect: [],
  };
  const [over, stopped] = [new AbortController(), new AbortController()];
  const end = (): void => over.abort(new Error("the time is over"));
  const giveUp = (): void => stopped.abort(new Error("not everything ended in time"));
  signal.addEventListener("abort", end, { once: true });
  const clients = createClients(options, child.url, tally);
  const scene = { options, child, clients, tally, over: over.signal, stopped: stopped.signal };
  const quiet = keepTelling(scene);
  try {
    options.onStarted?.(child);
    await Promise.all(clients.map((client) => client.connected()));
    const timer = clock.after(options.seconds * 1000, end);
    const lanes = clients.flatMap((client) =>
      Array.from({ length: LANES }, (_, lane) => workLane(scene, client, lane + 1)),
    );
    const working = Promise.allSettled(lanes);
    await killLoop(scene);
    timer.cancel();
    tally.loadedMs = clock.elapsedMs() - tally.started;
    if (signal.aborted) await startAnew(child, clock, tally);
    const late = clock.after(SETTLE_MS, giveUp);
    for (const lane of await working) {
      if (lane.status === "rejected" && !stopped.signal.aborted)
        tally.flaws.push({ kind: "lost", text: String(lane.reason) });
    }
    late.cancel();
    tally.flaws.push(...unended(scene));
    return reportOf(scene, await audit(scene));
  } finally {
    quiet();
    for (const client of clients) client.close();
    await child.kill();
  }
}
