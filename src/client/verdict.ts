/** What a client does after its socket was closed: the table of close codes in PROTOCOL section 5, as one function. */
import { CLOSE_CODES, mayReconnect } from "../protocol/codes.ts";

/** What the handshake that led to this close had offered. */
export interface Offer {
  readonly session: boolean;
  readonly user: boolean;
}

export interface ClosedConnection {
  readonly code: number;
  readonly offer: Offer;
  /** Whether the offered session token has been welcomed since the client was made (not only read from a storage). */
  readonly proved: boolean;
  /** Where user tokens come from: nowhere (open mode), a fixed text, or a function that can fetch a fresh one. */
  readonly credential: "none" | "fixed" | "renewable";
}

/** `retry` with back-off · `renew`: with a fresh user token beside the session's · `restart`: in a new session · `stop`. */
export type Verdict = "retry" | "renew" | "restart" | "stop";

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(CLOSE_CODES).map(([name, code]) => [code, name]),
);

/** The protocol's name of a close code; `connection_lost` for one it does not define. */
export function closeName(code: number): string {
  return names.get(code) ?? (code === 1009 ? "message_too_big" : "connection_lost");
}

export function verdictOf(closed: ClosedConnection): Verdict {
  const { code, offer, proved, credential } = closed;
  switch (code) {
    case CLOSE_CODES.token_expired:
      return credential === "renewable" ? "renew" : "stop";
    case CLOSE_CODES.session_gone:
      if (!offer.session) return "retry";
      // The token may only be past its grace while the session lives: a user token beside it still opens that one.
      return credential !== "none" && !offer.user ? "renew" : "restart";
    case CLOSE_CODES.unauthenticated:
      // A token found in the storage may be another server's, or older than its keys: not a reason to lock anybody out.
      return offer.session && !proved ? "restart" : "stop";
    default:
      return mayReconnect(code) ? "retry" : "stop";
  }
}
