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
import { slices } from "../../lib/slices.ts";
import { Refusal } from "../../protocol/error.ts";
import type { Json } from "../../protocol/events.ts";
import type { ClientFrame, MessageFrame } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { PresenceObject } from "../../protocol/rooms.ts";
import type { ChosenPresence } from "../../protocol/sessions.ts";
import type { SessionRecord } from "../../sessions/session.ts";
import type { RoomHistory } from "../../sessions/history/history.ts";
import type { SessionOutage } from "../../sessions/outage.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Connection } from "../connection.ts";
import type { Hub } from "../hub.ts";
import { createListening } from "./listening.ts";
import { createKeeping, type RoomRule } from "./history.ts";
import { createPresence } from "./presence.ts";
import { createRoster } from "./roster.ts";

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
  /** While the sessions cannot be looked up, everybody is seen as before, here as at every other node. */
  readonly sessionOutage: Pick<SessionOutage, "away">;
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
  handOn(room: string, frame: MessageFrame, num: number | null): Promise<void>;
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

  /** `num`: its number in the room's history; null when the room keeps none. */
  const handOn = (room: string, frame: MessageFrame, num: number | null): number => {
    const text = JSON.stringify(frame);
    let delivered = 0;
    for (const id of roster.idsOf(room)) {
      const connection = connectionOf(id);
      if (connection === null || (num !== null && !keeping.isDue(connection, room, num))) continue;
      if (connection.tell(text)) delivered += 1;
    }
    return delivered;
  };

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
    const num = keeping.most(room) > 0 ? await keeping.keep(frame) : null;
    if (!backplane.alone) backplane.publish({ kind: "message", room, frame, num }, { room });
    return { id: frame.id, delivered: handOn(room, frame, num) };
  };

  const listening = createListening(backplane, options.nodeId, (room) => presence.forget(room));
  /** Sessions that were learned of since a look began: what it read may be of before. */
  const learned = new Set<SessionId>();
  let looking = false;
  const learn = (session: SessionRecord): void => {
    if (looking) learned.add(session.id);
    // Who is here is told of what changes with it.
    listening.put(session);
    roster.put(session);
  };
  const forget = (id: SessionId): void => {
    if (looking) learned.add(id);
    listening.remove(id);
    roster.remove(id);
  };
  /** Sessions being looked up. `stale`: they changed since, so that what is being read may be of before. */
  const lookingUp = new Map<SessionId, { stale: boolean; readonly found: Promise<SessionRecord | null> }>();
  const outdate = (id: SessionId): void => {
    const look = lookingUp.get(id);
    if (look !== undefined) look.stale = true;
  };
  const readUntilNew = async (id: SessionId): Promise<SessionRecord | null> => {
    for (;;) {
      const session = await sessions.findChanged(id);
      const mine = lookingUp.get(id);
      if (mine?.stale === true) {
        mine.stale = false;
        continue;
      }
      lookingUp.delete(id);
      if (session === null) forget(id);
      else learn(session);
      return session;
    }
  };
  /** One read at a time: whoever asks meanwhile gets what is read after that. */
  const lookUp = (id: SessionId): Promise<SessionRecord | null> => {
    outdate(id);
    const known = lookingUp.get(id);
    if (known !== undefined) return known.found;
    const found = readUntilNew(id).catch((error: unknown) => {
      lookingUp.delete(id);
      throw error;
    });
    lookingUp.set(id, { stale: false, found });
    return found;
  };

  sessions.onChanged((session) => {
    outdate(session.id);
    // What became of it meanwhile is looked up when they are back.
    if (options.sessionOutage.away) listening.put(session);
    else learn(session);
  });
  const over = (id: SessionId): void => {
    outdate(id);
    forget(id);
  };
  sessions.onEnded(over);
  sessions.onExpired((expired) => expired.forEach(over));

  const look = async (): Promise<void> => {
    // Those that no page shows are looked up one by one: they have left, or were somewhere between two pages.
    const doubtful = new Set(roster.ids());
    learned.clear();
    looking = true;
    try {
      for await (const page of sessions.inRooms()) {
        for (const session of page) {
          if (learned.has(session.id)) continue;
          listening.put(session);
          roster.put(session);
          doubtful.delete(session.id);
        }
      }
    } finally {
      looking = false;
    }
    for (const id of learned) doubtful.add(id);
    learned.clear();
    for (const some of slices([...doubtful], LIMITS.lookSessions)) await Promise.all(some.map(lookUp));
  };

  /** Speakers that are being looked up; what they say meanwhile waits behind that, in its order. */
  const unsure = new Map<SessionId, Promise<void>>();
  let held = 0;
  const handOnChecked = async (speaker: SessionId, room: string, handOnNow: () => void): Promise<void> => {
    const before = unsure.get(speaker);
    if (before === undefined && roster.isMember(speaker, room)) {
      handOnNow();
      return;
    }
    if (held >= LIMITS.heldMessages) return;
    held += 1;
    const check = async (): Promise<void> => {
      await before?.catch(() => undefined);
      if (!roster.isMember(speaker, room)) await lookUp(speaker);
      if (roster.isMember(speaker, room)) handOnNow();
    };
    const checking = check().finally(() => {
      held -= 1;
      if (unsure.get(speaker) === checking) unsure.delete(speaker);
    });
    unsure.set(speaker, checking);
    await checking;
  };

  return {
    async join(connection, { room, after, id: re }) {
      const id = idOf(connection);
      await sessions.enterRoom(id, room);
      await listening.heard(room);
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
    lookUp,

    async handOn(room, frame, num) {
      const speaker = frame.from?.sessionId as SessionId | undefined;
      if (speaker === undefined) handOn(room, frame, num);
      else await handOnChecked(speaker, room, () => void handOn(room, frame, num));
    },

    isSomewhere: (id) => roster.roomsOf(id).length > 0,

    async isMember(id, room) {
      // It may have entered or left on another node a moment ago.
      const session = await lookUp(id).catch(() => sessions.find(id));
      return session !== null && roster.isMember(id, room);
    },

    list: (room) => presence.list(room),

    heard: async (rooms) => void (await Promise.all(rooms.map((room) => listening.heard(room)))),

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

    look,

    async start() {
      await look();
      keeping.start();
    },

    stop() {
      keeping.stop();
      presence.stop();
      roster.stop();
    },
  };
}
