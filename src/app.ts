/**
 * The composition root: starts and stops everything, in order. parts.ts wires the inside, edges.ts the places where
 * requests come in; nothing else knows which driver or engine is behind a contract.
 */
import type { Server } from "bun";
import type { Config } from "./config.ts";
import { listen } from "./edges.ts";
import type { AnyHandler } from "./handlers/handler.ts";
import { sleep } from "./lib/clock.ts";
import type { Logger } from "./lib/logger.ts";
import { LIMITS } from "./protocol/limits.ts";
import { has } from "./nodes/roles.ts";
import { wire, type Base, type Parts } from "./parts.ts";
import { startWithRoom } from "./start-again.ts";
import type { Storage } from "./storage/contract.ts";
import { createSystemWorld, type World } from "./world.ts";
import type { SocketData } from "./ws/sockets.ts";

export interface AppOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Job types in addition to the built-in ones. */
  readonly handlers?: readonly AnyHandler[];
  /** Time, randomness, disk and network; the real ones by default. */
  readonly world?: World;
}

export interface App {
  /** Recovers, then listens. Rejects if the storage cannot be opened or the address is taken. */
  start(): Promise<void>;
  /** Drains and closes, after waiting for a start that is under way. May be called again. */
  stop(together?: Together | null): Promise<void>;
  /** Where it listens; available after `start`. */
  readonly url: string;
  /** Resolves when the server cannot go on and the process has to end. */
  readonly failed: Promise<Error>;
  /** Resolves when an operator asks it to drain: whoever started the server has to stop it now, as on a signal. */
  readonly drainAsked: Promise<void>;
}

/** All nodes stop at the same time. Clients have nowhere to move, so connections stay open until no run is left. */
export interface Together {
  /** To be called when no run is left here. */
  drained(): void;
  /** Resolves when no run is left anywhere. */
  readonly allDrained: Promise<void>;
}

/** How long the last entries may take to reach their readers, and how often that is checked. */
const LAST_WORDS_MS = 1000;
const LAST_LOOK_MS = 5;
/** How long sockets may take to close after the goodbye. */
const CLOSE_GRACE_MS = 2000;

export function createApp(options: AppOptions): App {
  const { config, logger, world = createSystemWorld() } = options;
  const failure = Promise.withResolvers<Error>();
  const drain = Promise.withResolvers<void>();
  let starting: Promise<Running> | null = null;
  let running: Running | null = null;
  let stopping: Promise<void> | null = null;

  const end = async (begun: Promise<Running>, together: Together | null): Promise<void> => {
    const started = await begun.catch(() => null);
    await started?.stop(together);
  };

  return {
    failed: failure.promise,
    drainAsked: drain.promise,
    get url() {
      if (running === null) throw new Error("the server is not running");
      return running.server.url.origin;
    },
    async start() {
      const askDrain = drain.resolve;
      stopping = null;
      starting = run({ ...world, config, logger, askDrain, handlers: options.handlers ?? [] });
      running = await starting;
      void running.storage.failed.then((error) => failure.resolve(error));
    },
    stop(together = null) {
      if (starting === null) return Promise.resolve();
      stopping ??= end(starting, together);
      return stopping;
    },
  };
}

interface Running {
  readonly server: Server<SocketData>;
  readonly storage: Storage;
  stop(together: Together | null): Promise<void>;
}

/**
 * Where other nodes serve too, nobody has to wait for the runs of this one. It goes on serving until proxies have had time
 * to notice, then closes the port, and only then tells sockets to reconnect, so that they find another node. Resolves when
 * they have been told; requests that are under way go on.
 */
async function moveClients({ clock }: Base, { hub }: Parts, server: Server<SocketData>): Promise<void> {
  await sleep(clock, LIMITS.leavingMs);
  void server.stop();
  await hub.stop();
}

/** How long the database may take to say who else is there. */
const WHO_STAYS_MS = 1000;

/** Tells the other nodes that this one is leaving. Resolves with whether nobody serves any more once it has. */
async function servesLast(
  { clock }: Base,
  { backplane, nodes }: Parts,
  together: Together | null,
): Promise<boolean> {
  const said = nodes.drain();
  if (together !== null || backplane.alone) return true;
  await Promise.race([said, sleep(clock, WHO_STAYS_MS)]);
  return nodes.last;
}

/** Waits for the runs of the other nodes, and until the connections here have received what those wrote last. */
async function endTogether({ config, clock }: Base, parts: Parts, together: Together): Promise<void> {
  together.drained();
  // Each of them gets as long for its runs as this one had.
  await Promise.race([together.allDrained, sleep(clock, config.drainMs)]);
  await parts.elsewhere.missed();
  const untilMs = clock.elapsedMs() + LAST_WORDS_MS;
  while (parts.hub.behind > 0 && clock.elapsedMs() < untilMs) await sleep(clock, LAST_LOOK_MS);
}

/** The reverse of the start: no new work, runs finish or are released, sockets get their goodbye, the storage closes last. */
async function shutDown(
  base: Base,
  parts: Parts,
  server: Server<SocketData> | null,
  closing: AbortController,
  { together, last }: { readonly together: Together | null; readonly last: boolean },
): Promise<void> {
  const { config, clock } = base;
  const moved = server === null || last ? null : moveClients(base, parts, server);
  await parts.ticker.stop();
  // A server that never listened need not wait for its runs.
  const drainMs = server === null ? 0 : config.drainMs;
  // Remote workers do not depend on this node: if there is another, they carry on there.
  await parts.scheduler.stop(drainMs, parts.remote.drain(moved === null ? drainMs : 0));
  if (moved === null) parts.remote.terminate();
  else parts.remote.handOver();
  await parts.webhooks.stop();
  parts.orphans.stop();
  await parts.retention.stop();
  await moved;
  if (together !== null) await endTogether(base, parts, together);
  const closed = server?.stop();
  // Log streams, and calls that wait for a job, have seen what the drain brought; left open they would hold up `closed`.
  closing.abort();
  await parts.hub.stop();
  // `stop()` never resolves while a socket is open: raced against a deadline, then forced.
  await Promise.race([closed, new Promise<void>((resolve) => void clock.after(CLOSE_GRACE_MS, resolve))]);
  await server?.stop(true);
  await parts.elsewhere.stop();
  parts.neighbours.stop();
  parts.rooms.stop();
  parts.revocationWatch.stop();
  await parts.access.stop();
  await parts.backplane.stop();
  await parts.nodes.stop();
  await parts.builtin.stop();
  parts.handlerFiles?.stop();
  parts.telemetry.stop();
  parts.loopWatch.stop();
  await parts.storage.stop();
}

async function run(base: Base): Promise<Running> {
  const parts = await wire(base);
  const over = new AbortController();
  try {
    return await begin(base, parts, over);
  } catch (error) {
    over.abort();
    // Such as a port that is taken: the data folder is free again for the next attempt.
    await shutDown(base, parts, null, new AbortController(), { together: null, last: true });
    throw error;
  }
}

/** Starts what only nodes of certain roles do. */
async function startDuties(base: Base, parts: Parts, over: AbortSignal): Promise<void> {
  const { role } = base.config;
  if (has(role, "api")) parts.remote.start();
  if (!has(role, "jobs")) return;
  await startWithRoom(base, parts.ticker, over);
  parts.orphans.start();
  parts.retention.start();
  parts.webhooks.start();
}

/** `over` is aborted when the server stops. */
async function begin(base: Base, parts: Parts, over: AbortController): Promise<Running> {
  await parts.handlerFiles?.start();
  await parts.backplane.start();
  // Members of rooms are read once the sessions of the previous process have been recovered.
  const members = {
    async start(): Promise<void> {
      await parts.access.start();
      await parts.rooms.start();
      await parts.neighbours.start();
    },
  };
  const recovering = await startWithRoom(base, members, over.signal);
  await startWithRoom(base, parts.nodes, over.signal);
  await startWithRoom(base, parts.scheduler, over.signal);
  await startDuties(base, parts, over.signal);
  parts.hub.start();
  parts.elsewhere.start();
  parts.revocationWatch.start();
  parts.telemetry.start();
  parts.loopWatch.start();
  let draining = false;
  let refusing = false;
  const closing = new AbortController();
  const server = listen(base, parts, {
    draining: () => draining,
    refusing: () => refusing,
    closing: closing.signal,
    recovered: () => recovering.isDone,
  });
  return {
    server,
    storage: parts.storage,
    async stop(together) {
      draining = true;
      over.abort();
      const last = await servesLast(base, parts, together);
      refusing = last;
      await shutDown(base, parts, server, closing, { together, last });
    },
  };
}
