/**
 * The composition root: starts and ends everything, in order. parts.ts wires what works inside, edges.ts where requests
 * come in; nothing else knows which driver or engine is behind a contract.
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
  /** Job types beside the built-in ones. */
  readonly handlers?: readonly AnyHandler[];
  /** What it runs in; the real one by default. */
  readonly world?: World;
}

export interface App {
  /** Recovers, then listens. Rejects when the storage cannot be opened or the address is taken. */
  start(): Promise<void>;
  /** Drains and closes, once a start that is under way is done; may be called again. */
  stop(together?: Together | null): Promise<void>;
  /** Where it listens, after `start`. */
  readonly url: string;
  /** Resolves when the server cannot go on and the process has to end. */
  readonly failed: Promise<Error>;
  /** Resolves when an operator asked it to drain: whoever started it has to stop it now, as on a signal. */
  readonly drainAsked: Promise<void>;
}

/** All nodes there are end at the same time: nobody can move, so that all connections stay until no run is left. */
export interface Together {
  /** This one's runs are over. */
  drained(): void;
  /** Resolves when those of all are. */
  readonly allDrained: Promise<void>;
}

/** How long the last entries may take to reach those who read, and how often is looked whether they have. */
const LAST_WORDS_MS = 1000;
const LAST_LOOK_MS = 5;
/** How long sockets may take to close after they were told to. */
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
 * Where other nodes serve too, nobody has to wait for this one's runs. Everybody is served until proxies had time to look,
 * then the port is closed, and only then sockets are told to come back: whoever comes back finds another node. Resolves
 * when they have been told; what is under way goes on.
 */
async function moveClients({ clock }: Base, { hub }: Parts, server: Server<SocketData>): Promise<void> {
  await sleep(clock, LIMITS.leavingMs);
  void server.stop();
  await hub.stop();
}

/** How long the database may take to tell who else is there. */
const WHO_STAYS_MS = 1000;

/** Whether nobody serves any more once this process has gone. Tells the others that it goes. */
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

/** Waits for the runs of the other nodes, and until the connections here have what those wrote last. */
async function endTogether({ config, clock }: Base, parts: Parts, together: Together): Promise<void> {
  together.drained();
  // Each of them has as long for its runs as this one had.
  await Promise.race([together.allDrained, sleep(clock, config.drainMs)]);
  await parts.elsewhere.missed();
  const untilMs = clock.elapsedMs() + LAST_WORDS_MS;
  while (parts.hub.behind > 0 && clock.elapsedMs() < untilMs) await sleep(clock, LAST_LOOK_MS);
}

/** Ends in reverse order of the start: no new work, runs finish or are released, sockets are told, the store closes last. */
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
  // A server that never listened owes nobody the end of a run.
  const drainMs = server === null ? 0 : config.drainMs;
  // Workers need no particular node: where there is another they go on with it.
  await parts.scheduler.stop(drainMs, parts.remote.drain(moved === null ? drainMs : 0));
  if (moved === null) parts.remote.terminate();
  else parts.remote.handOver();
  await parts.webhooks.stop();
  parts.orphans.stop();
  await parts.retention.stop();
  await moved;
  if (together !== null) await endTogether(base, parts, together);
  const closed = server?.stop();
  // Streams of logs and calls that wait for the end of a job have seen what the drain brought, and would hold `closed`.
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
    // Such as a taken port: the folder is free again for whoever tries next.
    await shutDown(base, parts, null, new AbortController(), { together: null, last: true });
    throw error;
  }
}

/** What only nodes of some roles do. */
async function startDuties(base: Base, parts: Parts, over: AbortSignal): Promise<void> {
  const { role } = base.config;
  if (has(role, "api")) parts.remote.start();
  if (!has(role, "jobs")) return;
  await startWithRoom(base, parts.ticker, over);
  parts.orphans.start();
  parts.retention.start();
  parts.webhooks.start();
}

/** `over`: of the server, from its stop on. */
async function begin(base: Base, parts: Parts, over: AbortController): Promise<Running> {
  await parts.handlerFiles?.start();
  await parts.backplane.start();
  // Members are read when every session is what it is after a restart.
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
