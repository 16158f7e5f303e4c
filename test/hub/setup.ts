/** A hub over the memory store, with sockets and time in the test's hand. */
import { createHub, type Hub, type HubOptions } from "../../src/hub/hub.ts";
import type { Connection } from "../../src/hub/connection.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import type { EventsQuery, JobStore } from "../../src/jobs/store.ts";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, SESSION, USER, type Drive } from "../conformance/drive.ts";
import { recordingLogger, type LogLine } from "../handlers/run-setup.ts";
import { createVirtualClock, type VirtualClock } from "../handlers/virtual-clock.ts";
import { createFakeSocket, type FakeSocket } from "./fake-socket.ts";

export interface Gap {
  readonly connection: Connection;
  readonly job: JobId;
  readonly cursor: number;
}

export interface Setup {
  readonly hub: Hub;
  readonly store: JobStore;
  readonly clock: VirtualClock;
  readonly on: Drive;
  readonly lines: LogLine[];
  /** Pages of the log that were read, in order. */
  readonly reads: { readonly id: JobId; readonly after: number }[];
  readonly gaps: Gap[];
  readonly left: SessionId[];
  /** While this is set, reads of the log wait for it. */
  gate: Promise<void> | null;
  /** A seated connection that has had its welcome. */
  readonly seated: (sessionId?: SessionId, userId?: UserId) => { connection: Connection; socket: FakeSocket };
  /** Follows a job as an `attach` that was answered does. */
  readonly follow: (connection: Connection, job: JobId, after?: number) => Promise<void>;
}

export function createSetup(options: Partial<HubOptions> = {}): Setup {
  const clock = createVirtualClock();
  const memory = createMemoryJobStore();
  const { logger, lines } = recordingLogger();
  const reads: { id: JobId; after: number }[] = [];
  const gaps: Gap[] = [];
  const left: SessionId[] = [];
  const store: JobStore = {
    ...memory,
    async events(id: JobId, query: EventsQuery) {
      reads.push({ id, after: query.after });
      // What a page holds is settled when its reading begins; when it arrives is another matter.
      const page = await memory.events(id, query);
      await setup.gate;
      return page;
    },
  };
  const hub = createHub({
    store,
    clock,
    logger,
    pingMs: 25_000,
    pingTimeoutMs: 10_000,
    queueBytes: LIMITS.queueBytes,
    attachments: LIMITS.attachments,
    onLeft: (id) => void left.push(id),
    issueToken: () => Promise.resolve(null),
    onGap: (connection, job, cursor) => void gaps.push({ connection, job, cursor }),
    ...options,
  });
  store.onCommitted((changes) => hub.committed(changes));
  const setup: Setup = {
    hub,
    store,
    clock,
    on: drive(memory, clock),
    lines,
    reads,
    gaps,
    left,
    gate: null,
    seated(sessionId = SESSION, userId = USER) {
      const socket = createFakeSocket();
      const connection = hub.add(socket);
      hub.seat(connection, { id: sessionId, userId });
      hub.opened(connection, new Set());
      return { connection, socket };
    },
    async follow(connection, job, after = 0) {
      const attachment = hub.follow(connection, job);
      if (attachment === null) throw new Error("no place is left");
      const head = (await memory.find(job))?.head ?? 0;
      connection.attach(job, after, head);
      connection.wake();
    },
  };
  return setup;
}
