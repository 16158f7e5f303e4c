/** Wires the places where requests and sockets come in: the outer half of app.ts. */
import type { Server } from "bun";
import packageJson from "../package.json" with { type: "json" };
import type { Config } from "./config.ts";
import { createRequests } from "./hub/requests.ts";
import { createAddresses } from "./http/address.ts";
import { createAssets } from "./http/assets.ts";
import { createDocuments } from "./http/documents/documents.ts";
import type { AdminServices } from "./http/call.ts";
import { createGuard } from "./http/guard.ts";
import { createHttp, type HttpHandler } from "./http/http.ts";
import { listenOptions, listenProblem } from "./http/listening.ts";
import { createOperator } from "./http/operator.ts";
import { createRates, type Rates } from "./http/rates.ts";
import { createSubmitter, type Submitter } from "./http/submit.ts";
import type { JobStore } from "./jobs/store.ts";
import { instant, type Clock } from "./lib/clock.ts";
import { toNodeObject } from "./nodes/node-object.ts";
import { loadPages } from "./pages.ts";
import { LIMITS } from "./protocol/limits.ts";
import type { PublishedLimits } from "./protocol/sessions.ts";
import { webhookProblem } from "./webhooks/target.ts";
import { createProbe } from "./telemetry/probe.ts";
import { createRefresh } from "./ws/refresh.ts";
import { createSockets, type SocketData, type Sockets } from "./ws/sockets.ts";
import type { Base, Parts } from "./parts.ts";

/** The shortest time limit possible: the runtime counts in whole seconds. */
const GIVE_UP_SECONDS = 1;

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

/** What `/v1/admin` reaches into. */
function createAdmin(base: Base, parts: Parts, submitter: Submitter): AdminServices {
  const { clock, logger, askDrain } = base;
  const { nodes, storage, access, neighbours, remote } = parts;
  return {
    operator: createOperator({
      ...storage,
      schedules: base.config.schedules,
      submitter,
      revocations: access.revocations,
      endSession: (id) => access.sessions.end(id),
      clock,
    }),
    nodes: async () => (await nodes.list()).map((node) => toNodeObject(node, clock)),
    workers: () => remote.workers(),
    push: (audience, frame) => neighbours.push(audience, frame),
    drain() {
      logger.info({}, "an operator asked the server to drain");
      askDrain();
    },
  };
}

/** The WebSocket edge: what clients may ask for over a socket, and how often. */
function openSockets(base: Base, parts: Parts, rates: Rates, { recovered, refusing }: Stage): Sockets {
  const { config, clock, logger } = base;
  const { nodeId, storage, access, hub, rooms } = parts;
  const { sessions, gate } = access;
  const store = storage.jobs;
  const refresh = createRefresh({ gate, sessions, hub, rooms });
  const requests = createRequests({ ...config, hub, rooms, store, clock, logger, refresh });
  return createSockets({
    hub,
    rooms,
    requests,
    sessions,
    gate,
    rates,
    store,
    clock,
    random: base.random,
    logger,
    nodeId,
    withoutStorage: () => parts.nodes.cutOff || !recovered(),
    limits: publishedLimits(config),
    heartbeat: { pingMs: config.pingMs, timeoutMs: config.pingTimeoutMs },
    refusing,
  });
}

async function scrape(parts: Parts): Promise<string> {
  const { nodeId, telemetry, nodes, hub, rooms, scheduler, remote, storage, backplane } = parts;
  // While their store is out of reach nobody can say how many there are; everything else can be said.
  const count = storage.sessions.count().catch((error: unknown) => {
    if (storage.sessionOutage.away) return null;
    throw error;
  });
  const [waiting, sessions] = await Promise.all([storage.jobs.waiting(), count]);
  return telemetry.render({
    node: nodeId,
    waiting,
    sessions,
    nodes: nodes.states,
    sessionOutage: storage.sessionOutage,
    mendedMembers: rooms.mended,
    connections: hub.size,
    runs: scheduler.running,
    abandoned: scheduler.abandoned,
    workers: remote.counts,
    disk: storage.disk.reading,
    backplane,
  });
}

/** Accepts jobs. The scheduler is woken before the commit, so that its claim lands in the same one. */
function openSubmitter(base: Base, parts: Parts): Submitter {
  const { config, clock, ids } = base;
  const { storage, registry, onSubmit, targets } = parts;
  return createSubmitter({
    ...config,
    store: storage.jobs,
    registry,
    clock,
    ids,
    webhookProblem: (url) => webhookProblem(targets, url),
    onSubmit,
  });
}

/** As `base.serve`. Throws as `listenProblem` says. */
function serveOrSay({ config, serve }: Base, options: Parameters<Base["serve"]>[0]): Server<SocketData> {
  try {
    return serve(options);
  } catch (error) {
    throw listenProblem(error, config);
  }
}

/** How far the server has come in its start, or in its stop. */
export interface Stage {
  /**
   * The sessions of the previous process have been recovered. A socket accepted earlier would be taken for one of that
   * process, and its session would be marked as left.
   */
  readonly recovered: () => boolean;
  /** It is about to leave: no longer ready, and connections are not kept open for another request. */
  readonly draining: () => boolean;
  /** Neither new work nor sockets are accepted: there is no other node to serve them. */
  readonly refusing: () => boolean;
  /** Connections are about to be closed. */
  readonly closing: AbortSignal;
}

/** Starts to listen; requests are answered from here on. Throws if the address is taken. */
export function listen(base: Base, parts: Parts, stage: Stage): Server<SocketData> {
  const { config, clock, logger, ids } = base;
  const { telemetry, storage, access, feed, rooms, registry, remote } = parts;
  const store = storage.jobs;
  const { sessions, gate } = access;
  const limits = publishedLimits(config);
  const { bodyBytes } = config;
  // Called while a request is being answered, when `server` exists.
  const peerOf = (request: Request): string | null => server.requestIP(request)?.address ?? null;
  const rates = createRates({ ...config, clock, addressOf: createAddresses({ ...config, peerOf }) });
  const sockets = openSockets(base, parts, rates, stage);
  // Nothing arrives before this function has returned, and by then it has its real value.
  let answer: HttpHandler = () => Promise.reject(new Error("not listening yet"));
  const server = serveOrSay(base, {
    ...listenOptions(config),
    websocket: sockets.handlers,
    fetch: (request) => answer(request),
  });
  const port = server.port ?? config.port;
  parts.listensAt.url = server.url.origin;
  const guard = createGuard({ ...config, openAnywhere: config.auth === "open", port });
  const submitter = openSubmitter(base, parts);
  const services = {
    store,
    feed,
    rooms,
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
    jobBytes: config.jobBytes,
    remote,
    random: base.random,
    ...stage,
    cutOff: () => parts.nodes.cutOff,
    admin: createAdmin(base, parts, submitter),
  };
  answer = createHttp({
    ...services,
    guard,
    openMode: config.openMode,
    role: config.role,
    requests: telemetry.requests,
    scrape: () => scrape(parts),
    storageWrites: createProbe({ ...STORAGE_PROBE, clock, ask: () => writeNothing(store, clock) }),
    streamed: (entries, bytes) => telemetry.deliveries.streamed(entries, bytes),
    diskLevel: () => storage.disk.reading.level,
    hearsOthers: () => parts.backplane.healthy,
    documents: createDocuments({ ...config, version: packageJson.version }),
    asset: createAssets(loadPages),
    upgrade: (request, origin, traceId) => sockets.upgrade(request, server, { origin, traceId }),
    // A stream may be quiet for longer than any answer may take.
    keepOpen: (request) => server.timeout(request, 0),
    // Closing the stream would wait for its reader; a time limit ends the connection.
    giveUp: (request) => server.timeout(request, GIVE_UP_SECONDS),
  });
  return server;
}

/** How long the storage may take to confirm a write before the server counts as not ready, and how long the answer is kept. */
const STORAGE_PROBE = { deadlineMs: 1000, freshMs: 1000 } as const;

/** Takes the path of every write and changes nothing: nobody holds a lease under this name. */
function writeNothing(store: JobStore, clock: Clock): Promise<unknown> {
  return store.execute({ op: "renew", at: instant(clock), owner: "probe", leaseMs: LIMITS.leaseMs });
}
