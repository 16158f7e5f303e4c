/** How the runtime listens, said once for the door that opens first and for the server behind it. */
import { Obstacle } from "../lib/mistakes.ts";

/** Seconds without a byte after which the runtime closes an HTTP connection: longer than any answer may wait. */
const HTTP_IDLE_SECONDS = 120;
/** The runtime's own bound, whose answer is bare; the application refuses long before it. */
const RUNTIME_BODY_BYTES = 1024 * 1024 * 1024;

export interface ListensAt {
  readonly host: string;
  readonly port: number;
}

/** Where to listen, and the runtime's limits for HTTP. */
export function listenOptions({ host, port }: ListensAt) {
  return {
    hostname: host,
    port,
    // Said explicitly: without it a second server would start on the same port and take half of the connections.
    reusePort: false,
    development: false,
    idleTimeout: HTTP_IDLE_SECONDS,
    maxRequestBodySize: RUNTIME_BODY_BYTES,
  };
}

/** What an error of listening is told as: that the address is taken, with what to do about it. */
export function listenProblem(error: unknown, { host, port }: ListensAt): Error {
  if ((error as { code?: unknown }).code !== "EADDRINUSE") return error as Error;
  return new Obstacle(
    `port ${port} on ${host} is in use: stop what listens there (another holdline?), or take another port with --port`,
    { cause: error },
  );
}

/** The runtime's limits for sockets. */
export function socketOptions(limits: {
  readonly frameBytes: number;
  readonly queueBytes: number;
  readonly eventBytes: number;
}) {
  return {
    // A heartbeat of our own: the runtime's does not reap who is only sent to.
    idleTimeout: 0,
    sendPings: false,
    maxPayloadLength: limits.frameBytes,
    // Above what the connection itself lets wait: it stops at `queueBytes`, this is the belt to its braces.
    backpressureLimit: (limits.queueBytes + limits.eventBytes) * 4,
    closeOnBackpressureLimit: false,
    perMessageDeflate: false,
  };
}
