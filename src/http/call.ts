/** What every route knows of the call it answers, and what all of them need to answer it. */
import type { Context } from "hono";
import type { Remote } from "../handlers/remote/remote.ts";
import type { Registry } from "../handlers/registry.ts";
import type { Audience } from "../backplane/backplane.ts";
import type { Rooms } from "../hub/rooms/rooms.ts";
import type { Feed } from "../jobs/feed.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import type { NodeObject } from "../protocol/admin.ts";
import type { MessageFrame } from "../protocol/frames.ts";
import { Refusal } from "../protocol/error.ts";
import type { WorkerObject } from "../protocol/workers.ts";
import type { PublishedLimits } from "../protocol/sessions.ts";
import type { Gate, Principal, Visitor } from "../sessions/gate.ts";
import type { MachineKind, MachineToken } from "../sessions/machine-tokens.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { VerifiedUser } from "../sessions/user-tokens.ts";
import type { Operator } from "./operator.ts";
import type { Left, Rates } from "./rates.ts";
import type { Submitter } from "./submit.ts";
import type { Trace } from "./trace.ts";

/** What only operators may ask for. */
export interface AdminServices {
  readonly operator: Operator;
  readonly nodes: () => Promise<readonly NodeObject[]>;
  /** Remote workers that were heard of lately. */
  readonly workers: () => readonly WorkerObject[];
  /** Hands a frame to the open sockets of the audience, on other nodes too; how many of this node took it. */
  readonly push: (audience: Audience, frame: MessageFrame) => number;
  /** Begins to shut down, as on SIGTERM. */
  readonly drain: () => void;
}

export interface HttpServices {
  readonly store: JobStore;
  readonly feed: Feed;
  readonly rooms: Rooms;
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly rates: Rates;
  readonly registry: Registry;
  readonly submitter: Submitter;
  readonly remote: Remote;
  /** Jitters the wait before a run that follows an error. */
  readonly random: () => number;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly bodyBytes: number;
  /** Most bytes of output of one job's log. */
  readonly jobBytes: number;
  /** Lifts the time limit of a connection that answers as a stream. */
  readonly keepOpen: (request: Request) => void;
  /** Ends the connection of a reader that takes nothing any more, whatever still waits for it. */
  readonly giveUp: (request: Request) => void;
  /** Counts a page of a log that goes out over a stream. */
  readonly streamed: (entries: number, bytes: number) => void;
  readonly limits: PublishedLimits;
  readonly admin: AdminServices;
  /** About to leave: not ready any more. */
  readonly draining: () => boolean;
  /** Stops taking work; reads go on. */
  readonly refusing: () => boolean;
  /** The database cannot be reached from here, while other nodes may do so. */
  readonly cutOff: () => boolean;
  /** Aborted when the server is about to close its connections: what waits for news is answered with what there is. */
  readonly closing: AbortSignal;
}

/**
 * Aborted when the caller hung up, or the server closes. `release` when the answer is over: `closing` outlives it, and
 * would keep every listener.
 */
export function untilGone(
  { closing }: Pick<HttpServices, "closing">,
  request: Request,
): { readonly signal: AbortSignal; readonly release: () => void } {
  const gone = new AbortController();
  const onAbort = (): void => gone.abort();
  for (const signal of [request.signal, closing]) {
    if (signal.aborted) gone.abort();
    else signal.addEventListener("abort", onAbort, { once: true });
  }
  return {
    signal: gone.signal,
    release() {
      for (const signal of [request.signal, closing]) signal.removeEventListener("abort", onAbort);
      gone.abort();
    },
  };
}

/** What the edge found out before any route ran. */
export interface CallEnv {
  Bindings: {
    trace: Trace;
    url: URL;
    origin: string | null;
    /** Set when the call was counted. */
    left: Left | null;
  };
}

export type Call = Context<CallEnv>;

/** What the gate looks at. */
export function visitorOf(call: Call): Visitor {
  return { method: call.req.method, headers: call.req.raw.headers, origin: call.env.origin };
}

/** What the credential of a call proves. Bad ones are counted by address, and refused unseen when there were too many. */
async function judged<Proof>(
  { gate, rates }: HttpServices,
  call: Call,
  judge: (visitor: Visitor) => Promise<Proof>,
): Promise<Proof> {
  const visitor = visitorOf(call);
  const addressOf = (): string => rates.addressOf(call.req.raw);
  rates.refuseFailing(addressOf, () => {
    const beside = visitor.headers.get("holdline-user-token");
    return gate.knows({ ...gate.offered(visitor, []), session: beside });
  });
  try {
    return await judge(visitor);
  } catch (error) {
    rates.countFailure(addressOf, error);
    throw error;
  }
}

/** Who calls. Rejects with the 401 or 403 that fits, and with `rate_limited`. */
export async function authenticate(services: HttpServices, call: Call): Promise<Principal> {
  const principal = await judged(services, call, (visitor) => services.gate.authenticate(visitor));
  call.env.left = services.rates.countUser(principal.userId);
  return principal;
}

/**
 * Throws `token_revoked` when what a user's call came with was revoked since it began. For calls that wait, right before
 * their answer: who was shut out meanwhile is shown nothing. A token that only ran out meanwhile is no reason.
 */
export async function refuseRevoked({ gate }: HttpServices, call: Call): Promise<void> {
  try {
    await gate.authenticate(visitorOf(call));
  } catch (error) {
    if (error instanceof Refusal && error.code === "token_revoked") throw error;
  }
}

/** Workers are as many as they are behind one token, and their rate is the rate of the work. */
const UNCOUNTED: ReadonlySet<MachineKind> = new Set(["worker"]);

/** The machine that calls. Rejects with the 401 or 403 that fits; bad ones are counted by address, others by their token. */
export async function authenticateMachine(
  services: HttpServices,
  call: Call,
  kind: MachineKind,
): Promise<MachineToken> {
  const token = await judged(services, call, (visitor) => services.gate.machine(visitor, kind));
  if (!UNCOUNTED.has(kind)) call.env.left = services.rates.countMachine(token.id);
  return token;
}

/** Whether a machine's token came along; nothing is verified. */
export function bearsMachineToken({ gate }: HttpServices, call: Call): boolean {
  return gate.isMachine(visitorOf(call));
}

/** Whose session is to be opened; null: an anonymous one. Rejects like `authenticate`; counted by address. */
export async function authenticateOpener(services: HttpServices, call: Call): Promise<VerifiedUser | null> {
  const { gate, rates } = services;
  call.env.left = rates.countAddress(rates.addressOf(call.req.raw));
  return judged(services, call, (visitor) => gate.opener(visitor));
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

/** What a draining server says to new work, unless others are there to do it. */
export function refuseWhileDraining(services: HttpServices): void {
  if (services.refusing())
    throw new Refusal("draining", "The server is shutting down; try again in a moment.");
}
