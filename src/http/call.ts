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
import type { Principal, Sessions } from "../sessions/sessions.ts";
import type { Submitter } from "./submit.ts";
import type { Trace } from "./trace.ts";

export interface HttpServices {
  readonly store: JobStore;
  readonly feed: Feed;
  readonly sessions: Sessions;
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
  Bindings: { trace: Trace; url: URL };
}

export type Call = Context<CallEnv>;

/** The bearer token of the call, or null. Another scheme than Bearer is no credential of ours. */
export function bearerOf(headers: Headers): string | null {
  const match = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "");
  return match?.[1] ?? null;
}

/** Who calls. Rejects with the 401 that fits. */
export function authenticate(services: HttpServices, call: Call): Promise<Principal> {
  return services.sessions.authenticate(bearerOf(call.req.raw.headers));
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
