/** `/v1/admin`: what an operator's token opens (PROTOCOL section 3). Nothing here asks whose a job or session is. */
import type { Audience } from "../../backplane/backplane.ts";
import type { SessionId, UserId } from "../../lib/ids.ts";
import { pushSchema, revocationSchema, type PushBody, type PushedObject } from "../../protocol/admin.ts";
import { invalidField } from "../../protocol/error.ts";
import type { Json } from "../../protocol/events.ts";
import { JOB_STATUSES } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { parseBody, readJson, readNothing } from "../body.ts";
import {
  authenticateMachine,
  jsonResponse,
  refuseWhileDraining,
  type Call,
  type HttpServices,
} from "../call.ts";
import { choiceParameter, cursorParameter, intParameter } from "../query.ts";
import { refuseLargeData } from "./rooms.ts";

type Route = (services: HttpServices, call: Call) => Promise<Response>;

/** Every route of this file goes through here: nothing is looked at before the token was. */
function forOperators(route: Route): Route {
  return async (services, call) => {
    await authenticateMachine(services, call, "admin");
    return route(services, call);
  };
}

const PAGE = { least: 1, most: LIMITS.jobsPage, preset: LIMITS.jobsPageDefault };

function userParameter(url: URL): UserId | null {
  return url.searchParams.get("userId") as UserId | null;
}

export const listNodes = forOperators(async ({ admin }) => jsonResponse(200, { items: await admin.nodes() }));

export const listWorkers = forOperators(async ({ admin }) => jsonResponse(200, { items: admin.workers() }));

export const listSchedules = forOperators(async ({ admin }) =>
  jsonResponse(200, { items: await admin.operator.schedules() }),
);

export const listAllSessions = forOperators(async ({ admin }, { env: { url } }) =>
  jsonResponse(
    200,
    await admin.operator.sessions({
      userId: userParameter(url),
      before: cursorParameter<SessionId>(url, "cursor"),
      limit: intParameter(url, "limit", PAGE),
    }),
  ),
);

export const listAllJobs = forOperators(async ({ admin }, { env: { url } }) =>
  jsonResponse(
    200,
    await admin.operator.jobs({
      userId: userParameter(url),
      status: choiceParameter(url, "status", JOB_STATUSES),
      type: url.searchParams.get("type"),
      before: cursorParameter(url, "cursor"),
      limit: intParameter(url, "limit", PAGE),
    }),
  ),
);

export const readAnyJob = forOperators(async ({ admin }, { req }) =>
  jsonResponse(200, await admin.operator.job(req.param("id") ?? "")),
);

export const cancelAnyJob = forOperators(async (services, { req }) => {
  await readNothing(req.raw, services);
  const job = await services.admin.operator.cancel(req.param("id") ?? "");
  return jsonResponse(job.terminal ? 200 : 202, job);
});

export const retryAnyJob = forOperators(async (services, { req, env }) => {
  refuseWhileDraining(services);
  await readNothing(req.raw, services);
  const job = await services.admin.operator.retry(req.param("id") ?? "", env.trace);
  return jsonResponse(202, job, { Location: `/v1/admin/jobs/${job.id}`, "Retry-After": "1" });
});

export const revoke = forOperators(async (services, { req }) => {
  const body = parseBody(revocationSchema, await readJson(req.raw, services));
  await services.admin.operator.revoke(body);
  return new Response(null, { status: 204 });
});

/** Whom a push is for. Throws `invalid_request` unless it is exactly one audience. */
function audienceOf({ to }: PushBody): Audience | { readonly to: "room"; readonly room: string } {
  const { user, session, room, all } = to;
  if ([user, session, room, all].filter((one) => one !== undefined).length !== 1) {
    throw invalidField("/to", "must name exactly one of user, session, room and all");
  }
  if (room !== undefined) return { to: "room", room };
  if (user !== undefined) return { to: "user", userId: user as UserId };
  return session === undefined ? { to: "all" } : { to: "session", sessionId: session as SessionId };
}

export const push = forOperators(async (services, { req }) => {
  const body = parseBody(pushSchema, await readJson(req.raw, services));
  const { admin, ids, clock, limits, rooms } = services;
  const audience = audienceOf(body);
  const data = body.data as Json;
  refuseLargeData(data, "eventBytes", limits.eventBytes);
  if (audience.to === "room") {
    const pushed: PushedObject = await rooms.publish({ room: audience.room, data, from: null });
    return jsonResponse(202, pushed);
  }
  const id = ids.any();
  const at = Math.round(clock.wallMs());
  const delivered = admin.push(audience, { type: "message", to: audience.to, id, from: null, data, at });
  return jsonResponse(202, { id, delivered } satisfies PushedObject);
});

export const drain = forOperators(async (services, { req }) => {
  await readNothing(req.raw, services);
  services.admin.drain();
  return jsonResponse(202, { status: "draining" });
});
