/**
 * Rooms: who may come in and speak, and handing what is said to the members on this node (PROTOCOL sections 3 and 5).
 *
 * Membership is part of the session and lives in the store; what is decided here is decided by what stands there. A
 * message is handed on once, to the sockets that are open at that moment, in the same order to all of them.
 */
import type { Backplane } from "../../backplane/backplane.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Ids, SessionId } from "../../lib/ids.ts";
import { Refusal } from "../../protocol/error.ts";
import type { Json } from "../../protocol/events.ts";
import type { MessageFrame } from "../../protocol/frames.ts";
import type { PresenceObject } from "../../protocol/rooms.ts";
import type { ChosenPresence } from "../../protocol/sessions.ts";
import type { SessionRecord } from "../../sessions/session.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Connection } from "../connection.ts";
import type { Hub } from "../hub.ts";
import { createPresence } from "./presence.ts";
import { createRoster } from "./roster.ts";

export interface RoomsOptions {
  readonly hub: Pick<Hub, "connectionOf">;
  readonly sessions: Pick<
    Sessions,
    "find" | "enterRoom" | "leaveRoom" | "choosePresence" | "inRooms" | "onChanged" | "onEnded" | "onExpired"
  >;
  readonly backplane: Backplane;
  readonly clock: Clock;
  readonly ids: Ids;
  /** How long a member may be without a socket before that shows. */
  readonly presenceGraceMs: number;
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

export interface Rooms {
  /** Becomes a member; its client is told who is there. Rejects with `forbidden`, `rate_limited`, `session_gone`. */
  join(connection: Connection, room: string): Promise<void>;
  /** Is a member no longer, if it was one. */
  leave(connection: Connection, room: string): Promise<void>;
  /** Throws `not_found` when it is no member, whether or not there is such a room. */
  say(connection: Connection, room: string, data: Json): void;
  choose(connection: Connection, status: ChosenPresence): Promise<void>;
  /** Hands it to the members; nobody keeps it. */
  publish(saying: Saying): Said;
  /** The session as the store has it: it changed on another node. */
  learn(session: SessionRecord): void;
  /** It is over, or nobody knows it. */
  forget(id: SessionId): void;
  /** What was said on another node, if its speaker is known as a member. */
  handOn(room: string, frame: MessageFrame): void;
  /** Whether the session is a member, by what the store says. */
  isMember(id: SessionId, room: string): Promise<boolean>;
  /** Everybody in the room, as they are seen now. */
  list(room: string): PresenceObject;
  /** The connection has had its welcome: it is told who is in the rooms of its session. */
  opened(connection: Connection, rooms: readonly string[]): void;
  /** Runs `change`, and tells the client which of its memberships that ended. */
  telling(connection: Connection, change: () => Promise<SessionRecord>): Promise<SessionRecord>;
  /** Rooms that have members. */
  readonly size: number;
  /** Learns from the store who is where. */
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
  const presence = createPresence({ clock, roster, connectionOf });

  const handOn = (room: string, frame: MessageFrame): number => {
    const text = JSON.stringify(frame);
    let delivered = 0;
    for (const id of roster.idsOf(room)) if (connectionOf(id)?.tell(text) === true) delivered += 1;
    return delivered;
  };

  const publish = ({ room, data, from }: Saying): Said => {
    const frame: MessageFrame = {
      type: "message",
      room,
      id: ids.any(),
      from,
      data,
      at: Math.round(clock.wallMs()),
    };
    if (!backplane.alone) backplane.publish({ kind: "message", room, frame });
    return { id: frame.id, delivered: handOn(room, frame) };
  };

  const learn = (session: SessionRecord): void => roster.put(session);
  const forget = (id: SessionId): void => roster.remove(id);
  sessions.onChanged(learn);
  sessions.onEnded(forget);
  sessions.onExpired((expired) => {
    for (const id of expired) forget(id);
  });

  return {
    async join(connection, room) {
      const id = idOf(connection);
      await sessions.enterRoom(id, room);
      presence.introduce(room, id);
    },

    leave: (connection, room) => sessions.leaveRoom(idOf(connection), room),

    say(connection, room, data) {
      const { userId } = connection;
      const sessionId = idOf(connection);
      if (userId === null || !roster.isMember(sessionId, room)) throw noSuchRoom();
      publish({ room, data, from: { userId, sessionId } });
    },

    choose: (connection, status) => sessions.choosePresence(idOf(connection), status),
    publish,
    learn,
    forget,

    handOn(room, frame) {
      const speaker = frame.from?.sessionId as SessionId | undefined;
      if (speaker === undefined || roster.isMember(speaker, room)) handOn(room, frame);
    },

    async isMember(id, room) {
      const session = await sessions.find(id);
      // It may have entered on another node a moment ago.
      if (session !== null) learn(session);
      return roster.isMember(id, room);
    },

    list: (room) => presence.list(room),

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

    async start() {
      for await (const page of sessions.inRooms()) for (const session of page) roster.put(session);
    },

    stop() {
      presence.stop();
      roster.stop();
    },
  };
}
