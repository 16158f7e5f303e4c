/** A session as Redis keeps it: texts in the order that sessions.lua knows, an empty one for null. */
import type { SessionId, UserId } from "../../lib/ids.ts";
import type { ChosenPresence, Presence } from "../../protocol/sessions.ts";
import type { SessionRecord, UserBinding } from "../session.ts";

function textOf(value: number | null): string {
  return value === null ? "" : String(value);
}

function numberOf(text: string): number | null {
  return text === "" ? null : Number(text);
}

/**
 * A binding, and beside it the rooms that it allows, which sessions.lua has to read. No room has a name with half a
 * character in it, so that a pattern with one matches nothing and can be left out.
 */
export function bindingTexts(binding: UserBinding | null): { binding: string; allowed: string } {
  if (binding === null) return { binding: "", allowed: "" };
  const allowed = binding.rooms?.filter((room) => room.isWellFormed());
  return {
    binding: JSON.stringify(binding),
    allowed: allowed === undefined ? "" : JSON.stringify(allowed),
  };
}

export function textsOf(session: SessionRecord): string[] {
  const { binding, allowed } = bindingTexts(session.binding);
  return [
    session.id,
    session.userId,
    session.nodeId,
    textOf(session.createdAt),
    textOf(session.connectedAt),
    textOf(session.lastSeenAt),
    session.presence,
    textOf(session.presenceAt),
    session.chosenPresence,
    JSON.stringify(session.rooms),
    binding,
    textOf(session.awayBy),
    textOf(session.expiresBy),
    textOf(session.endedAt),
    allowed,
  ];
}

/** The session of an answer; null for none. */
export function sessionOf(answer: unknown): SessionRecord | null {
  if (!Array.isArray(answer)) return null;
  const texts = answer as readonly string[];
  const [id = "", userId = "", nodeId = "", createdAt, connectedAt = "", lastSeenAt] = texts;
  const [presence, presenceAt, chosenPresence, rooms = "[]", binding = ""] = texts.slice(6);
  const [awayBy = "", expiresBy = "", endedAt = ""] = texts.slice(11);
  return {
    id: id as SessionId,
    userId: userId as UserId,
    nodeId,
    createdAt: Number(createdAt),
    connectedAt: numberOf(connectedAt),
    lastSeenAt: Number(lastSeenAt),
    presence: presence as Presence,
    presenceAt: Number(presenceAt),
    chosenPresence: chosenPresence as ChosenPresence,
    rooms: JSON.parse(rooms) as string[],
    binding: binding === "" ? null : (JSON.parse(binding) as UserBinding),
    awayBy: numberOf(awayBy),
    expiresBy: numberOf(expiresBy),
    endedAt: numberOf(endedAt),
  };
}
