/** `/v1/sessions`: opening without a socket, reading, renewing the token, logging out (PROTOCOL section 3). */
import { isUuid, type SessionId } from "../../lib/ids.ts";
import { Refusal } from "../../protocol/error.ts";
import type { SessionCreated } from "../../protocol/sessions.ts";
import { toSessionObject, type SessionRecord } from "../../sessions/session.ts";
import type { Principal } from "../../sessions/gate.ts";
import { boundAddress } from "../address.ts";
import { readNothing } from "../body.ts";
import {
  authenticate,
  authenticateOpener,
  jsonResponse,
  refuseWhileDraining,
  type Call,
  type HttpServices,
} from "../call.ts";

export async function openSession(services: HttpServices, call: Call): Promise<Response> {
  refuseWhileDraining(services);
  const user = await authenticateOpener(services, call);
  await readNothing(call.req.raw, services);
  const session = await services.sessions.open(user, {
    connected: false,
    address: boundAddress(services.rates.addressOf(call.req.raw)),
  });
  const created: SessionCreated = {
    session: toSessionObject(session),
    ...(await services.sessions.issueToken(session)),
    limits: services.limits,
  };
  return jsonResponse(201, created, { Location: `/v1/sessions/${session.id}` });
}

/** The session a path names, `current` being the caller's; another user's is an unknown one. */
async function ownSession(
  services: HttpServices,
  call: Call,
): Promise<{ session: SessionRecord; principal: Principal }> {
  const principal = await authenticate(services, call);
  const name = call.req.param("id") ?? "";
  const id = name === "current" ? principal.sessionId : isUuid(name) ? (name as SessionId) : null;
  const session = id === null ? null : await services.sessions.findOwn(principal.userId, id);
  if (session === null || session.endedAt !== null) {
    throw new Refusal("not_found", "No such session.");
  }
  return { session, principal };
}

export async function renewToken(services: HttpServices, call: Call): Promise<Response> {
  const principal = await authenticate(services, call);
  const session = principal.sessionId === null ? null : await services.sessions.find(principal.sessionId);
  if (session === null) throw new Refusal("session_gone", "The session is over.");
  await readNothing(call.req.raw, services);
  return jsonResponse(200, await services.sessions.issueToken(session));
}

export async function listSessions(services: HttpServices, call: Call): Promise<Response> {
  const { userId } = await authenticate(services, call);
  const items = await services.sessions.listOf(userId);
  return jsonResponse(200, { items: items.map(toSessionObject) });
}

export async function readSession(services: HttpServices, call: Call): Promise<Response> {
  const { session } = await ownSession(services, call);
  return jsonResponse(200, toSessionObject(session));
}

export async function endSession(services: HttpServices, call: Call): Promise<Response> {
  const { session } = await ownSession(services, call);
  await services.sessions.end(session.id);
  return new Response(null, { status: 204 });
}
