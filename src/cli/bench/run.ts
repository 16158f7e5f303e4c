/** The measurements of `bench`: accepting, the way to the first word, and streaming, each on a server of its own kind of load. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import type { Clock } from "../../lib/clock.ts";
import { type Spread, spreadOf } from "../../lib/percentile.ts";
import { type ChildServer, startChildServer, WITHOUT_LIMITS } from "../child/server.ts";
import { type BenchUser, openBenchUser } from "./user.ts";

/** Submits that wait for their answer at a time. */
const IN_FLIGHT = 32;
const STREAMS = 10;
const SHORT = { tokens: 1, size: 16, intervalMs: 0 };
const LONG = { tokens: 2000, size: 32, intervalMs: 0 };

export interface BenchOptions {
  /** Empty; the servers live in it. */
  readonly folder: string;
  readonly durability: Config["durability"];
  /** For all measurements together. */
  readonly seconds: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onPhase?: (phase: string) => void;
}

export interface BenchReport {
  readonly durability: Config["durability"];
  readonly acceptedPerSecond: number;
  /** Milliseconds from the request to its 202, with so many in flight. */
  readonly acceptMs: Spread;
  readonly inFlight: number;
  /** Milliseconds from the request until the first word has come over the socket, one job at a time. */
  readonly firstTextMs: Spread;
  /** Words that were committed and delivered, over all streams. */
  readonly eventsPerSecond: number;
  readonly streams: number;
  /** Memory of the server after it, in bytes; null where the system does not tell. */
  readonly residentBytes: number | null;
}

interface Phase extends BenchOptions {
  readonly child: ChildServer;
  /** Clock at which it is over. */
  readonly untilMs: number;
}

const isOver = ({ clock, untilMs, signal }: Phase): boolean => signal.aborted || clock.elapsedMs() >= untilMs;

/** Hands in as fast as it can. The one run at a time is busy for ever, so that accepting is all the server does. */
async function measureAccept(phase: Phase): Promise<Pick<BenchReport, "acceptedPerSecond" | "acceptMs">> {
  const { clock, child } = phase;
  const user = await openBenchUser(child.url, clock);
  await user.submit({ tokens: 100_000, size: 1, intervalMs: 60_000 });
  const tookMs: number[] = [];
  const beganMs = clock.elapsedMs();
  const hand = async (): Promise<void> => {
    while (!isOver(phase)) {
      const askedMs = clock.elapsedMs();
      await user.submit(SHORT);
      tookMs.push(clock.elapsedMs() - askedMs);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, hand));
  const seconds = (clock.elapsedMs() - beganMs) / 1000;
  user.close();
  return { acceptedPerSecond: tookMs.length / seconds, acceptMs: spreadOf(tookMs) };
}

/** Resolves with the clock's reading when the next first word of any job arrives. */
function nextFirstText(user: BenchUser, clock: Clock): Promise<number> {
  return new Promise((resolve) => {
    user.onText((frame) => {
      if (frame.includes('"kind":"output.text"')) resolve(clock.elapsedMs());
    });
  });
}

async function measureFirstText(phase: Phase): Promise<Spread> {
  const { clock, child } = phase;
  const user = await openBenchUser(child.url, clock);
  const tookMs: number[] = [];
  do {
    const askedMs = clock.elapsedMs();
    const heard = nextFirstText(user, clock);
    await user.submit(SHORT);
    tookMs.push((await Promise.race([heard, user.lost])) - askedMs);
  } while (!isOver(phase));
  user.close();
  return spreadOf(tookMs);
}

/** Keeps streams going as fast as they can be committed; counts what arrives. */
async function measureEvents(phase: Phase): Promise<number> {
  const { clock, child } = phase;
  const user = await openBenchUser(child.url, clock);
  let words = 0;
  const over = Promise.withResolvers<void>();
  const begin = (): void => void user.submit(LONG).catch(over.reject);
  const beganMs = clock.elapsedMs();
  user.onText((frame) => {
    if (frame.includes('"kind":"output.text"')) words += 1;
    else if (frame.includes('"kind":"job.succeeded"')) begin();
    if (isOver(phase)) over.resolve();
  });
  for (let stream = 0; stream < STREAMS; stream += 1) begin();
  await Promise.race([over.promise, user.lost]);
  const seconds = (clock.elapsedMs() - beganMs) / 1000;
  user.close();
  return words / seconds;
}

/** Starts a server in a folder of its own, measures, and ends it. */
async function withChild<Result>(
  options: BenchOptions,
  name: string,
  flags: Readonly<Record<string, string>>,
  use: (child: ChildServer) => Promise<Result>,
): Promise<Result> {
  const folder = join(options.folder, name);
  mkdirSync(folder);
  const child = await startChildServer({
    folder,
    random: options.random,
    flags: { ...WITHOUT_LIMITS, durability: options.durability, ...flags },
  });
  try {
    return await use(child);
  } finally {
    await child.kill();
  }
}

/** Rejects when a server cannot be started or refuses its load. */
export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const { clock, seconds, durability, onPhase } = options;
  const phase = (child: ChildServer, share: number): Phase => {
    return { ...options, child, untilMs: clock.elapsedMs() + seconds * 1000 * share };
  };
  onPhase?.("accepting jobs");
  const accept = await withChild(options, "accept", { concurrency: "1" }, (child) =>
    measureAccept(phase(child, 0.4)),
  );
  return withChild(options, "stream", {}, async (child) => {
    onPhase?.("waiting for first words");
    const firstTextMs = await measureFirstText(phase(child, 0.2));
    onPhase?.("streaming");
    const eventsPerSecond = await measureEvents(phase(child, 0.4));
    return {
      durability,
      ...accept,
      inFlight: IN_FLIGHT,
      firstTextMs,
      eventsPerSecond,
      streams: STREAMS,
      residentBytes: child.residentBytes(),
    };
  });
}
