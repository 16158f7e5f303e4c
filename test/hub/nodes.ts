/** Nodes over shared stores, with sockets and time in the test's hand: what parts.ts wires, as far as rooms and other nodes matter. */
import type { Backplane } from "../../src/backplane/backplane.ts";
import type { Connection } from "../../src/hub/connection.ts";
import { createElsewhere } from "../../src/hub/elsewhere.ts";
import { createHub } from "../../src/hub/hub.ts";
import { createNeighbours } from "../../src/hub/neighbours.ts";
import { createReading } from "../../src/hub/reading.ts";
import { createRooms } from "../../src/hub/rooms/rooms.ts";
import { createFeed } from "../../src/jobs/feed.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import { createMemoryJobs, createMemoryJobTables } from "../../src/jobs/memory-tables.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import { createIds, type JobId, type SessionId } from "../../src/lib/ids.ts";
import { Refusal } from "../../src/protocol/error.ts";
import type { PresenceFrame } from "../../src/protocol/frames.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createMemoryRoomHistory } from "../../src/sessions/history/memory.ts";
import { createMemorySessionStore } from "../../src/sessions/memory.ts";
import { NO_SESSION_OUTAGE } from "../../src/sessions/outage.ts";
import { createRevocations } from "../../src/sessions/revocations.ts";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { rememberSessions } from "../../src/sessions/remembered.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import { createSessions } from "../../src/sessions/sessions.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";
import { createLossyNetwork, type LossyNetwork } from "./lossy-network.ts";
import { createFakeSocket, type FakeSocket } from "./fake-socket.ts";

export interface Shared {
  readonly network: LossyNetwork;
  readonly clock: ReturnType<typeof createVirtualClock>;
  /** The store of jobs as one more node has it. */
  readonly openJobs: () => JobStore;
  readonly sessions: ReturnType<typeof createMemorySessionStore>;
  readonly revocations: ReturnType<typeof createMemoryRevocationStore>;
  readonly history: ReturnType<typeof createMemoryRoomHistory>;
  /** Whether the sessions can be asked. */
  reach(reachable: boolean): void;
  /** How many turns of the loop the next answer takes. */
  latency: () => number;
}

/**
 * The same store, which can be out of reach, and takes as many turns of the loop as `latency` says. What was asked
 * happens at once, or not at all; answers come in the order of the questions.
 */
function createReachable(): Pick<Shared, "sessions" | "reach"> & { latency: () => number } {
  const store = createMemorySessionStore();
  let reachable = true;
  let answered: Promise<void> = Promise.resolve();
  let waiting = 0;
  const given = { latency: () => 0, reach: (now: boolean) => void (reachable = now) };
  const late = async (turns: number, before: Promise<void>): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    await before;
  };
  const ask = async (call: () => unknown): Promise<unknown> => {
    const answer = reachable
      ? Promise.resolve(call())
      : Promise.reject(new Refusal("storage_unavailable", "out of reach"));
    answer.catch(() => undefined);
    const turns = given.latency();
    if (turns > 0 || waiting > 0) {
      waiting += 1;
      answered = late(turns, answered);
      await answered;
      waiting -= 1;
    }
    return answer;
  };
  const calls = Object.entries(store).map(([name, call]) => [
    name,
    (...args: readonly unknown[]) => ask(() => (call as (...args: readonly unknown[]) => unknown)(...args)),
  ]);
  return Object.assign(given, { sessions: Object.fromEntries(calls) as Shared["sessions"] });
}

export function createShared(): Shared {
  const stored = createMemoryJobs();
  const tables = createMemoryJobTables(stored);
  return Object.assign(createReachable(), {
    network: createLossyNetwork(),
    clock: createVirtualClock(),
    openJobs: () => createMemoryJobStore(stored, tables),
    revocations: createMemoryRevocationStore(),
    history: createMemoryRoomHistory(),
  });
}

export interface Seat {
  readonly session: SessionRecord;
  readonly connection: Connection;
  readonly socket: FakeSocket;
}

/** One node: what parts.ts wires, as far as other nodes matter. */
export async function startNode(shared: Shared, nodeId: string) {
  const { clock } = shared;
  const jobs = shared.openJobs();
  const { logger, lines } = recordingLogger();
  const ids = createIds();
  const backplane: Backplane = shared.network.join({ nodeId, logger });
  const tokens = { issue: () => Promise.reject(new Error("no tokens here")) } as never;
  const times = { resumeMs: 60_000, tokenLifeMs: 60_000 };
  const sessions = createSessions({
    store: rememberSessions(shared.sessions, clock),
    tokens,
    clock,
    ids,
    logger,
    nodeId,
    userSessions: 0,
    roomsMax: 10,
    ...times,
  });
  const revocations = createRevocations(shared.revocations);
  const hub = createHub({
    store: jobs,
    clock,
    logger,
    pingMs: LIMITS.pingMs,
    pingTimeoutMs: LIMITS.pingTimeoutMs,
    queueBytes: LIMITS.queueBytes,
    attachments: LIMITS.attachments,
    onLeft: (id) => void sessions.left(id).catch(() => {}),
    issueToken: () => Promise.resolve(null),
    onGap: () => {},
  });
  const rules = [
    { pattern: "kept", history: 5 },
    { pattern: "kept-long", history: 100 },
  ];
  const more = {
    sessionOutage: NO_SESSION_OUTAGE,
    presenceGraceMs: 1000,
    roomHistory: shared.history,
    rules,
    keptMs: 60_000,
  };
  const rooms = createRooms({ hub, sessions, backplane, nodeId, clock, ids, logger, ...more });
  const feed = createFeed();
  const ready: string[] = [];
  const reading = createReading({ readers: [hub, feed], backplane, nodeId, clock });
  const elsewhere = createElsewhere({
    store: jobs,
    backplane,
    reading,
    hub,
    others: [feed],
    onReady: (type) => void ready.push(type),
    clock,
    logger,
  });
  const neighbours = createNeighbours({
    backplane,
    nodeId,
    hub,
    elsewhere,
    reading,
    rooms,
    sessions,
    revocations,
    clock,
    logger,
  });
  jobs.onCommitted((changes) => {
    hub.committed(changes);
    feed.committed(changes);
    neighbours.committed(changes);
  });
  sessions.onEnded((id) => hub.closeSession(id, "revoked"));
  await backplane.start();
  await rooms.start();
  elsewhere.start();

  /** Takes the seat; the welcome is yet to come. */
  const sitDown = (
    session: SessionRecord,
  ): Seat & { readonly welcome: (listed?: ReadonlySet<JobId>) => void } => {
    const socket = createFakeSocket();
    const connection = hub.add(socket);
    hub.seat(connection, session);
    const welcome = (listed: ReadonlySet<JobId> = new Set()): void => {
      hub.opened(connection, listed);
      rooms.opened(connection, session.rooms);
    };
    return { session, connection, socket, welcome };
  };
  const sit = (session: SessionRecord, listed?: ReadonlySet<JobId>): Seat => {
    const seat = sitDown(session);
    seat.welcome(listed);
    return seat;
  };
  const stop = async (): Promise<void> => {
    neighbours.stop();
    rooms.stop();
    await elsewhere.stop();
    await sessions.stop().catch(() => {});
    await backplane.stop();
  };
  return {
    /** As a start does: its sessions of before are without a socket, here and for the others. */
    async begin(): Promise<void> {
      await sessions.start();
      await neighbours.start();
    },
    stop,
    /** Its process is gone: nobody hears of it, and nothing is stored. */
    async crash(): Promise<void> {
      for (const id of hub.sessions()) {
        const connection = hub.connectionOf(id);
        if (connection !== null) connection.closed = true;
      }
      await stop();
    },
    backplane,
    sessions,
    revocations,
    jobs,
    hub,
    feed,
    elsewhere,
    /** Types of which a job may be ready, as other nodes told. */
    ready,
    rooms,
    neighbours,
    lines,
    sitDown,
    open: async (): Promise<Seat> => sit(await sessions.open(null, { connected: true })),
    resume: async (id: SessionId, listed?: ReadonlySet<JobId>): Promise<Seat> =>
      sit(await sessions.connected(id, null), listed),
    join: (seat: Seat, room: string, after?: string) =>
      rooms.join(seat.connection, { type: "join", room, ...(after === undefined ? {} : { after }) }),
  };
}

export async function twoNodes() {
  const shared = createShared();
  return { shared, here: await startNode(shared, "here"), there: await startNode(shared, "there") };
}

export const told = ({ socket }: Seat): PresenceFrame[] =>
  socket.frames().flatMap((frame) => (frame.type === "presence" ? [frame] : []));

export const heard = ({ socket }: Seat): unknown[] =>
  socket.frames().flatMap((frame) => (frame.type === "message" ? [frame.data] : []));

/** What a client makes of its presence frames: status by session. */
export function seen({ socket }: Seat, room: string): Record<string, string> {
  const members = new Map<string, string>();
  for (const frame of socket.frames()) {
    if (frame.type !== "presence" || frame.room !== room) continue;
    if (frame.whole === true) members.clear();
    for (const { sessionId, status } of [...frame.joined, ...frame.changed]) members.set(sessionId, status);
    for (const { sessionId } of frame.left) members.delete(sessionId);
  }
  return Object.fromEntries(members);
}

/** Lets signals, batches of presence and reads happen. */
export async function pass(shared: Shared, byMs: number = LIMITS.presenceBatchMostMs): Promise<void> {
  await settle();
  await shared.clock.advance(byMs);
  await settle();
}
