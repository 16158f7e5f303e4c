/** `/v1/rooms`: who is in a room, and speaking in it without a socket (PROTOCOL section 3). */
import { noSuchRoom } from "../../hub/rooms/rooms.ts";
import { invalidField, Refusal } from "../../protocol/error.ts";
import type { Json } from "../../protocol/events.ts";
import type { MessageFrame } from "../../protocol/frames.ts";
import { isRoomName, roomMessageSchema, type SaidObject } from "../../protocol/rooms.ts";
import type { Principal } from "../../sessions/gate.ts";
import { isAllowed } from "../../sessions/scope.ts";
import { parseBody, readJson } from "../body.ts";
import {
  authenticate,
  authenticateMachine,
  bearsMachineToken,
  jsonResponse,
  type Call,
  type HttpServices,
} from "../call.ts";

const roomOf = ({ req }: Call): string => req.param("room") ?? "";

/** The caller as a member of the room. Rejects with `not_found`: also for a user token alone, which is in no room. */
async function memberOf(
  { rooms }: HttpServices,
  { userId, sessionId }: Principal,
  room: string,
): Promise<NonNullable<MessageFrame["from"]>> {
  if (sessionId === null || !(await rooms.isMember(sessionId, room))) throw noSuchRoom();
  return { userId, sessionId };
}

export async function readPresence(services: HttpServices, call: Call): Promise<Response> {
  const principal = await authenticate(services, call);
  await memberOf(services, principal, roomOf(call));
  return jsonResponse(200, services.rooms.list(roomOf(call)));
}

/** Who speaks: a member, or (null) a program of the operator whose token names this room. */
async function speakerOf(services: HttpServices, call: Call): Promise<MessageFrame["from"]> {
  if (!bearsMachineToken(services, call)) {
    return memberOf(services, await authenticate(services, call), roomOf(call));
  }
  const { rooms } = await authenticateMachine(services, call, "publish");
  if (!isRoomName(roomOf(call))) throw invalidField("/room", "is not the name of a room");
  if (!isAllowed(rooms, roomOf(call)))
    throw new Refusal("forbidden", "The publish token does not allow this room.");
  return null;
}

/** Bounded like what a member says over its socket, whoever speaks. */
export function refuseLargeData(data: Json, name: "frameBytes" | "eventBytes", most: number): void {
  if (Buffer.byteLength(JSON.stringify(data)) <= most) return;
  throw new Refusal("payload_too_large", `/data: is over ${name} (${most} bytes).`, {
    extra: { limit: name, limitBytes: most },
  });
}

export async function sayInRoom(services: HttpServices, call: Call): Promise<Response> {
  const from = await speakerOf(services, call);
  const { data } = parseBody(roomMessageSchema, await readJson(call.req.raw, services));
  refuseLargeData(data, "frameBytes", services.limits.frameBytes);
  const { id } = await services.rooms.publish({ room: roomOf(call), data, from });
  return jsonResponse(202, { id } satisfies SaidObject);
}
