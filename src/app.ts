/** The composition root: the whole wiring on one screen. Nothing else knows which driver or engine is behind a contract. */
import type { Server } from "bun";
import packageJson from "../package.json" with { type: "json" };
import { openAccess, type Access } from "./access.ts";
import type { Config } from "./config.ts";
import { createBuiltin, type Builtin } from "./handlers/builtin.ts";
import type { AnyHandler } from "./handlers/handler.ts";
import { createRegistry, type Registry } from "./handlers/registry.ts";
import { createScheduler, type Scheduler } from "./handlers/scheduler.ts";
import { attach } from "./hub/attach.ts";
import { createHub, type Hub } from "./hub/hub.ts";
import { createRequests } from "./hub/requests.ts";
import { createAddresses } from "./http/address.ts";
import { createAssets } from "./http/assets.ts";
import { createDocuments } from "./http/documents/documents.ts";
import type { AdminServices } from "./http/call.ts";
import { createGuard } from "./http/guard.ts";
import { createHttp, type HttpHandler } from "./http/http.ts";
import { createOperator } from "./http/operator.ts";
import { createRates, type Rates } from "./http/rates.ts";
import { createSubmitter, type Submitter } from "./http/submit.ts";
import { createFeed, type Feed } from "./jobs/feed.ts";
import { createOrphans, type Orphans } from "./jobs/orphans.ts";
import { createRetention, type Retention } from "./jobs/retention.ts";
import type { JobStore } from "./jobs/store.ts";
import { createSystemClock, instant, type Clock } from "./lib/clock.ts";
import { createIds, type Ids, type SessionId } from "./lib/ids.ts";
import type { Logger } from "./lib/logger.ts";
import { loadNodeId } from "./node-id.ts";
import { loadPages } from "./pages.ts";
import { Refusal } from "./protocol/error.ts";
import { LIMITS } from "./protocol/limits.ts";
import type { PublishedLimits } from "./protocol/sessions.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { openStorage, type Storage } from "./storage.ts";
import { createProbe } from "./telemetry/probe.ts";
import { createTelemetry, type Telemetry } from "./telemetry/telemetry.ts";
import { createRefresh } from "./ws/refresh.ts";
import { createSockets, type SocketData, type Sockets } from "./ws/sockets.ts";

export interface AppOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Job types beside the built-in ones. */
  readonly handlers?: readonly AnyHandler[];
}

export interface App {
  /** Recovers, then listens. Rejects when the storage cannot be opened or the address is taken. */
  start(): Promise<void>;
  /** Drains and closes; may be called again. */
  stop(): Promise<void>;
  /** Where it listens, after `start`. */
  readonly url: string;
  /** Resolves when the server cannot go on and the process has to end. */
  readonly failed: Promise<Error>;
  /** Resolves when an operator asked it to drain: whoever started it has to stop it now, as on a signal. */
  readonly drainAsked: Promise<void>;
}

/** Seconds without a byte after which the runtime closes an HTTP connection: longer than any answer may wait. */
const HTTP_IDLE_SECONDS = 120;
/** The runtime's own bound, whose answer is bare; the application refuses long before it. */
const RUNTIME_BODY_BYTES = 1024 * 1024 * 1024;
/** How long sockets may take to close after they were told to. */
const CLOSE_GRACE_MS = 2000;

export function createApp(options: AppOptions): App {
  const { config, logger, clock = createSystemClock() } = options;
  const ids = createIds();
  const failure = Promise.withResolvers<Error>();
  const drain = Promise.withResolvers<void>();
  let running: Running | null = null;
  let stopping: Promise<void> | null = null;

  return {
    failed: failure.promise,
    drainAsked: drain.promise,
    get url() {
      if (running === null) throw new Error("the server is not running");
      return running.server.url.origin;
    },
    async start() {
      const askDrain = drain.resolve;
      running = await run({ config, logger, clock, ids, askDrain, handlers: options.handlers ?? [] });
      void running.storage.failed.then((error) => failure.resolve(error));
    },
    stop() {
      stopping ??= running === null ? Promise.resolve() : running.stop();
      return stopping;
    },
  };
}

interface Running {
  readonly server: Server<SocketData>;
  readonly storage: Storage;
  stop(): Promise<void>;
}

interface Base {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Job types beside the built-in ones. */
  readonly handlers: readonly AnyHandler[];
  readonly askDrain: () => void;
}

function publishedLimits(config: Config): PublishedLimits {
  return {
    frameBytes: config.frameBytes,
    eventBytes: config.eventBytes,
    queueBytes: config.queueBytes,
    rooms: config.roomsMax,
    attachments: config.attachmentsMax,
    resumeMs: config.resumeMs,
  };
}

function createSeats(base: Base, storage: Storage, sessions: Sessions): Hub {
  const { config, clock, logger } = base;
  const hub: Hub = createHub({
    store: storage.jobs,
    clock,
    logger,
    pingMs: config.pingMs,
    pingTimeoutMs: config.pingTimeoutMs,
    queueBytes: config.queueBytes,
    attachments: config.attachmentsMax,
    onLeft: (id) =>
      void sessions.left(id).catch((error: unknown) => logger.warn({ error }, "a leave was not stored")),
    issueToken: async (id) => {
      const session = await sessions.find(id);
      return session === null ? null : sessions.issueToken(session);
    },
    onGap(connection, job, cursor) {
      attach(hub, storage.jobs, connection, { job, after: cursor }).catch((error: unknown) => {
        if (error instanceof Refusal) connection.refuse(error);
        else connection.close("internal");
      });
    },
  });
  return hub;
}

/** The same storage, counted. */
function countedStorage(storage: Storage, telemetry: Telemetry): Storage {
  const { jobs, sessions } = storage;
  return {
    ...storage,
    jobs: { ...jobs, execute: (command) => telemetry.writes.watch(jobs.execute(command)) },
    sessions: {
      ...sessions,
      async create(session) {
        await sessions.create(session);
        telemetry.sessionOpened();
      },
    },
  };
}

/** The same hub; what its sockets send is counted. */
function countedHub(hub: Hub, { deliveries }: Telemetry): Hub {
  return {
    ...hub,
    get size() {
      return hub.size;
    },
    add: (socket) => hub.add(deliveries.counted(socket)),
  };
}

/** Everything that works before the first request, in the order in which it starts. */
interface Parts {
  readonly nodeId: string;
  readonly telemetry: Telemetry;
  readonly storage: Storage;
  readonly access: Access;
  readonly feed: Feed;
  readonly hub: Hub;
  readonly registry: Registry;
  readonly scheduler: Scheduler;
  readonly orphans: Orphans;
  readonly retention: Retention;
  readonly builtin: Builtin;
}

async function wire(base: Base): Promise<Parts> {
  const { config, logger, clock, ids } = base;
  const telemetry = createTelemetry({ clock, version: packageJson.version });
  const storage = countedStorage(await openStorage(config), telemetry);
  const store = storage.jobs;
  const nodeId =
    config.databaseUrl === "sqlite::memory:" ? `node_${ids.hex(6)}` : loadNodeId(config.dataDir, ids);
  const { machineTokens } = storage;
  const access = await openAccess({ ...base, store: storage.sessions, machineTokens, nodeId });
  const { sessions } = access;
  const feed = createFeed();
  const hub = countedHub(createSeats(base, storage, sessions), telemetry);
  const builtin = createBuiltin({ ...config, clock, logger, kill: killProcess });
  const registry = createRegistry([...builtin.handlers, ...base.handlers]);
  const bootId = ids.any();
  const scheduler = createScheduler({
    ...config,
    store,
    registry,
    clock,
    ids,
    logger,
    bootId,
    random: Math.random,
  });
  const absent = async (id: SessionId): Promise<number> => absentMs(await sessions.find(id), clock);
  const orphans = createOrphans({ store, clock, logger, absentMs: absent });
  const retention = createRetention({ ...config, store, clock, logger });

  store.onCommitted((changes) => {
    telemetry.jobs.committed(changes);
    hub.committed(changes);
    feed.committed(changes);
    scheduler.committed(changes);
  });
  sessions.onEnded((id) => {
    telemetry.sessionLoggedOut();
    hub.closeSession(id, "revoked");
    orphans
      .loggedOut(id)
      .catch((error: unknown) => logger.warn({ error }, "jobs of a log-out were not canceled"));
  });
  return { nodeId, telemetry, storage, access, feed, hub, registry, scheduler, orphans, retention, builtin };
}

/** What `/v1/admin` reaches into. */
function createAdmin(base: Base, parts: Parts, submitter: Submitter): AdminServices {
  const { clock, logger, askDrain } = base;
  const { nodeId, storage, access, hub, scheduler } = parts;
  const startedAt = new Date(clock.wallMs()).toISOString();
  return {
    operator: createOperator({
      ...storage,
      submitter,
      revocations: access.revocations,
      endSession: (id) => access.sessions.end(id),
      clock,
    }),
    nodes: () => [{ id: nodeId, startedAt, connections: hub.size, running: scheduler.running }],
    push: (audience, frame) => hub.push(audience, frame),
    drain() {
      logger.info({}, "an operator asked the server to drain");
      askDrain();
    },
  };
}

/** The edge of the sockets: what a client may ask for over one, and at which rate. */
function openSockets(base: Base, parts: Parts, rates: Rates, draining: () => boolean): Sockets {
  const { config, clock, logger } = base;
  const { nodeId, storage, access, hub } = parts;
  const { sessions, gate } = access;
  const store = storage.jobs;
  const refresh = createRefresh({ gate, sessions, hub });
  const requests = createRequests({ ...config, hub, store, clock, logger, refresh });
  return createSockets({
    hub,
    requests,
    sessions,
    gate,
    rates,
    store,
    clock,
    logger,
    nodeId,
    limits: publishedLimits(config),
    heartbeat: { pingMs: config.pingMs, timeoutMs: config.pingTimeoutMs },
    draining,
  });
}

function listen(base: Base, parts: Parts, draining: () => boolean): Server<SocketData> {
  const { config, clock, logger, ids } = base;
  const { telemetry, storage, access, feed, hub, registry, scheduler } = parts;
  const store = storage.jobs;
  const { sessions, gate } = access;
  const limits = publishedLimits(config);
  const { userJobs, queueJobs, bodyBytes } = config;
  // Asked while a request is answered, when the server is there.
  const peerOf = (request: Request): string | null => server.requestIP(request)?.address ?? null;
  const rates = createRates({ ...config, clock, addressOf: createAddresses({ ...config, peerOf }) });
  const sockets = openSockets(base, parts, rates, draining);
  // Nothing arrives before this function returned: then it has its real value.
  let answer: HttpHandler = () => Promise.reject(new Error("not listening yet"));
  const server = Bun.serve({
    hostname: config.host,
    port: config.port,
    // Said explicitly: without it a second server would start on the same port and take half of the connections.
    reusePort: false,
    development: false,
    idleTimeout: HTTP_IDLE_SECONDS,
    maxRequestBodySize: RUNTIME_BODY_BYTES,
    websocket: sockets.handlers,
    fetch: (request) => answer(request),
  });
  const port = server.port ?? config.port;
  const guard = createGuard({ ...config, openAnywhere: config.auth === "open", port });
  const onSubmit = (): void => scheduler.wake();
  const submitter = createSubmitter({ store, registry, clock, ids, userJobs, queueJobs, onSubmit });
  const services = {
    store,
    feed,
    sessions,
    gate,
    rates,
    registry,
    submitter,
    clock,
    ids,
    logger,
    limits,
    bodyBytes,
    draining,
    admin: createAdmin(base, parts, submitter),
  };
  answer = createHttp({
    ...services,
    guard,
    requests: telemetry.requests,
    scrape: () => telemetry.render({ connections: hub.size, runs: scheduler.running }),
    storageWrites: createProbe({ ...STORAGE_PROBE, clock, ask: () => writeNothing(store, clock) }),
    documents: createDocuments({ ...config, version: packageJson.version }),
    asset: createAssets(loadPages),
    upgrade: (request, origin, traceId) => sockets.upgrade(request, server, { origin, traceId }),
    // A stream may be quiet for longer than any answer may take.
    keepOpen: (request) => server.timeout(request, 0),
  });
  return server;
}

/** Ends in reverse order of the start: no new work, runs finish or are released, sockets are told, the store closes last. */
async function shutDown({ config, clock }: Base, parts: Parts, server: Server<SocketData>): Promise<void> {
  await parts.scheduler.stop(config.drainMs);
  parts.orphans.stop();
  await parts.retention.stop();
  const closed = server.stop();
  await parts.hub.stop();
  // `stop()` never resolves while a socket is open: raced against a deadline, then forced.
  await Promise.race([closed, new Promise<void>((resolve) => void clock.after(CLOSE_GRACE_MS, resolve))]);
  await server.stop(true);
  await parts.access.sessions.stop();
  await parts.builtin.stop();
  parts.telemetry.stop();
  await parts.storage.stop();
}

async function run(base: Base): Promise<Running> {
  const parts = await wire(base);
  await parts.access.sessions.start();
  await parts.scheduler.start();
  parts.hub.start();
  parts.orphans.start();
  parts.retention.start();
  parts.telemetry.start();
  let draining = false;
  const server = listen(base, parts, () => draining);
  return {
    server,
    storage: parts.storage,
    stop() {
      draining = true;
      return shutDown(base, parts, server);
    },
  };
}

/** How long the storage may take to confirm a write before the server is not ready, and how long its answer counts. */
const STORAGE_PROBE = { deadlineMs: 1000, freshMs: 1000 } as const;

/** The way of every write, and nothing changes: nobody holds a lease under this name. */
function writeNothing(store: JobStore, clock: Clock): Promise<unknown> {
  return store.execute({ op: "renew", at: instant(clock), owner: "probe", leaseMs: LIMITS.leaseMs });
}

/** How long a session has been without a socket: 0 with one, for ever when it is over. */
function absentMs(session: Awaited<ReturnType<Sessions["find"]>>, clock: Clock): number {
  if (session === null || session.endedAt !== null) return Number.POSITIVE_INFINITY;
  return session.awayBy === null ? 0 : Math.max(clock.steadyMs() - session.awayBy, 1);
}

/** As hard as a crash: what `tokens` in chaos mode is for. */
function killProcess(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("killed");
}
