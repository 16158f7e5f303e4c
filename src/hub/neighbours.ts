/**
 * The other nodes of this installation: tells them what changed here, and acts on what they say, by what the stores say
 * (the rules are the backplane's: src/backplane/backplane.ts).
 */
import type { Audience, Backplane, Recipients, Signal } from "../backplane/backplane.ts";
import type { Change } from "../jobs/job.ts";
import type { SessionId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import type { MessageFrame } from "../protocol/frames.ts";
import { isSessionRevoked, type Revocations } from "../sessions/revocations.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { Hub } from "./hub.ts";
import type { Rooms } from "./rooms/rooms.ts";

export interface NeighboursOptions {
  readonly backplane: Backplane;
  readonly nodeId: string;
  readonly hub: Pick<Hub, "connectionOf" | "closeSession" | "sessions" | "push">;
  readonly elsewhere: Pick<Elsewhere, "heard" | "missed">;
  readonly rooms: Pick<Rooms, "learn" | "forget" | "handOn" | "start">;
  readonly sessions: Pick<Sessions, "find" | "findChanged" | "onChanged" | "onEnded" | "onExpired">;
  readonly revocations: Revocations;
  readonly logger: Logger;
}

export interface Neighbours {
  /** Changes that were committed here. */
  committed(changes: readonly Change[]): void;
  /** Hands a frame that nobody keeps to the audience, on every node; how many connections of this one took it. */
  push(audience: Audience, frame: MessageFrame): number;
  /** Learns what was revoked, and closes the sockets that it hits. */
  readonly lookAtRevocations: () => Promise<void>;
  /** Looks at everything that may have changed without anybody having said so here. */
  readonly lookAtEverything: () => void;
}

export function createNeighbours(options: NeighboursOptions): Neighbours {
  const { backplane, nodeId, hub, elsewhere, rooms, sessions, revocations, logger } = options;

  const tell = (signal: Signal, to?: Recipients): void => {
    if (!backplane.alone) backplane.publish(signal, to);
  };
  sessions.onChanged(({ id }) => tell({ kind: "session", id }));
  sessions.onEnded((id) => tell({ kind: "session", id }));
  sessions.onExpired((ids) => {
    for (const id of ids) tell({ kind: "session", id });
  });
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
    const session = await sessions.findChanged(id);
    if (session === null || session.endedAt !== null) {
      rooms.forget(id);
      hub.closeSession(id, session === null ? "session_gone" : "revoked");
      return;
    }
    rooms.learn(session);
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

  const act = async (signal: Signal): Promise<void> => {
    switch (signal.kind) {
      case "jobs":
        elsewhere.heard(signal.jobs);
        return;
      case "session":
        return lookAtSession(signal.id);
      case "revocations":
        return lookAtRevocations();
      case "push":
        hub.push(signal.audience, signal.frame);
        return;
      case "message":
        rooms.handOn(signal.room, signal.frame, signal.num);
    }
  };

  backplane.onSignal((signal) => {
    act(signal).catch((error: unknown) =>
      logger.warn({ error, signal: signal.kind }, "what another node said could not be looked at"),
    );
  });
  const lookAtEverything = (): void => {
    void elsewhere.missed();
    const everything = async (): Promise<void> => {
      await lookAtRevocations();
      for (const id of hub.sessions()) await lookAtSession(id);
      await rooms.start();
    };
    everything().catch((error: unknown) => logger.warn({ error }, "what was missed could not be looked at"));
  };
  backplane.onLost(lookAtEverything);

  return {
    lookAtRevocations,
    lookAtEverything,

    committed(changes) {
      if (backplane.alone) return;
      // What one commit did to a job is told as one.
      const jobs = new Map(changes.map(({ job }) => [job.id, job]));
      tell({ kind: "jobs", jobs: [...jobs.values()] });
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
