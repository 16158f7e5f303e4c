/** What may become of a living session, as pure functions: every driver of `SessionStore` stores what these say. */
import type { ChosenPresence } from "../protocol/sessions.ts";
import type { SessionRecord } from "./session.ts";
import type { Away, Connected, Entering, EnteringRefused } from "./store.ts";
import { isAllowed } from "./scope.ts";

/** The session as it becomes; null: nothing is to be changed. */
export type Change = (session: SessionRecord) => SessionRecord | null;

/** Dates a presence only when it really becomes another one. */
function seenAs(session: SessionRecord, presence: SessionRecord["presence"], at: number): SessionRecord {
  return session.presence === presence ? session : { ...session, presence, presenceAt: at };
}

/** A socket was opened. A fresh user token ends the memberships that it does not allow. */
export function connected({ nodeId, at, binding }: Connected): Change {
  return (session) => {
    const bound = binding ?? session.binding;
    return {
      ...seenAs(session, session.chosenPresence, at),
      nodeId,
      connectedAt: at,
      lastSeenAt: at,
      binding: bound,
      rooms: session.rooms.filter((room) => isAllowed(bound?.rooms ?? null, room)),
      awayBy: null,
      expiresBy: null,
    };
  };
}

/** Its last socket on this node closed; null when it had none there. */
export function away({ nodeId, awayBy, expiresBy, at }: Away): Change {
  return (session) =>
    session.connectedAt === null || session.nodeId !== nodeId
      ? null
      : { ...seenAs(session, "away", at), connectedAt: null, lastSeenAt: at, awayBy, expiresBy };
}

/** It was logged out. */
export function ended(at: number): (session: SessionRecord) => SessionRecord {
  return (session) => ({
    ...session,
    endedAt: at,
    connectedAt: null,
    presence: "offline",
    presenceAt: at,
    expiresBy: null,
  });
}

/** Its user wants to be seen like this, now or as soon as there is a socket. */
export function chosen(presence: ChosenPresence, at: number): Change {
  return (session) => ({
    ...(session.connectedAt === null ? session : seenAs(session, presence, at)),
    chosenPresence: presence,
  });
}

/** Why it may not enter a room; null when it may, or is in it. */
export function enteringRefused(session: SessionRecord, { room, most }: Entering): EnteringRefused | null {
  if (!isAllowed(session.binding?.rooms ?? null, room)) return "forbidden";
  return session.rooms.length < most || session.rooms.includes(room) ? null : "full";
}

/** It enters a room; null when it is in it. */
export function entered(room: string): Change {
  return (session) => (session.rooms.includes(room) ? null : { ...session, rooms: [...session.rooms, room] });
}

/** It leaves a room; null when it was not in it. */
export function leftRoom(room: string): Change {
  return (session) =>
    session.rooms.includes(room)
      ? { ...session, rooms: session.rooms.filter((other) => other !== room) }
      : null;
}
