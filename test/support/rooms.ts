/** Rooms as a client that knows only docs/protocol.md sees them: what was said, and who is there by what it was told. */
import type { Client } from "./client.ts";
import { until } from "./wait.ts";
import type { Frame, MemberBody } from "./wire.ts";

let names = 0;

/** A room that no other test uses. */
export function freshRoom(): string {
  names += 1;
  return `room-${names}-${Bun.randomUUIDv7()}`;
}

/** Joins, and waits until it was told who is there. */
export async function join(client: Client, room: string): Promise<Frame> {
  const answer = await client.ask({ type: "join", room });
  if (answer.type !== "ok") throw new Error(`join ${room}: ${JSON.stringify(answer)}`);
  return whole(client, room);
}

/** The frame that tells everybody who is in the room. */
export function whole(client: Client, room: string): Promise<Frame> {
  return client.waitFor(
    `everybody in ${room}`,
    (frame) => frame.type === "presence" && frame.room === room && frame.whole === true,
  );
}

/** `data` of the messages of a room, in order of arrival. */
export function heard(client: Client, room: string): unknown[] {
  return client.frames("message").flatMap((frame) => (frame.room === room ? [frame.data] : []));
}

export function presences(client: Client, room: string): Frame[] {
  return client.frames("presence").filter((frame) => frame.room === room);
}

/**
 * Who is in the room, by session, put together from the frames as they came. Throws where they contradict each other:
 * whoever joins must not be there, whoever leaves or changes must.
 */
export function together(client: Client, room: string): Map<string, MemberBody> {
  const members = new Map<string, MemberBody>();
  let known = false;
  for (const frame of presences(client, room)) {
    const { joined = [], left = [], changed = [] } = frame;
    if (frame.whole === true) members.clear();
    else if (!known) throw new Error("a room was not told whole at first");
    known = true;
    for (const member of joined) {
      if (members.has(member.sessionId)) throw new Error(`${member.sessionId} joined twice`);
      members.set(member.sessionId, member);
    }
    for (const { sessionId } of left) {
      if (!members.delete(sessionId)) throw new Error(`${sessionId} left and was not there`);
    }
    for (const member of changed) {
      if (!members.has(member.sessionId)) throw new Error(`${member.sessionId} changed and was not there`);
      members.set(member.sessionId, member);
    }
    if (frame.count !== members.size) throw new Error(`count ${frame.count}, members ${members.size}`);
  }
  return members;
}

/** Until this client sees the session with that status; undefined: not at all. */
export function sees(
  client: Client,
  room: string,
  sessionId: string,
  status: string | undefined,
): Promise<unknown> {
  return until(
    `${sessionId} to be seen as ${status ?? "gone"}`,
    () => together(client, room).get(sessionId)?.status === status,
  );
}
