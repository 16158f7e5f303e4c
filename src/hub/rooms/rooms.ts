/**
 * Rooms: who may come in and speak, and handing what is said to the members on this node (PROTOCOL sections 3 and 5).
 *
 * Membership is part of the session and lives in the store; what is decided here is decided by what stands there. A
 * message is handed on once, to the sockets that are open at that moment, in the same order to all of them.
 */
import type { Backplane } from "../../backplane/backplane.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Ids, SessionId } from "../../lib/ids.ts";
import type { Logger } from "../../lib/logger.ts";
import { Refusal } from "../../protocol/error.ts";
import type { Json } from "../../protocol/events.ts";
import type { ClientFrame, MessageFrame } from "../../protocol/frames.ts";
import type { PresenceObject } from "../../protocol/rooms.ts";
import type { ChosenPresence } from "../../protocol/sessions.ts";
import type { SessionRecord } from "../../sessions/session.ts";
import type { Place, RoomHistory } from "../../sessions/history/history.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Connection } from "../connection.ts";
import type { Hub } from "../hub.ts";
import { createAntiEntropy } from "./anti-entropy.ts";
import { createListening } from "./listening.ts";
import { createKeeping, type RoomRule } from "./history.ts";
import { createMembers, type MembersOptions } from "./members.ts";
import { createPresence } from "./presence.ts";
import { createRoster } from "./roster.ts";
import { createSpeakers } from "./speakers.ts";
import { createTails } from "./tails.ts";

export interface RoomsOptions {
  readonly hub: Pick<Hub, "connectionOf">;
  readonly sessions: Pick<
    Sessions,
    | "find"
    | "findChanged"
    | "enterRoom"
    | "leaveRoom"
    | "choosePresence"
    | "inRooms"
    | "onChanged"
    | "onEnded"
    | "onExpired"
  >;
  readonly backplane: Backplane;
  readonly nodeId: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly sessionOutage: MembersOptions["sessionOutage"];
  /** How long a member may be without a socket before that shows. */
  readonly presenceGraceMs: number;
  readonly roomHistory: RoomHistory;
  readonly rules: readonly RoomRule[];
  /** How long a message is kept at most. */
  readonly keptMs: number;
  readonly logger: Logger;
}

/** Something to be said in a room, by a member or (null) by a program of the operator. */
export interface Saying {
  readonly room: string;
  readonly data: Json;
  readonly from: MessageFrame["from"];
}

export interface Said {
  readonly id: string;
  /** Connections of this node that it was handed to. */
  readonly delivered: number;
}

export type JoinFrame = Extract<ClientFrame, { type: "join" }>;

export interface Rooms {
  /**
   * Becomes a member; its client is told who is there, and with `after` what was said since. Resolves when it hears the
   * room live. Rejects with `forbidden`, `rate_limited`, `session_gone`.
   */
  join(connection: Connection, frame: JoinFrame): Promise<void>;
  /** Is a member no longer, if it was one. */
  leave(connection: Connection, room: string): Promise<void>;
  /** Rejects with `not_found` when it is no member, whether or not there is such a room. */
  say(connection: Connection, room: string, data: Json): Promise<void>;
  choose(connection: Connection, status: ChosenPresence): Promise<void>;
  /** Hands it to the members, stored before where the room keeps what is said. */
  publish(saying: Saying): Promise<Said>;
  /** Learns what the store says of a session by now, and gives it; null when it is over. Rejects as the store does. */
  lookUp(id: SessionId): Promise<SessionRecord | null>;
  /**
   * What was said on another node, if its speaker is a member: one that is not known as such is looked up, and what it
   * says meanwhile waits. Rejects as the store does.
   */
  handOn(room: string, frame: MessageFrame, place: Place | null): Promise<void>;
  /** Whether the session is in any room, as far as is known here. */
  isSomewhere(id: SessionId): boolean;
  /** Whether the session is a member, by what the store says. */
  isMember(id: SessionId, room: string): Promise<boolean>;
  /** Everybody in the room, as they are seen now. */
  list(room: string): PresenceObject;
  /** Resolves when what is said in these rooms of somebody here is heard, or cannot be for now. */
  heard(rooms: readonly string[]): Promise<void>;
  /** The connection has had its welcome: it is told who is in the rooms of its session. */
  opened(connection: Connection, rooms: readonly string[]): void;
  /** Runs `change`, and tells the client which of its memberships that ended. */
  telling(connection: Connection, change: () => Promise<SessionRecord>): Promise<SessionRecord>;
  /** Rooms that have members. */
  readonly size: number;
  /** Members whom a look found otherwise than they were known here: news that was on its way, or that never came. */
  readonly mended: number;
  /** Learns from the store who is where, and who is nowhere any more. Rejects as the store does. */
  look(): Promise<void>;
  /** As `look`, for the first time. */
  start(): Promise<void>;
  stop(): void;
}

/** The same words for a room that there is not and for one that is not one's own. */
export function noSuchRoom(): Refusal {
  return new Refusal("not_found", "No such room, or not a member of it.");
}

function idOf({ sessionId }: Connection): SessionId {
  if (sessionId === null) throw new Error("a frame was answered before its session was known");
  return sessionId;
}

export function createRooms(options: RoomsOptions): Rooms {
  const { hub, sessions, backplane, clock, ids } = options;
  const { connectionOf } = hub;
  const roster = createRoster({
    clock,
    graceMs: options.presenceGraceMs,
    onChanged: (room, id) => presence.changed(room, id),
  });
  const presence = createPresence({
    clock,
    roster,
    connectionOf,
    isHeard: (room) => listening.has(room),
  });

  const keeping = createKeeping({ ...options, history: options.roomHistory });

  const here = (room: string): Connection[] =>
    [...roster.idsOf(room)].flatMap((id) => connectionOf(id) ?? []);
  const handOn = (room: string, frame: MessageFrame): number => {
    const text = JSON.stringify(frame);
    let delivered = 0;
    for (const connection of here(room)) if (connection.tell(text)) delivered += 1;
    return delivered;
  };
  const tails = createTails({
    ...options,
    handOn(room, { num, text }) {
      for (const connection of here(room)) if (keeping.isDue(connection, room, num)) connection.tell(text);
    },
  });

  const publish = async ({ room, data, from }: Saying): Promise<Said> => {
    const frame = {
      type: "message" as const,
      room,
      id: ids.any(),
      from,
      data,
      at: Math.round(clock.wallMs()),
    };
    // Seen means stored, where a room keeps what is said.
    const place = isKept(room) ? await keeping.keep(frame) : null;
    if (!backplane.alone) backplane.publish({ kind: "message", room, frame, place }, { room });
    if (place === null) return { id: frame.id, delivered: handOn(room, frame) };
    await tails.said(room, place, JSON.stringify(frame));
    return { id: frame.id, delivered: here(room).length };
  };

  const isKept = (room: string): boolean => keeping.most(room) > 0;
  const listening = createListening(backplane, options.nodeId, {
    // Whoever comes in waits for this as well, and is told when it fails.
    onFirst: (room) => void (isKept(room) && tails.begin(room).catch(() => undefined)),
    onLast(room) {
      presence.forget(room);
      tails.end(room);
    },
  });
  /** What is said in the room from now on is heard here. */
  const heard = async (room: string): Promise<void> => {
    await listening.heard(room);
    // By now nobody here may be in it any more.
    if (isKept(room) && listening.has(room)) await tails.begin(room);
  };

  const members = createMembers({ ...options, roster, listening });
  const speakers = createSpeakers({ roster, members });
  const antiEntropy = createAntiEntropy({ ...options, look: () => members.look() });

  return {
    async join(connection, { room, after, id: re }) {
      const id = idOf(connection);
      await sessions.enterRoom(id, room);
      await heard(room);
      presence.introduce(room, id);
      if (after === undefined) return;
      await keeping.catchUp(connection, { room, after, ...(re === undefined ? {} : { re }) });
    },

    leave: (connection, room) => sessions.leaveRoom(idOf(connection), room),

    async say(connection, room, data) {
      const { userId } = connection;
      const sessionId = idOf(connection);
      if (userId === null || !roster.isMember(sessionId, room)) throw noSuchRoom();
      await publish({ room, data, from: { userId, sessionId } });
    },

    choose: (connection, status) => sessions.choosePresence(idOf(connection), status),
    publish,
    lookUp: (id) => members.lookUp(id),

    async handOn(room, frame, place) {
      const speaker = frame.from?.sessionId as SessionId | undefined;
      // It is stored, by a node that let it in.
      if (place !== null) await tails.said(room, place, JSON.stringify(frame));
      else if (speaker === undefined) handOn(room, frame);
      else await speakers.hear(speaker, room, () => void handOn(room, frame));
    },

    isSomewhere: (id) => roster.roomsOf(id).length > 0,

    async isMember(id, room) {
      // It may have entered or left on another node a moment ago.
      const session = await members.lookUp(id).catch(() => sessions.find(id));
      return session !== null && roster.isMember(id, room);
    },

    list: (room) => presence.list(room),

    heard: async (rooms) => void (await Promise.all(rooms.map(heard))),

    opened(connection, rooms) {
      const id = idOf(connection);
      for (const room of rooms) if (roster.isMember(id, room)) presence.introduce(room, id);
    },

    async telling(connection, change) {
      const before = roster.roomsOf(idOf(connection));
      const session = await change();
      presence.expel(
        connection,
        before.filter((room) => !session.rooms.includes(room)),
      );
      return session;
    },

    get size() {
      return roster.rooms;
    },

    get mended() {
      return members.mended;
    },

    async look() {
      tails.lookAtAll();
      await members.look();
    },

    async start() {
      await members.look();
      antiEntropy.start();
      keeping.start();
      tails.start();
    },

    stop() {
      antiEntropy.stop();
      keeping.stop();
      tails.stop();
      presence.stop();
      roster.stop();
    },
  };
}
