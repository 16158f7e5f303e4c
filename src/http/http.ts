/** The HTTP edge: every route on one screen, what is done for all of them, and errors mapped once. */
import { Hono } from "hono";
import { Refusal } from "../protocol/error.ts";
import type { RequestCounters } from "../telemetry/requests.ts";
import type { NodeRole } from "../protocol/admin.ts";
import type { Asset } from "./assets.ts";
import { refuseByRole } from "./by-role.ts";
import type { CallEnv, Call } from "./call.ts";
import { parseUrl, pathWithoutTokens, type Guard } from "./guard.ts";
import { problemResponse, toRefusal } from "./problem.ts";
import {
  cancelAnyJob,
  drain,
  listAllJobs,
  listAllSessions,
  listNodes,
  listWorkers,
  listSchedules,
  push,
  readAnyJob,
  retryAnyJob,
  revoke,
} from "./routes/admin.ts";
import { type AboutServices, documentRoute, live, listTypes, metrics, ready } from "./routes/about.ts";
import { readAudio, readEvents, readJobOutput } from "./routes/events.ts";
import { cancelJob, deleteJob, listJobs, readJob, retryJob, submitJob } from "./routes/jobs.ts";
import { readWebhook } from "./routes/webhooks.ts";
import { endSession, listSessions, openSession, readSession, renewToken } from "./routes/sessions.ts";
import { readPresence, sayInRoom } from "./routes/rooms.ts";
import { beat, completeRun, failRun, leaseJobs, releaseRun, takeOutput } from "./routes/worker.ts";
import { readTrace } from "./trace.ts";

export interface HttpOptions extends AboutServices {
  readonly requests: RequestCounters;
  readonly role: NodeRole;
  readonly guard: Guard;
  /** The playground's files by path; null for a path that is none. */
  readonly asset: (path: string) => Promise<Asset | null>;
  /** Turns the request into a socket; throws the refusal that is answered over HTTP. */
  readonly upgrade: (request: Request, origin: string | null, traceId: string) => void;
}

type Route = (services: AboutServices, call: Call) => Promise<Response>;
type Method = "GET" | "POST" | "DELETE";

/** The socket's address answers GET only; it is listed so that other methods learn that. */
const CONNECT_ROUTE: Route = () =>
  Promise.reject(new Refusal("upgrade_required", "This address speaks WebSocket."));

/** documents/ describes each of them; a test holds that. */
export const ROUTES: readonly (readonly [Method, string, Route])[] = [
  ["POST", "/v1/jobs", submitJob],
  ["GET", "/v1/jobs", listJobs],
  ["GET", "/v1/jobs/:id", readJob],
  ["DELETE", "/v1/jobs/:id", deleteJob],
  ["GET", "/v1/jobs/:id/events", readEvents],
  ["GET", "/v1/jobs/:id/output", readJobOutput],
  ["GET", "/v1/jobs/:id/audio", readAudio],
  ["GET", "/v1/jobs/:id/webhook", readWebhook],
  ["POST", "/v1/jobs/:id/cancel", cancelJob],
  ["POST", "/v1/jobs/:id/retry", retryJob],
  ["GET", "/v1/connect", CONNECT_ROUTE],
  ["GET", "/v1/types", listTypes],
  ["POST", "/v1/sessions", openSession],
  ["GET", "/v1/sessions", listSessions],
  ["POST", "/v1/sessions/current/token", renewToken],
  ["GET", "/v1/sessions/:id", readSession],
  ["DELETE", "/v1/sessions/:id", endSession],
  ["GET", "/v1/rooms/:room/presence", readPresence],
  ["POST", "/v1/rooms/:room/messages", sayInRoom],
  ["POST", "/v1/worker/lease", leaseJobs],
  ["POST", "/v1/worker/heartbeat", beat],
  ["POST", "/v1/worker/jobs/:id/output", takeOutput],
  ["POST", "/v1/worker/jobs/:id/complete", completeRun],
  ["POST", "/v1/worker/jobs/:id/fail", failRun],
  ["POST", "/v1/worker/jobs/:id/release", releaseRun],
  ["GET", "/v1/admin/nodes", listNodes],
  ["GET", "/v1/admin/workers", listWorkers],
  ["GET", "/v1/admin/schedules", listSchedules],
  ["GET", "/v1/admin/sessions", listAllSessions],
  ["GET", "/v1/admin/jobs", listAllJobs],
  ["GET", "/v1/admin/jobs/:id", readAnyJob],
  ["POST", "/v1/admin/jobs/:id/cancel", cancelAnyJob],
  ["POST", "/v1/admin/jobs/:id/retry", retryAnyJob],
  ["POST", "/v1/admin/revocations", revoke],
  ["POST", "/v1/admin/push", push],
  ["POST", "/v1/admin/drain", drain],
  ["GET", "/healthz", live],
  ["GET", "/readyz", ready],
  ["GET", "/metrics", metrics],
  ["GET", "/openapi.json", documentRoute("openapi")],
  ["GET", "/asyncapi.json", documentRoute("asyncapi")],
  ["GET", "/docs", documentRoute("page")],
  ["GET", "/docs/reference.css", documentRoute("style")],
];

const EXPOSED =
  "Location, Retry-After, ETag, X-Trace-Id, Idempotent-Replayed, Preference-Applied, RateLimit, RateLimit-Policy";
const ALLOWED_HEADERS =
  "Authorization, Holdline-User-Token, Content-Type, Idempotency-Key, Prefer, Last-Event-ID, If-None-Match, Range, traceparent, tracestate, X-Correlation-Id";
const PREFLIGHT_SECONDS = 600;

/** Methods that some route has for this path, for `Allow`. */
function methodsOf(path: string): string[] {
  const matching = ROUTES.filter(([, pattern]) => {
    const parts = pattern.split("/");
    const given = path.split("/");
    return (
      parts.length === given.length &&
      parts.every((part, i) => part === given[i] || (part.startsWith(":") && given[i] !== ""))
    );
  });
  const methods = new Set<string>(matching.map(([method]) => method));
  if (methods.has("GET")) methods.add("HEAD");
  if (methods.size > 0) methods.add("OPTIONS");
  return [...methods];
}

function preflight(path: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "Access-Control-Allow-Methods": methodsOf(path).join(", "),
      "Access-Control-Allow-Headers": ALLOWED_HEADERS,
      "Access-Control-Max-Age": String(PREFLIGHT_SECONDS),
    },
  });
}

function refuseUnknown(method: string, path: string): never {
  const allowed = methodsOf(path);
  if (allowed.length === 0) throw new Refusal("not_found", "There is nothing at this address.");
  throw new Refusal("method_not_allowed", `${method} is not one of ${allowed.join(", ")}.`, {
    headers: { Allow: allowed.join(", ") },
  });
}

/** Headers of every answer. Nothing of the API is meant to be shown inside somebody's page. */
function finish(
  response: Response,
  call: { traceId: string; correlationId: string | null; origin: string | null },
): Response {
  const { headers } = response;
  headers.set("X-Trace-Id", call.traceId);
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  if (!headers.has("Content-Security-Policy")) {
    headers.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  }
  if (call.correlationId !== null) headers.set("X-Correlation-Id", call.correlationId);
  if (call.origin !== null) {
    headers.set("Access-Control-Allow-Origin", call.origin);
    headers.set("Access-Control-Allow-Credentials", "true");
    headers.set("Access-Control-Expose-Headers", EXPOSED);
    headers.append("Vary", "Origin");
  }
  return response;
}

/** Answers any request; never throws. */
export type HttpHandler = (request: Request) => Promise<Response | undefined>;

/** Where sockets are opened. */
const CONNECT = "/v1/connect";
const SWITCHING_PROTOCOLS = 101;
/** Whatever needs the storage. */
const API = "/v1/";

/** Told at once, or every call would wait for its own time-out. */
function cutOff(): Refusal {
  return new Refusal(
    "storage_unavailable",
    "This node cannot reach the database. Nothing was stored; another node may take it.",
  );
}

/** What a call bears beside what routes look at: which of them it was, as a pattern, to be counted by. */
type EdgeBindings = CallEnv["Bindings"] & { route: string };

function mark(call: Call, route: string): void {
  (call.env as EdgeBindings).route = route;
}

export function createHttp(options: HttpOptions): HttpHandler {
  const { guard, ids, logger, rates, requests } = options;
  const app = new Hono<CallEnv>();
  for (const [method, path, route] of ROUTES) {
    app.on(method, path, (call) => {
      mark(call, path);
      return route(options, call);
    });
  }
  app.notFound(async (call) => {
    const { path, method } = call.req;
    if (method === "OPTIONS" && methodsOf(path).length > 0) return preflight(path);
    const asset = method === "GET" || method === "HEAD" ? await options.asset(path) : null;
    if (asset === null) return refuseUnknown(method, path);
    mark(call, "asset");
    return new Response(asset.bytes, { headers: asset.headers });
  });
  app.onError((error) => {
    throw error;
  });

  return async (request) => {
    const trace = readTrace(request.headers, ids);
    let origin: string | null = null;
    let path = "/";
    let env: EdgeBindings | null = null;
    const begun = requests.begin();
    const count = (status: number): void => {
      const route = path === CONNECT ? CONNECT : (env?.route ?? "none");
      requests.count({ route, method: request.method, status, begun });
    };
    const tell = (response: Response): Response => {
      count(response.status);
      // A proxy that keeps connections takes up no new request on one that is about to be closed.
      if (options.draining()) response.headers.set("Connection", "close");
      if (env !== null) rates.describe(response.headers, env.left);
      return finish(response, { ...trace, origin });
    };
    try {
      const url = parseUrl(request);
      path = pathWithoutTokens(url.pathname);
      origin = guard.check(request, url);
      refuseByRole(options.role, path);
      if (path === CONNECT && request.method === "GET") {
        options.upgrade(request, origin, trace.traceId);
        count(SWITCHING_PROTOCOLS);
        // The runtime answers an upgrade by itself.
        return undefined;
      }
      if (options.cutOff() && path.startsWith(API)) throw cutOff();
      env = { trace, url, origin, left: null, route: "none" };
      return tell(await app.fetch(request, env));
    } catch (error) {
      const refusal = toRefusal(error);
      if (refusal.code === "auth_unavailable" || refusal.code === "storage_unavailable") {
        // Nobody inside did wrong, and only the operator can help.
        logger.warn(
          { error: refusal.cause, traceId: trace.traceId, code: refusal.code },
          "a request was refused",
        );
      }
      if (refusal.code === "internal") {
        logger.error(
          { error: refusal.cause, traceId: trace.traceId, method: request.method, path },
          "a request failed",
        );
      }
      return tell(problemResponse(refusal, { traceId: trace.traceId, path }));
    }
  };
}
