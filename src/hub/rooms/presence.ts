/**
 * Tells members who came, went or changed in their room. What was told and what is are compared when a room's turn
 * comes, so that everything in between costs one frame, and coming back before anybody noticed costs none.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import type { SessionId } from "../../lib/ids.ts";
import type { PresenceFrame } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { PresenceObject, RoomMember } from "../../protocol/rooms.ts";
import type { Connection } from "../connection.ts";
import type { Member, Roster } from "./roster.ts";

export interface PresenceOptions {
  readonly clock: Clock;
  readonly roster: Pick<Roster, "idsOf" | "memberOf">;
  /** The socket of a session, when it is on this node. */
  readonly connectionOf: (id: SessionId) => Connection | null;
  /** Whether somebody here is in the room: what nobody is told need not be put together. */
  readonly isHeard: (room: string) => boolean;
}

export interface PresenceTeller {
  /** The session came to the room, left it, or is seen differently there. */
  changed(room: string, id: SessionId): void;
  /** The session's client knows nothing of the room yet: it gets all of it. */
  introduce(room: string, id: SessionId): void;
  /** Everybody in the room, as they are seen now. */
  list(room: string): PresenceObject;
  /** Tells one client that its own membership has ended. */
  expel(connection: Connection, rooms: readonly string[]): void;
  /** Nobody here is in the room any more. */
  forget(room: string): void;
  stop(): void;
}

interface Told {
  /** What the members here know; null until they were told, and while there are too many to be told of. */
  members: Map<SessionId, Member> | null;
  readonly changed: Set<SessionId>;
  readonly introduced: Set<SessionId>;
  toldMs: number;
  timer: Timer | null;
}

function onWire({ userId, sessionId, status, since }: Member): RoomMember {
  return { userId, sessionId, status, since: new Date(since).toISOString() };
}

export function createPresence({ clock, roster, connectionOf, isHeard }: PresenceOptions): PresenceTeller {
  const rooms = new Map<string, Told>();

  const gone = (member: Member): RoomMember =>
    onWire({ ...member, status: "offline", since: Math.round(clock.wallMs()) });

  /** By the ids of the sessions, which is how old they are: the same ones in the same order at every node. */
  const listed = (room: string): Member[] => {
    const ids = [...roster.idsOf(room)].toSorted().slice(0, LIMITS.presenceMembers);
    return ids.flatMap((id) => roster.memberOf(id, room) ?? []);
  };

  const tell = (ids: Iterable<SessionId>, frame: PresenceFrame): void => {
    const text = JSON.stringify(frame);
    for (const id of ids) connectionOf(id)?.tell(text);
  };

  const tellWhole = (room: string, ids: Iterable<SessionId>): void => {
    const joined = listed(room).map(onWire);
    const count = roster.idsOf(room).size;
    tell(ids, { type: "presence", room, joined, left: [], changed: [], count, whole: true });
  };

  /** What changed since the members were told, by what they know. */
  const differences = (room: string, members: Map<SessionId, Member>, ids: Iterable<SessionId>) => {
    const [joined, left, changed]: [RoomMember[], RoomMember[], RoomMember[]] = [[], [], []];
    for (const id of ids) {
      const before = members.get(id);
      const now = roster.memberOf(id, room);
      if (now === null) {
        if (before !== undefined) left.push(gone(before));
        members.delete(id);
      } else {
        if (before === undefined) joined.push(onWire(now));
        else if (before.status !== now.status) changed.push(onWire(now));
        members.set(id, now);
      }
    }
    return { joined, left, changed };
  };

  const update = (room: string, told: Told): void => {
    const ids = roster.idsOf(room);
    const { introduced } = told;
    const count = ids.size;
    if (count > LIMITS.presenceMembers) {
      told.members = null;
      tell(ids, { type: "presence", room, joined: [], left: [], changed: [], count });
    } else if (told.members === null) {
      told.members = new Map(listed(room).map((member) => [member.sessionId, member]));
      tellWhole(room, ids);
    } else {
      const { joined, left, changed } = differences(room, told.members, told.changed);
      if (joined.length + left.length + changed.length > 0) {
        const others = introduced.size === 0 ? ids : [...ids].filter((id) => !introduced.has(id));
        tell(others, { type: "presence", room, joined, left, changed, count });
      }
      const newcomers = [...introduced].filter((id) => ids.has(id));
      if (newcomers.length > 0) tellWhole(room, newcomers);
    }
    told.changed.clear();
    introduced.clear();
  };

  /** As many milliseconds as there are members: the more a frame costs, the fewer there are. */
  const batchMs = (room: string): number =>
    Math.min(Math.max(roster.idsOf(room).size, LIMITS.presenceBatchLeastMs), LIMITS.presenceBatchMostMs);

  const tellSoon = (room: string): Told | null => {
    if (!isHeard(room)) return null;
    let told = rooms.get(room);
    if (told === undefined) {
      told = {
        members: null,
        changed: new Set(),
        introduced: new Set(),
        toldMs: Number.NEGATIVE_INFINITY,
        timer: null,
      };
      rooms.set(room, told);
    }
    const waiting = told;
    // A quiet room is told at once, which is one turn of the loop later: what comes together is told together.
    waiting.timer ??= clock.after(waiting.toldMs + batchMs(room) - clock.steadyMs(), () => {
      waiting.timer = null;
      waiting.toldMs = clock.steadyMs();
      update(room, waiting);
    });
    return waiting;
  };

  return {
    changed: (room, id) => void tellSoon(room)?.changed.add(id),
    introduce: (room, id) => void tellSoon(room)?.introduced.add(id),
    list: (room) => ({ members: listed(room).map(onWire), count: roster.idsOf(room).size }),
    expel(connection, left) {
      const { userId, sessionId } = connection;
      if (userId === null || sessionId === null) return;
      for (const room of left) {
        const self = gone({ userId, sessionId, status: "offline", since: 0 });
        const count = roster.idsOf(room).size;
        tell([sessionId], { type: "presence", room, joined: [], left: [self], changed: [], count });
      }
    },
    forget(room) {
      rooms.get(room)?.timer?.cancel();
      rooms.delete(room);
    },
    stop() {
      for (const { timer } of rooms.values()) timer?.cancel();
      rooms.clear();
    },
  };
}
