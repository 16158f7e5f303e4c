/** Which rooms this node has to hear: those with a member whose socket is here. */
import type { Backplane } from "../../backplane/backplane.ts";
import type { SessionId } from "../../lib/ids.ts";
import type { SessionRecord } from "../../sessions/session.ts";

export interface Listening {
  /** The session as it is stored now. */
  put(session: SessionRecord): void;
  /** It is over. */
  remove(id: SessionId): void;
  /** Resolves when a room of somebody here is heard. */
  heard(room: string): Promise<void>;
  /** Whether somebody here is in the room. */
  has(room: string): boolean;
}

export interface ListeningEvents {
  /** Somebody here is in the room. */
  readonly onFirst: (room: string) => void;
  /** Nobody here is in it any more. */
  readonly onLast: (room: string) => void;
}

interface Heard {
  members: number;
  readonly listening: Promise<void>;
}

const NOWHERE: readonly string[] = [];

export function createListening(
  backplane: Pick<Backplane, "listen" | "unlisten">,
  nodeId: string,
  { onFirst, onLast }: ListeningEvents,
): Listening {
  /** Of the sessions that are here. */
  const roomsOf = new Map<SessionId, readonly string[]>();
  const rooms = new Map<string, Heard>();

  const come = (room: string): void => {
    const known = rooms.get(room);
    if (known !== undefined) {
      known.members += 1;
      return;
    }
    rooms.set(room, { members: 1, listening: backplane.listen(room) });
    onFirst(room);
  };
  const go = (room: string): void => {
    const known = rooms.get(room);
    if (known === undefined) return;
    known.members -= 1;
    if (known.members > 0) return;
    rooms.delete(room);
    backplane.unlisten(room);
    onLast(room);
  };
  const set = (id: SessionId, now: readonly string[]): void => {
    const before = roomsOf.get(id) ?? NOWHERE;
    if (now.length > 0) roomsOf.set(id, now);
    else roomsOf.delete(id);
    for (const room of now) if (!before.includes(room)) come(room);
    for (const room of before) if (!now.includes(room)) go(room);
  };

  return {
    put({ id, nodeId: at, connectedAt, endedAt, rooms: now }) {
      const isHere = at === nodeId && connectedAt !== null && endedAt === null;
      set(id, isHere ? now : NOWHERE);
    },
    remove: (id) => set(id, NOWHERE),
    heard: (room) => rooms.get(room)?.listening ?? Promise.resolve(),
    has: (room) => rooms.has(room),
  };
}
