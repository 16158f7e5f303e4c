/**
 * Keeps one session connected: opens the socket, proves who it is, answers the heartbeat, and comes back after every
 * close that allows it. What the frames mean is not its business.
 */
import { decodeBinaryFrame, type BinaryFrame } from "../protocol/binary.ts";
import { CLOSE_CODES } from "../protocol/codes.ts";
import type { ClientFrame, ServerFrame, SUBPROTOCOL, WelcomeFrame } from "../protocol/frames.ts";
import { askedDelayMs, backoffMs, lookAgainMs } from "./backoff.ts";
import type { ClientClock, ClientTimer } from "./clock.ts";
import type { Memory } from "./memory.ts";
import { openWire, type SocketClass, type Wire } from "./socket.ts";
import { closeName, verdictOf, type Offer } from "./verdict.ts";

/** Named here once more, since the module that defines it brings zod along. */
const subprotocol: typeof SUBPROTOCOL = "holdline.v1";

export type ConnectionState =
  | { readonly phase: "connecting" }
  | { readonly phase: "online"; readonly welcome: WelcomeFrame }
  /**
   * `retryAtMs` is by the client's clock. `failures` counts failed attempts since the last good connection; waits grow
   * with it. `cause` is the name of a close, or why no credential could be obtained.
   */
  | {
      readonly phase: "offline";
      readonly retryAtMs: number;
      readonly failures: number;
      readonly cause: string;
    }
  /** Nothing happens until `connect` is called. `code` 0: closed by the application itself, or not started yet. */
  | { readonly phase: "closed"; readonly code: number; readonly cause: string };

/**
 * A user token (JWT), or a function that gets a fresh one; it is called again whenever the server says that the last one
 * has expired. null: no token has to be sent (open mode, or a cookie carries it).
 */
export type Credential = string | (() => string | null | Promise<string | null>);

export interface ConnectionOptions {
  readonly url: string;
  readonly socketClass: SocketClass;
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly credential: Credential | null;
  /** Every connect bears a user token, as a server with strict binding wants it. */
  readonly strictBinding: boolean;
  readonly memory: Memory;
  /** Every frame this client knows, beside the raw data it came as. */
  onFrame(frame: ServerFrame | BinaryFrame, raw: string | ArrayBuffer): void;
  onSent(frame: ClientFrame, raw: string): void;
  onState(state: ConnectionState): void;
}

export interface Connection {
  readonly state: ConnectionState;
  /** The user token that was sent last; null when none was. */
  readonly userToken: string | null;
  connect(): void;
  /** Cuts the socket without a goodbye and comes back after `holdMs`. */
  drop(holdMs: number): void;
  /** Ends it for good; the state says why. */
  close(code: number, cause: string): void;
  /** False when not online: the frame is dropped. */
  send(frame: ClientFrame): boolean;
}

const HANDSHAKE_MS = 10_000;
/** A connection that lasted this long was a good one: the next loss starts the back-off from the beginning. */
const GOOD_AFTER_MS = 5000;
/** One that the network cut sooner than this was none: something lets everybody in and drops them at once. */
const CUT_MS = 250;
/** Close codes from here on are the server's own words; below, the network's. */
const FIRST_OWN_CODE = 4000;

export function createConnection(options: ConnectionOptions): Connection {
  const { clock, memory, random } = options;
  let state: ConnectionState = { phase: "closed", code: 0, cause: "not_started" };
  let wire: Wire | null = null;
  let timer: ClientTimer | null = null;
  let failures = 0;
  /** Connections in a row that were cut right after their welcome. */
  let cuts = 0;
  let onlineAtMs = 0;
  /** Since when there is no connection and the server was looked for in vain; null while there is one. */
  let awayAtMs: number | null = null;
  let goodbye: Extract<ServerFrame, { type: "goodbye" }> | null = null;
  let proved = false;
  let renew = false;
  let userToken: string | null = null;
  /** Counts the attempts, so that a credential that arrives late does not open a second socket. */
  let attempt = 0;

  function become(next: ConnectionState): void {
    state = next;
    options.onState(next);
  }
  function quit(): void {
    attempt += 1;
    timer?.cancel();
    timer = null;
    wire?.cut();
    wire = null;
    goodbye = null;
  }
  function retryAfter(delayMs: number, cause: string): void {
    timer = clock.after(delayMs, () => void open());
    become({ phase: "offline", retryAtMs: clock.steadyMs() + delayMs, failures, cause });
  }

  async function open(): Promise<void> {
    quit();
    const mine = attempt;
    become({ phase: "connecting" });
    const tokens: string[] = [];
    const session = memory.token;
    const offer: Offer = {
      session: session !== null,
      user: options.credential !== null && (session === null || renew || options.strictBinding),
    };
    if (offer.user) {
      try {
        userToken = await fetchUserToken(options.credential);
      } catch {
        if (mine === attempt) retryAfter(nextBackoffMs(), "credential_unavailable");
        return;
      }
      // The application may have closed or reconnected while the token was fetched.
      if (mine !== attempt) return;
      if (userToken !== null) tokens.push(`bearer.${userToken}`);
    }
    if (session !== null) tokens.push(offer.user ? `session.${session}` : `bearer.${session}`);
    wire = openWire({
      socketClass: options.socketClass,
      clock,
      url: options.url,
      protocols: [subprotocol, ...tokens],
      silenceMs: HANDSHAKE_MS,
      onMessage: hear,
      onClose: (code) => closed(code, offer),
    });
  }

  function nextBackoffMs(): number {
    failures += 1;
    return backoffMs(failures - 1, random);
  }
  /** `lastedMs`: how long the connection that was lost had been there; null when there was none. */
  function nextLookMs(lastedMs: number | null): number {
    const nowMs = clock.steadyMs();
    awayAtMs ??= nowMs;
    if (lastedMs !== null && lastedMs >= CUT_MS) cuts = 0;
    const delayMs = lookAgainMs(nowMs - awayAtMs, cuts, random);
    if (lastedMs !== null && lastedMs < CUT_MS) cuts += 1;
    return delayMs;
  }

  function closed(closeCode: number, offer: Offer): void {
    const farewell = goodbye;
    // A goodbye whose close frame was lost on the way still says why.
    const silent = closeCode < FIRST_OWN_CODE && closeCode !== 1009;
    const code = farewell !== null && silent ? farewell.code : closeCode;
    const cause = closeName(code);
    const lastedMs = state.phase === "online" ? clock.steadyMs() - onlineAtMs : null;
    if (lastedMs !== null && lastedMs >= GOOD_AFTER_MS) failures = 0;
    const credential = options.credential;
    const verdict = verdictOf({
      code,
      // A session that this very connection opened is one it can lose.
      offer: { ...offer, session: memory.token !== null },
      proved,
      credential: credential === null ? "none" : typeof credential === "string" ? "fixed" : "renewable",
    });
    quit();
    switch (verdict) {
      case "stop":
        if (code === CLOSE_CODES.revoked) memory.forgetSession();
        become({ phase: "closed", code, cause });
        return;
      case "restart":
        memory.forgetSession();
        proved = false;
        break;
      case "renew":
        renew = true;
        break;
      case "retry":
        if (farewell !== null && farewell.reconnectAfterMs > 0) {
          // Never sooner than asked, and later when that has led nowhere again and again.
          const askedMs = askedDelayMs(farewell.reconnectAfterMs, random);
          retryAfter(Math.max(askedMs, nextBackoffMs()), cause);
          return;
        }
    }
    if (code >= FIRST_OWN_CODE) {
      retryAfter(nextBackoffMs(), cause);
      return;
    }
    retryAfter(nextLookMs(lastedMs), cause);
  }

  function hear(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      const frame = decodeBinaryFrame(new Uint8Array(data));
      if (frame !== null) options.onFrame(frame, data);
      return;
    }
    if (typeof data !== "string") return;
    const frame = parse(data);
    if (frame === null) return;
    if (frame.type === "welcome") welcomed(frame);
    else if (frame.type === "token") memory.setToken(frame.token);
    else if (frame.type === "goodbye") goodbye = frame;
    options.onFrame(frame, data);
    if (frame.type === "ping") send({ type: "pong", at: frame.at });
    if (frame.type === "welcome") become({ phase: "online", welcome: frame });
  }
  function welcomed(frame: WelcomeFrame): void {
    proved = true;
    renew = false;
    awayAtMs = null;
    onlineAtMs = clock.steadyMs();
    memory.setSession(frame.session.id, frame.token);
    wire?.expect(frame.heartbeat.pingMs + frame.heartbeat.timeoutMs);
  }
  function send(frame: ClientFrame): boolean {
    if (wire === null || state.phase !== "online") return false;
    const text = JSON.stringify(frame);
    wire.send(text);
    options.onSent(frame, text);
    return true;
  }

  return {
    get state() {
      return state;
    },
    get userToken() {
      return userToken;
    },
    connect() {
      if (state.phase === "connecting" || state.phase === "online") return;
      void open();
    },
    drop(holdMs) {
      if (state.phase === "closed") return;
      quit();
      retryAfter(holdMs, "dropped");
    },
    close(code, cause) {
      quit();
      become({ phase: "closed", code, cause });
    },
    send,
  };
}

async function fetchUserToken(credential: Credential | null): Promise<string | null> {
  return typeof credential === "function" ? credential() : credential;
}

/** A frame with a type, or null: what a client does not understand it ignores. */
function parse(text: string): ServerFrame | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "type" in value ? (value as ServerFrame) : null;
  } catch {
    return null;
  }
}
