/**
 * Who is in which room, and how each member is seen: an index over the store's sessions, kept in memory. It is told of
 * every session as it was stored, in the order of the changes, and holds no truth of its own.
 *
 * How somebody is seen lags behind the store on purpose: a socket that is gone for less than the grace changes nothing.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import type { SessionId, UserId } from "../../lib/ids.ts";
import type { Presence } from "../../protocol/sessions.ts";
import type { SessionRecord } from "../../sessions/session.ts";

/** Replaced, never changed: two looks at the same one saw the same. */
export interface Member {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly status: Presence;
  /** Wall time in ms. */
  readonly since: number;
}

export interface RosterOptions {
  readonly clock: Clock;
  readonly graceMs: number;
  /** The session came to the room, left it, or is seen differently there. */
  readonly onChanged: (room: string, id: SessionId) => void;
}

export interface Roster {
  /** The session as it is stored now; whether it was known otherwise. */
  put(session: SessionRecord): boolean;
  /** It is over; whether it was known. */
  remove(id: SessionId): boolean;
  isMember(id: SessionId, room: string): boolean;
  /** In the order in which they came; empty for a room that is unknown. */
  idsOf(room: string): ReadonlySet<SessionId>;
  memberOf(id: SessionId, room: string): Member | null;
  roomsOf(id: SessionId): readonly string[];
  readonly rooms: number;
  /** Sessions that are in some room. */
  ids(): Iterable<SessionId>;
  stop(): void;
}

/** No more of a session than is shown of it: every node has one of these for every member of any room. */
interface Entry {
  rooms: readonly string[];
  /** As it is stored. */
  stored: Member;
  /** It has no socket. */
  gone: boolean;
  /** As it is seen. */
  member: Member;
  /** Runs while its socket is gone and nobody was told. */
  grace: Timer | null;
}

const NOBODY: ReadonlySet<SessionId> = new Set();

function memberAsStored({ userId, id, presence, presenceAt }: SessionRecord): Member {
  return { userId, sessionId: id, status: presence, since: presenceAt };
}

function isGone({ connectedAt }: SessionRecord): boolean {
  return connectedAt === null;
}

export function createRoster({ clock, graceMs, onChanged }: RosterOptions): Roster {
  const entries = new Map<SessionId, Entry>();
  const rooms = new Map<string, Set<SessionId>>();

  const come = (room: string, id: SessionId): void => {
    const ids = rooms.get(room);
    if (ids === undefined) rooms.set(room, new Set([id]));
    else ids.add(id);
    onChanged(room, id);
  };

  const go = (room: string, id: SessionId): void => {
    const ids = rooms.get(room);
    ids?.delete(id);
    if (ids?.size === 0) rooms.delete(room);
    onChanged(room, id);
  };

  /** Shows the session as it is stored, where it is in a room already. */
  const show = (entry: Entry): void => {
    entry.grace?.cancel();
    entry.grace = null;
    // Back within the grace: it was never gone, also for "since".
    if (entry.member.status === entry.stored.status) return;
    entry.member = entry.stored;
    for (const room of entry.rooms) onChanged(room, entry.member.sessionId);
  };

  /** Of the grace, what is left since its socket went: whoever hears of that late does not begin anew. */
  const graceLeftMs = ({ stored }: Entry): number =>
    Math.min(graceMs, Math.max(0, stored.since + graceMs - clock.wallMs()));

  const update = (entry: Entry, session: SessionRecord): boolean => {
    const { rooms: before, gone: wasGone, stored: was } = entry;
    entry.rooms = session.rooms;
    entry.gone = isGone(session);
    entry.stored = memberAsStored(session);
    for (const room of before) if (!session.rooms.includes(room)) go(room, session.id);
    for (const room of session.rooms) if (!before.includes(room)) come(room, session.id);
    if (!entry.gone || (wasGone && entry.grace === null)) show(entry);
    else entry.grace ??= clock.after(graceLeftMs(entry), () => show(entry));
    const isSame =
      before.length === session.rooms.length && before.every((room) => session.rooms.includes(room));
    return !isSame || wasGone !== entry.gone || was.status !== entry.stored.status;
  };

  const remove = (id: SessionId): boolean => {
    const entry = entries.get(id);
    if (entry === undefined) return false;
    entry.grace?.cancel();
    entries.delete(id);
    for (const room of entry.rooms) go(room, id);
    return true;
  };

  const isMember = (id: SessionId, room: string): boolean => rooms.get(room)?.has(id) === true;

  return {
    put(session) {
      if (session.endedAt !== null || session.rooms.length === 0) return remove(session.id);
      const known = entries.get(session.id);
      if (known !== undefined) return update(known, session);
      const stored = memberAsStored(session);
      const entry = { rooms: session.rooms, stored, gone: isGone(session), member: stored, grace: null };
      entries.set(session.id, entry);
      for (const room of session.rooms) come(room, session.id);
      return true;
    },
    remove,
    isMember,
    idsOf: (room) => rooms.get(room) ?? NOBODY,
    memberOf: (id, room) => (isMember(id, room) ? (entries.get(id)?.member ?? null) : null),
    roomsOf: (id) => entries.get(id)?.rooms ?? [],
    get rooms() {
      return rooms.size;
    },
    ids: () => entries.keys(),
    stop() {
      for (const entry of entries.values()) entry.grace?.cancel();
    },
  };
}
