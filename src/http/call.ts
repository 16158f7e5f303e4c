/** What every route knows of the call it answers, and what all of them need to answer it. */
import type { Context } from "hono";
import type { Registry } from "../handlers/registry.ts";
import type { Feed } from "../jobs/feed.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { Refusal } from "../protocol/error.ts";
import type { PublishedLimits } from "../protocol/sessions.ts";
import type { Gate, Principal, Visitor } from "../sessions/gate.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Submitter } from "./submit.ts";
import type { Trace } from "./trace.ts";

export interface HttpServices {
  readonly store: JobStore;
  readonly feed: Feed;
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly registry: Registry;
  readonly submitter: Submitter;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly bodyBytes: number;
  readonly limits: PublishedLimits;
  /** Stops taking work; reads go on. */
  readonly draining: () => boolean;
}

/** What the edge found out before any route ran. */
export interface CallEnv {
  Bindings: { trace: Trace; url: URL; origin: string | null };
}

export type Call = Context<CallEnv>;

/** What the gate looks at. */
export function visitorOf(call: Call): Visitor {
  return { method: call.req.method, headers: call.req.raw.headers, origin: call.env.origin };
}

/** Who calls. Rejects with the 401 or 403 that fits. */
export function authenticate(services: HttpServices, call: Call): Promise<Principal> {
  return services.gate.authenticate(visitorOf(call));
}

/** A JSON answer that no cache keeps. */
export function jsonResponse(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers },
  });
}

/** What a draining server says to new work. */
export function refuseWhileDraining(services: HttpServices): void {
  if (services.draining())
    throw new Refusal("draining", "The server is shutting down; try again in a moment.");
}
