/**
 * The WebSocket edge: judges the upgrade, then hands the socket to the hub (PROTOCOL section 4).
 *
 * Sockets go straight to the runtime's own handlers; what belongs to one travels in `ws.data`. A credential that is bad
 * completes the handshake and closes with the code that says why, since a browser can read nothing else.
 */
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import type { Connection } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { Rooms } from "../hub/rooms/rooms.ts";
import { boundAddress } from "../http/address.ts";
import { socketOptions } from "../http/listening.ts";
import type { Rates } from "../http/rates.ts";
import type { Inbox, Requests } from "../hub/requests.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Clock } from "../lib/clock.ts";
import { createLanes } from "../lib/lanes.ts";
import type { Logger } from "../lib/logger.ts";
import type { CloseName, ErrorCode } from "../protocol/codes.ts";
import { Refusal } from "../protocol/error.ts";
import { SUBPROTOCOL, type WelcomeFrame } from "../protocol/frames.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { PublishedLimits } from "../protocol/sessions.ts";
import { isTerminalStatus } from "../protocol/jobs.ts";
import type { SessionRecord } from "../sessions/session.ts";
import type { Gate, Offer, Visitor } from "../sessions/gate.ts";
import type { Sessions } from "../sessions/sessions.ts";

export interface SocketData {
  /** Tokens that the client offered as subprotocols; forgotten as soon as they were judged. */
  offer: Offer | null;
  /** What bad credentials are counted by. */
  readonly address: string;
  /** Set when the socket opened. */
  seat: { readonly connection: Connection; readonly inbox: Inbox } | null;
}

export interface SocketsOptions {
  readonly hub: Hub;
  readonly rooms: Rooms;
  readonly requests: Requests;
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly rates: Rates;
  readonly store: JobStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly nodeId: string;
  readonly limits: PublishedLimits;
  readonly heartbeat: { readonly pingMs: number; readonly timeoutMs: number };
  readonly refusing: () => boolean;
  /** The database cannot be reached from here, or could not be so far. */
  readonly withoutStorage: () => boolean;
}

export interface Sockets {
  /** Upgrades the request; throws a Refusal that is to be answered over HTTP. */
  upgrade(
    request: Request,
    server: Server<SocketData>,
    call: { readonly origin: string | null; readonly traceId: string },
  ): void;
  readonly handlers: WebSocketHandler<SocketData>;
}

/** What the client offered. Throws when the one protocol that is spoken here is not among it. */
function readSubprotocols(headers: Headers): string[] {
  const offered = (headers.get("sec-websocket-protocol") ?? "").split(",").map((entry) => entry.trim());
  if (offered.includes(SUBPROTOCOL)) return offered;
  throw new Refusal(
    "invalid_request",
    `The subprotocol ${SUBPROTOCOL} must be offered (Sec-WebSocket-Protocol).`,
  );
}

/** The close that says over a socket what a refusal says over HTTP; every other error is `internal`. */
const CLOSE_NAMES: Partial<Record<ErrorCode, CloseName>> = {
  unauthenticated: "unauthenticated",
  token_revoked: "revoked",
  session_gone: "session_gone",
  token_binding: "unauthenticated",
  forbidden: "unauthenticated",
  token_expired: "token_expired",
  too_many_sessions: "too_many_sessions",
  draining: "draining",
  storage_unavailable: "overloaded",
  auth_unavailable: "overloaded",
};

export function createSockets(options: SocketsOptions): Sockets {
  const { hub, requests, sessions, gate, rates, store, clock, logger } = options;
  // A crowd that comes back at once is let in a few at a time: everybody is served soon, instead of nobody in time.
  const doors = createLanes({ most: LIMITS.opening });

  /** Not now: with a wait of its own for everybody, or the crowd would come back as one. */
  const turnAway = (connection: Connection, name: "overloaded" | "draining" = "overloaded"): void => {
    const { overloadedLeastMs, overloadedMostMs } = LIMITS;
    const waitMs = overloadedLeastMs + options.random() * (overloadedMostMs - overloadedLeastMs);
    connection.close(name, Math.round(waitMs));
  };

  /** The session this socket is for: a new one, or the one its token names. Seats the connection; null: it has gone. */
  const seat = async (
    connection: Connection,
    offer: Offer,
    address: string,
  ): Promise<{ session: SessionRecord; resumed: boolean } | null> => {
    if (options.refusing() || hub.stopped) throw new Refusal("draining", "The server is shutting down.");
    if (options.withoutStorage())
      throw new Refusal("storage_unavailable", "This node cannot reach the database.");
    const { user, resumes } = await gate.enter(offer);
    // Nothing was stored for it yet, and another socket of its session keeps its seat.
    if (connection.closed) return null;
    if (resumes === null) {
      const session = await sessions.open(user, { connected: true, address: boundAddress(address) });
      hub.seat(connection, session);
      return { session, resumed: false };
    }
    // Seated before it is marked connected: the close of an older socket must not mark it away afterwards.
    hub.seat(connection, resumes);
    return { session: await sessions.connected(resumes.id, user?.binding ?? null), resumed: true };
  };

  const welcome = async (connection: Connection, session: SessionRecord, resumed: boolean): Promise<void> => {
    const token = await sessions.issueToken(session);
    // From the welcome on it gets what is said in its rooms, wherever that is.
    await options.rooms.heard(session.rooms);
    const open = resumed ? await store.openJobs(session.id, LIMITS.welcomeJobs + 1) : [];
    if (connection.closed) return;
    const listed = open.slice(0, LIMITS.welcomeJobs);
    const frame: WelcomeFrame = {
      type: "welcome",
      protocol: 1,
      session: {
        id: session.id,
        userId: session.userId,
        resumed,
        createdAt: new Date(session.createdAt).toISOString(),
      },
      ...token,
      jobs: listed.map(({ id, type, status, attempt, head }) => ({
        id,
        type,
        status,
        attempt,
        head,
        terminal: isTerminalStatus(status),
      })),
      moreJobs: open.length > listed.length,
      rooms: session.rooms,
      heartbeat: options.heartbeat,
      limits: options.limits,
      node: options.nodeId,
      at: Math.round(clock.wallMs()),
    };
    connection.send(frame);
    hub.holds(connection, token, session.binding?.expiresAt ?? null);
    hub.opened(connection, new Set(open.map(({ id }) => id)));
    options.rooms.opened(connection, session.rooms);
  };

  const open = async (
    connection: Connection,
    inbox: Inbox,
    {
      offer,
      address,
      sinceMs,
    }: { readonly offer: Offer; readonly address: string; readonly sinceMs: number },
  ): Promise<void> => {
    // Given up while it stood in line: nothing was stored for it yet.
    if (connection.closed) return;
    if (clock.steadyMs() - sinceMs > LIMITS.openingWaitMs) {
      turnAway(connection);
      return;
    }
    try {
      const seated = await seat(connection, offer, address);
      if (seated === null) return;
      const { session, resumed } = seated;
      // The client may be gone by now: its leaving was noticed before there was a session to leave.
      if (connection.closed) {
        hub.remove(connection);
        return;
      }
      gate.confirm(session);
      await welcome(connection, session, resumed);
      requests.resume(connection, inbox);
    } catch (error) {
      rates.countFailure(() => address, error);
      if (!(error instanceof Refusal)) logger.error({ error }, "a connection could not be opened");
      const name = (error instanceof Refusal ? CLOSE_NAMES[error.code] : null) ?? "internal";
      if (name === "draining" || name === "overloaded") turnAway(connection, name);
      else connection.close(name);
    }
  };

  return {
    upgrade(request, server, { origin, traceId }) {
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        throw new Refusal("upgrade_required", "This address speaks WebSocket.", {
          headers: { Upgrade: "websocket", Connection: "Upgrade" },
        });
      }
      const address = rates.addressOf(request);
      rates.countAddress(address);
      const visitor: Visitor = { method: request.method, headers: request.headers, origin };
      const offer = gate.offered(visitor, readSubprotocols(request.headers));
      rates.refuseFailing(
        () => address,
        () => gate.knows(offer),
      );
      const data: SocketData = { offer, address, seat: null };
      // Always named: left to itself the runtime echoes the client's first offer, which may be a token.
      const headers = { "Sec-WebSocket-Protocol": SUBPROTOCOL, "X-Trace-Id": traceId };
      if (!server.upgrade(request, { data, headers })) {
        throw new Refusal("invalid_request", "The WebSocket handshake is not valid.");
      }
    },

    handlers: {
      ...socketOptions(options.limits),
      open(ws: ServerWebSocket<SocketData>) {
        const connection = hub.add(ws);
        const inbox = requests.createInbox();
        const { offer, address } = ws.data;
        ws.data.seat = { connection, inbox };
        ws.data.offer = null;
        if (offer === null) return;
        const sinceMs = clock.steadyMs();
        if (doors.waiting >= LIMITS.openingWaiting) turnAway(connection);
        else void doors.run(() => open(connection, inbox, { offer, address, sinceMs }));
      },
      message(ws, message) {
        if (ws.data.seat !== null) requests.receive(ws.data.seat.connection, ws.data.seat.inbox, message);
      },
      drain(ws) {
        if (ws.data.seat === null) return;
        const { connection, inbox } = ws.data.seat;
        connection.drained();
        requests.resume(connection, inbox);
      },
      close(ws) {
        if (ws.data.seat !== null) hub.remove(ws.data.seat.connection);
      },
    },
  };
}
