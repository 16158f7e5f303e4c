/** What a selftest is given, what it counts while it runs, and what it reports. */
import type { Config } from "../../config.ts";
import type { Clock } from "../../lib/clock.ts";
import { type Spread, spreadOf } from "../../lib/percentile.ts";
import type { ChildServer } from "../child/server.ts";
import type { JobVerdict, Settled } from "./checker.ts";
import type { Flaw } from "./flaw.ts";
import type { LoadClient } from "./load-client.ts";
import type { MemoryTrend, MemoryWatch } from "./memory.ts";
import type { Reader } from "./server-side.ts";

/** How long accepted jobs may take to end once the kills are over: back-offs of lost leases, and the longest job. */
export const SETTLE_MS = 60_000;

export interface SelftestOptions {
  /** Empty; the child lives in it. */
  readonly folder: string;
  /** An empty database on PostgreSQL. [null: a file in the folder] */
  readonly databaseUrl?: string | null;
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
  /** Of the server, whichever process it was. */
  readonly memory: MemoryTrend;
  /** Empty: `PRAGMA integrity_check` said ok. null: PostgreSQL, whose files are its own business. */
  readonly integrityFaults: readonly string[] | null;
}

/** Everything that is counted while it runs. */
export interface Tally {
  readonly started: number;
  /** How long it was loaded. */
  loadedMs: number;
  kills: number;
  answered: number;
  events: number;
  budgetSpent: number;
  /** Clock at which the server said last that it listens; null from its kill until it says so again. */
  backMs: number | null;
  readonly flaws: Flaw[];
  readonly settled: Settled[];
  readonly recovery: number[];
  readonly resumed: number[];
  readonly reconnect: number[];
}

/** Nothing has happened yet. */
export function createTally(nowMs: number): Tally {
  return {
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
}

export interface Scene {
  readonly options: SelftestOptions;
  readonly child: ChildServer;
  readonly clients: readonly LoadClient[];
  readonly memory: MemoryWatch;
  readonly tally: Tally;
  /** No more jobs are handed in. */
  readonly over: AbortSignal;
  /** Nothing is waited for any more. */
  readonly stopped: AbortSignal;
}

/** Reads as this client's user does. */
export function readerOf({ child, options, stopped }: Scene, client: LoadClient): Reader {
  return { url: child.url, clock: options.clock, signal: stopped, token: () => client.token };
}

export function count(tally: Tally, verdict: JobVerdict): void {
  tally.flaws.push(...verdict.flaws);
  tally.settled.push(verdict.settled);
  tally.events += verdict.events;
  if (verdict.answered) tally.answered += 1;
  if (verdict.budgetSpent) tally.budgetSpent += 1;
}

export function reportOf(
  { options, clients, memory, tally }: Scene,
  faults: readonly string[] | null,
): Report {
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
    memory: memory.trend(),
    integrityFaults: faults,
  };
}
