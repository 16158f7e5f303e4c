/**
 * The other nodes of this installation: tells them what changed here, and acts on what they say, by what the stores say
 * (the rules are the backplane's: src/backplane/backplane.ts).
 */
import type { Audience, Backplane, Recipients, Signal } from "../backplane/backplane.ts";
import { isOnlyGrowth, type Change, type JobSummary } from "../jobs/job.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { JobId, SessionId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { slices } from "../lib/slices.ts";
import type { MessageFrame } from "../protocol/frames.ts";
import { LIMITS } from "../protocol/limits.ts";
import { isSessionRevoked, type Revocations } from "../sessions/revocations.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { Hub } from "./hub.ts";
import { createReadingNodes } from "./reading-nodes.ts";
import type { Reading } from "./reading.ts";
import type { Rooms } from "./rooms/rooms.ts";

export interface NeighboursOptions {
  readonly backplane: Backplane;
  readonly nodeId: string;
  readonly hub: Pick<Hub, "connectionOf" | "closeSession" | "sessions" | "push">;
  readonly elsewhere: Pick<Elsewhere, "heard" | "missed">;
  readonly reading: Pick<Reading, "found">;
  readonly rooms: Pick<Rooms, "lookUp" | "handOn" | "look" | "isSomewhere">;
  readonly sessions: Pick<Sessions, "find" | "abandoned" | "onChanged" | "onEnded" | "onExpired">;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Neighbours {
  /** Changes that were committed here. */
  committed(changes: readonly Change[]): void;
  /** Hands a frame that nobody keeps to the audience, on every node; how many connections of this one took it. */
  push(audience: Audience, frame: MessageFrame): number;
  /** Learns what was revoked, and closes the sockets that it hits. */
  readonly lookAtRevocations: () => Promise<void>;
  /** Looks at everything that may have changed without anybody having said so here, until that succeeds. */
  readonly lookAtEverything: () => void;
  /** Sessions were written down again as they were known here: whoever looked before found something else. */
  readonly restored: (ids: readonly SessionId[]) => void;
  /** Whoever sat here before has no socket any more: the others are told. Rejects as the store does. */
  start(): Promise<void>;
  stop(): void;
}

export function createNeighbours(options: NeighboursOptions): Neighbours {
  const { backplane, nodeId, hub, elsewhere, reading, rooms, sessions, revocations, clock, logger } = options;

  const tell = (signal: Signal, to?: Recipients): void => {
    if (!backplane.alone) backplane.publish(signal, to);
  };
  const readingNodes = createReadingNodes({ tell, clock });
  const tellOf = (ids: readonly SessionId[]): void => {
    for (const id of ids) tell({ kind: "session", id });
  };
  sessions.onChanged(({ id }) => tellOf([id]));
  sessions.onEnded((id) => tellOf([id]));
  sessions.onExpired(tellOf);
  revocations.onRevoked(() => tell({ kind: "revocations" }));

  let telling: Promise<void> = Promise.resolve();
  /** To where the session's socket is; one behind the other, though the nodes are looked up side by side. */
  const tellItsNode = (id: SessionId, signal: Signal): void => {
    const found = sessions.find(id).then(
      (session) => (session === null || session.connectedAt === null ? null : { node: session.nodeId }),
      () => "all" as const,
    );
    telling = telling.then(async () => {
      const to = await found;
      if (to !== null) tell(signal, to);
    });
  };

  /** What became of a session elsewhere. */
  const lookAtSession = async (id: SessionId): Promise<void> => {
    const connection = hub.connectionOf(id);
    // Until it is welcomed the store may say that it sits where it sat before.
    await connection?.untilOpened();
    const session = await rooms.lookUp(id);
    if (session === null || session.endedAt !== null) {
      hub.closeSession(id, session === null ? "session_gone" : "revoked");
      return;
    }
    // Its client sits on another node now; who sat down here meanwhile came later than what was read.
    if (session.nodeId !== nodeId && hub.connectionOf(id) === connection) hub.closeSession(id, "replaced");
  };

  /** The session ends on the node that revoked; its socket is here. */
  const lookAtRevocations = async (): Promise<void> => {
    await revocations.load();
    for (const id of hub.sessions()) {
      const session = await sessions.find(id);
      if (session !== null && isSessionRevoked(revocations, session)) hub.closeSession(id, "revoked");
    }
  };

  let wanted = false;
  let looking = false;
  /** What was said or missed could not be looked at, which was told. */
  let failing = false;
  let again: Timer | null = null;
  const lookAtEverything = (): void => {
    wanted = true;
    void elsewhere.missed();
    if (!looking) void lookUntilDone();
  };
  const everything = async (): Promise<void> => {
    await lookAtRevocations();
    for (const some of slices(hub.sessions(), LIMITS.lookSessions))
      await Promise.all(some.map(lookAtSession));
    await rooms.look();
  };
  /** One look at a time. What could not be read now is read later: nobody would say it a second time. */
  const lookUntilDone = async (): Promise<void> => {
    looking = true;
    again?.cancel();
    again = null;
    try {
      while (wanted) {
        wanted = false;
        await everything();
      }
      failing = false;
    } catch (error) {
      if (!failing) logger.warn({ error }, "what was missed could not be looked at; it is tried each second");
      failing = true;
      if (!stopped) again = clock.after(LIMITS.lookAgainMs, lookAtEverything);
    } finally {
      looking = false;
    }
  };
  let stopped = false;

  const act = async (signal: Signal): Promise<void> => {
    switch (signal.kind) {
      case "jobs":
        elsewhere.heard(signal.jobs);
        return;
      case "reading":
        readingNodes.read(signal.node, signal.jobs);
        return;
      case "session":
        return lookAtSession(signal.id);
      case "revocations":
        return lookAtRevocations();
      case "push":
        hub.push(signal.audience, signal.frame);
        return;
      case "message":
        return rooms.handOn(signal.room, signal.frame, signal.place);
    }
  };

  backplane.onSignal((signal) => {
    act(signal).catch((error: unknown) => {
      if (stopped) return;
      // Of a store that is out of reach it is told once: everything is looked at when it is back.
      if (!failing)
        logger.warn({ error, signal: signal.kind }, "what another node said could not be looked at");
      // A message is said once; whatever else was meant stands in the store.
      if (signal.kind === "message") return;
      failing = true;
      again ??= clock.after(LIMITS.lookAgainMs, lookAtEverything);
    });
  });
  backplane.onLost(() => {
    readingNodes.missed();
    lookAtEverything();
  });

  return {
    lookAtRevocations,
    lookAtEverything,
    restored: (ids) => tellOf(ids.filter(rooms.isSomewhere)),

    async start() {
      if (!backplane.alone) await sessions.abandoned(nodeId);
    },

    stop() {
      stopped = true;
      again?.cancel();
      again = null;
    },

    committed(changes) {
      if (backplane.alone) return;
      // What one commit did to a job is told as one: to all if it became anything, else to those who read its log.
      const [moved, grown] = [new Map<JobId, JobSummary>(), new Map<JobId, JobSummary>()];
      for (const change of changes) {
        const { job } = change;
        if (!moved.has(job.id) && isOnlyGrowth(change)) {
          grown.set(job.id, job);
          continue;
        }
        grown.delete(job.id);
        moved.set(job.id, job);
      }
      if (moved.size > 0) tell({ kind: "jobs", jobs: [...moved.values()] });
      for (const { id, status } of moved.values()) if (status === "running") readingNodes.started(id);
      readingNodes.grew([...grown.values()]);
      // A run of a worker has its calls at any node, wherever it began.
      reading.found(moved.values());
    },

    push(audience, frame) {
      const taken = hub.push(audience, frame);
      if (backplane.alone) return taken;
      const signal: Signal = { kind: "push", audience, frame };
      if (audience.to !== "session") tell(signal);
      else if (taken === 0) tellItsNode(audience.sessionId, signal);
      return taken;
    },
  };
}
