/**
 * Wires everything that works before the first request: the inner half of app.ts. A part that takes several settings or
 * stores is handed all of them (`...config`, `...storage`); its options type says which of them it reads.
 */
import packageJson from "../package.json" with { type: "json" };
import { openAccess, type Access } from "./access.ts";
import type { Backplane } from "./backplane/backplane.ts";
import { countedStorage } from "./counted.ts";
import type { Builtin } from "./handlers/builtin.ts";
import type { HandlerFiles } from "./handlers/files/files.ts";
import { createLoopWatch, type LoopWatch } from "./handlers/loop-watch.ts";
import type { Registry } from "./handlers/registry.ts";
import { createRemote, type Remote } from "./handlers/remote/remote.ts";
import { createScheduler, type Scheduler } from "./handlers/scheduler.ts";
import { attach } from "./hub/attach.ts";
import { createElsewhere, type Elsewhere } from "./hub/elsewhere.ts";
import { createHub, type Hub } from "./hub/hub.ts";
import { has } from "./nodes/roles.ts";
import { createNodes, type Nodes } from "./nodes/nodes.ts";
import { createNeighbours, type Neighbours } from "./hub/neighbours.ts";
import { createReading, type Reading } from "./hub/reading.ts";
import { createRevocationWatch, type RevocationWatch } from "./hub/revocation-watch.ts";
import { createRooms, type Rooms } from "./hub/rooms/rooms.ts";
import { createTicker, type Ticker } from "./handlers/ticker.ts";
import { createFeed, type Feed } from "./jobs/feed.ts";
import { createOrphans, type Orphans } from "./jobs/orphans.ts";
import { createRetention, type Retention } from "./jobs/retention.ts";
import { openHandlerFiles, openJobTypes, type TypeSources } from "./offered.ts";
import type { JobStore } from "./jobs/store.ts";
import type { Clock } from "./lib/clock.ts";
import type { SessionId } from "./lib/ids.ts";
import { Refusal } from "./protocol/error.ts";
import type { SessionRecord } from "./sessions/session.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Storage } from "./storage/contract.ts";
import { createTelemetry, type Telemetry } from "./telemetry/telemetry.ts";
import { createSender } from "./webhooks/send.ts";
import type { Targets } from "./webhooks/target.ts";
import { createWebhooks, type Webhooks } from "./webhooks/webhooks.ts";
import type { World } from "./world.ts";

/** What all parts are made from. */
export interface Base extends World, TypeSources {
  readonly askDrain: () => void;
}

function createSeats(
  { config, clock, logger }: Base,
  { storage, sessions, telemetry }: Pick<Parts, "storage" | "telemetry"> & { readonly sessions: Sessions },
): Hub {
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
        if (error instanceof Refusal) connection.letGo(job, error);
        else connection.close("internal");
      });
    },
    through: (socket) => telemetry.deliveries.counted(socket),
  });
  return hub;
}

/** Everything that works before the first request, in the order in which it starts. */
export interface Parts {
  readonly nodeId: string;
  readonly nodes: Nodes;
  /** Where this node listens, as soon as that is known. */
  readonly listensAt: { url: string };
  readonly telemetry: Telemetry;
  readonly storage: Storage;
  readonly access: Access;
  readonly backplane: Backplane;
  readonly feed: Feed;
  readonly hub: Hub;
  readonly rooms: Rooms;
  readonly elsewhere: Elsewhere;
  readonly neighbours: Neighbours;
  readonly revocationWatch: RevocationWatch;
  readonly registry: Registry;
  /** null without a folder of handlers. */
  readonly handlerFiles: HandlerFiles | null;
  readonly scheduler: Scheduler;
  readonly remote: Remote;
  readonly ticker: Ticker;
  /** A job of this type is about to be stored: wakes whoever runs such jobs, so that the claim lands in the same commit. */
  readonly onSubmit: (type: string) => void;
  readonly orphans: Orphans;
  readonly retention: Retention;
  readonly builtin: Builtin;
  readonly loopWatch: LoopWatch;
  /** Where webhooks may go, and who sends them. */
  readonly targets: Targets;
  readonly webhooks: Webhooks;
}

/** Opens the storage and puts the parts together; nothing runs yet. Rejects if something cannot be opened. */
export async function wire(base: Base): Promise<Parts> {
  const telemetry = createTelemetry({ clock: base.clock, version: packageJson.version });
  const storage = countedStorage(await base.openStorage(base.config, base.logger), telemetry);
  try {
    return await assemble(base, telemetry, storage);
  } catch (error) {
    // Such as a type whose webhook is not allowed: the data folder is free again for the next attempt in this process.
    await storage.stop();
    throw error;
  }
}

async function assemble(base: Base, telemetry: Telemetry, storage: Storage): Promise<Parts> {
  const { config, logger, clock, ids } = base;
  const store = storage.jobs;
  const nodeId = base.nodeId(config);
  const tokens = await base.openTokens({ ...base, ...storage });
  const access = await openAccess({ ...base, ...storage, tokens, nodeId });
  const { sessions } = access;
  const bootId = ids.any();
  const backplane = await base.openBackplane({ ...base, ...config, ...storage, nodeId, bootId });
  const feed = createFeed();
  const hub = createSeats(base, { storage, sessions, telemetry });
  const rooms = createRooms({
    ...config,
    ...storage,
    rules: config.rooms,
    keptMs: config.eventsRetentionMs,
    hub,
    sessions,
    backplane,
    nodeId,
    clock,
    ids,
    logger,
  });
  const types = openJobTypes(base);
  const { builtin, registry, targets } = types;
  const webhooks = openWebhooks(base, store, targets);
  const runsJobs = has(config.role, "jobs");
  const scheduler = createScheduler({ ...base, ...config, store, registry, nodeId, bootId, runsJobs });
  const node = { id: nodeId, bootId };
  const { nodes, listensAt } = openNodes(base, node, { storage, sessions, backplane, hub, scheduler });
  // Jobs of a type that was not served until now may already be waiting.
  const handlerFiles = openHandlerFiles(base, types, () => scheduler.wake());
  const remote = createRemote({ ...config, store, registry, clock, ids, logger });
  const onSubmit = (type: string): void => (remote.serves(type) ? remote.wake(type) : scheduler.wake());
  const waiting = { store, backplane, hub, feed, scheduler, remote, registry, onSubmit };
  const { elsewhere, reading } = openElsewhere(base, nodeId, waiting);
  const told = { hub, elsewhere, reading, rooms };
  const neighbours = createNeighbours({ ...access, ...told, backplane, nodeId, clock, logger });
  const revocationWatch = openRevocationWatch(base, { storage, backplane, neighbours });
  const ticker = createTicker({ ...config, store, registry, clock, ids, logger, onSubmit });
  const absent = async (id: SessionId): Promise<number> => absentMs(await findOrUnknown(sessions, id), clock);
  const orphans = createOrphans({ store, clock, logger, absentMs: absent });
  const retention = createRetention({ ...config, store, clock, logger });

  store.onCommitted((changes) => {
    telemetry.jobs.committed(changes);
    hub.committed(changes);
    feed.committed(changes);
    scheduler.committed(changes);
    neighbours.committed(changes);
    remote.committed(changes);
  });
  sessions.onEnded((id) => {
    telemetry.sessionLoggedOut();
    hub.closeSession(id, "revoked");
    orphans
      .loggedOut(id)
      .catch((error: unknown) => logger.warn({ error }, "jobs of a log-out were not canceled"));
  });
  const loopWatch = createLoopWatch({ clock, logger, takeRunTypes: () => scheduler.takeRunTypes() });
  const work = {
    onSubmit,
    ticker,
    registry,
    handlerFiles,
    scheduler,
    remote,
    orphans,
    retention,
    builtin,
    loopWatch,
    targets,
    webhooks,
  };
  const delivery = { backplane, feed, hub, elsewhere, rooms, neighbours, revocationWatch };
  return { nodeId, nodes, listensAt, telemetry, storage, access, ...delivery, ...work };
}

/** This node among the others. */
function openNodes(
  base: Base,
  node: { readonly id: string; readonly bootId: string },
  {
    storage,
    sessions,
    backplane,
    hub,
    scheduler,
  }: Pick<Parts, "storage" | "backplane" | "hub" | "scheduler"> & { readonly sessions: Sessions },
): Pick<Parts, "nodes" | "listensAt"> {
  const { config } = base;
  const listensAt = { url: `http://${config.host}:${config.port}` };
  const nodes = createNodes({
    ...base,
    store: storage.nodes,
    jobs: storage.jobs,
    sessions,
    sessionOutage: storage.sessionOutage,
    maxLostLeases: config.maxLostLeases,
    several: config.redisUrl !== null,
    expect: (ids) => backplane.expect(ids),
    node: { ...node, version: packageJson.version, host: base.hostName, role: config.role },
    url: () => listensAt.url,
    counts: () => ({ sockets: hub.size, runs: scheduler.running }),
    sendAway: () => void hub.sendAway(),
    disown: (bootId) => scheduler.disown(bootId),
  });
  storage.onBatch(({ commands, refused }) => (refused < commands ? nodes.answered() : undefined));
  return { nodes, listensAt };
}

/** What other nodes do to jobs that somebody here waits for. */
function openElsewhere(
  { clock, logger }: Base,
  nodeId: string,
  given: Pick<Parts, "backplane" | "hub" | "feed" | "scheduler" | "remote" | "registry" | "onSubmit"> & {
    readonly store: JobStore;
  },
): { readonly elsewhere: Elsewhere; readonly reading: Reading } {
  const { backplane, hub, feed, scheduler, remote, registry, onSubmit } = given;
  const onReady = (type: string): void => (registry.find(type) === null ? undefined : onSubmit(type));
  const reading = createReading({ readers: [hub, feed], backplane, nodeId, clock });
  const others = [feed, scheduler, remote.leases];
  return { elsewhere: createElsewhere({ ...given, reading, others, onReady, clock, logger }), reading };
}

/** Reads revocations while hints of them cannot be relied on; after an outage of the sessions everything is looked at. */
function openRevocationWatch(
  { clock, logger }: Base,
  { storage, backplane, neighbours }: Pick<Parts, "storage" | "backplane" | "neighbours">,
): RevocationWatch {
  const { sessionOutage } = storage;
  sessionOutage.onReturned((written) => {
    neighbours.restored(written);
    neighbours.lookAtEverything();
  });
  return createRevocationWatch({
    clock,
    logger,
    isTold: () => !sessionOutage.away && (backplane.alone || backplane.healthy),
    look: neighbours.lookAtRevocations,
  });
}

/** Who sends the webhooks of users. */
function openWebhooks(
  { config, clock, logger, wire: network }: Base,
  store: JobStore,
  targets: Targets,
): Webhooks {
  const userAgent = `holdline/${packageJson.version}`;
  const send = createSender({ targets, secrets: config.webhookSecrets, userAgent, wire: network });
  return createWebhooks({ store, clock, logger, send });
}

/** "unknown": nobody can say now. */
function findOrUnknown(sessions: Sessions, id: SessionId): Promise<SessionRecord | null | "unknown"> {
  return sessions.find(id).catch((error: unknown) => {
    if (error instanceof Refusal && error.code === "storage_unavailable") return "unknown";
    throw error;
  });
}

/** How long a session has been without a socket: 0 with one, or when nobody can say; for ever when it is over. */
function absentMs(session: SessionRecord | null | "unknown", clock: Clock): number {
  if (session === "unknown") return 0;
  if (session === null || session.endedAt !== null) return Number.POSITIVE_INFINITY;
  return session.awayBy === null ? 0 : Math.max(clock.steadyMs() - session.awayBy, 1);
}
