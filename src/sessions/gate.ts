/**
 * Who is on the line: reads the credential of a call or a connect and judges it (PROTOCOL section 2). The first
 * credential present decides; a bad one does not fall back to the next.
 */
import type { Clock } from "../lib/clock.ts";
import type { SessionId, UserId } from "../lib/ids.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";
import {
  looksLikeMachineToken,
  type MachineKind,
  type MachineToken,
  type MachineTokens,
} from "./machine-tokens.ts";
import { isSessionRevoked, type Revocations } from "./revocations.ts";
import type { SessionRecord, UserBinding } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { hashToken, looksLikeSessionToken, type SessionTokens } from "./tokens.ts";
import type { UserTokens, VerifiedUser } from "./user-tokens.ts";

/** Who a request speaks for, and what that user's token allows. */
export interface Principal {
  readonly userId: UserId;
  /** null for a call with a user token alone: its jobs belong to no session. */
  readonly sessionId: SessionId | null;
  /** Job types, `*` as a suffix wildcard; null: all. */
  readonly types: readonly string[] | null;
  readonly rooms: readonly string[] | null;
}

/** What of a request the gate looks at. */
export interface Visitor {
  readonly method: string;
  readonly headers: Headers;
  /** The Origin it bears, which was found to be allowed; null without one. */
  readonly origin: string | null;
}

/** Tokens that came along with a connect, not yet judged. */
export interface Offer {
  readonly token: string | null;
  /** A session token beside a user token. */
  readonly session: string | null;
}

export interface Entry {
  readonly user: VerifiedUser | null;
  /** The session to resume; null: a new one is to be opened. */
  readonly resumes: SessionRecord | null;
}

export interface GateOptions {
  /** null: open mode. */
  readonly userTokens: UserTokens | null;
  readonly sessionTokens: SessionTokens;
  readonly machineTokens: MachineTokens;
  readonly sessions: Sessions;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly cookie: string;
  readonly strict: boolean;
  readonly resumeMs: number;
}

export interface Gate {
  /** Who calls. Rejects with the 401 that fits, or 403 for a cookie that may come from another site. */
  authenticate(visitor: Visitor): Promise<Principal>;
  /** Whose session is to be opened over HTTP; null: an anonymous one. */
  opener(visitor: Visitor): Promise<VerifiedUser | null>;
  /** The tokens of a connect: header, then subprotocols, then cookie. Throws 403 for a cookie from who knows where. */
  offered(visitor: Visitor, subprotocols: readonly string[]): Offer;
  /** Whether every token that came along, if any did, was genuine before: then judging them costs no signature check. */
  knows(offer: Offer): boolean;
  /** Judges them. */
  enter(offer: Offer): Promise<Entry>;
  /** Throws `token_revoked` when the session was revoked after its credential had been judged. */
  confirm(session: SessionRecord): void;
  /** Whether the credential says of itself that it is a machine's; nothing is verified. */
  isMachine(visitor: Visitor): boolean;
  /** The machine that calls. Rejects with the 401 that fits, and 403 for a genuine credential of another kind. */
  machine(visitor: Visitor, kind: MachineKind): Promise<MachineToken>;
  /** A fresh user token for a session of this user. Rejects with `token_revoked` when it is another user's. */
  refresh(userId: UserId, token: string): Promise<VerifiedUser>;
}

const BEARER = /^bearer +(\S+) *$/i;

function missing(): Refusal {
  return new Refusal("unauthenticated", "A credential is required (Authorization: Bearer).");
}

function notBound(): Refusal {
  return new Refusal("token_binding", "The session token and the user token do not belong together.");
}

function gone(): Refusal {
  return new Refusal("session_gone", "The session is over.");
}

function revoked(): Refusal {
  return new Refusal("token_revoked", "The credential was revoked.");
}

/** The token of the Authorization header; null without one. Another scheme is no credential of ours, and decides too. */
function readHeader(headers: Headers): string | null {
  const given = headers.get("authorization");
  if (given === null) return null;
  const token = BEARER.exec(given)?.[1];
  if (token === undefined) throw missing();
  return token;
}

function readCookie(headers: Headers, name: string): string | null {
  for (const pair of (headers.get("cookie") ?? "").split(";")) {
    const [key, ...value] = pair.trim().split("=");
    if (key === name) return value.join("=");
  }
  return null;
}

export function createGate(options: GateOptions): Gate {
  const { userTokens, sessionTokens, machineTokens, sessions, revocations, clock } = options;

  /** A browser sends cookies along for any site: they count only where the request says that it comes from ours. */
  const cookieOf = ({ headers, method, origin }: Visitor): string | null => {
    if (userTokens === null) return null;
    const token = readCookie(headers, options.cookie);
    if (token === null) return null;
    const ownRead =
      method === "GET" && headers.get("sec-fetch-site") === "same-origin" && !isUpgrade(headers);
    if (origin === null && !ownRead) {
      throw new Refusal("forbidden_origin", "A cookie counts only with an allowed Origin.");
    }
    return token;
  };

  /** A machine's token opens nothing that is for users; it is told so if it is genuine. */
  const refuseMachine = async (token: string): Promise<void> => {
    if (!looksLikeMachineToken(token)) return;
    await machineTokens.read(token);
    throw new Refusal("forbidden", "A machine token does not open the API of users.");
  };

  const verifyUser = async (token: string): Promise<VerifiedUser> => {
    await refuseMachine(token);
    if (userTokens === null)
      throw new Refusal("unauthenticated", "This server is in open mode: it takes no user tokens.");
    const user = await userTokens.verify(token);
    if (revocations.isRevoked(user.userId, user.binding, user.binding.issuedAt)) throw revoked();
    return user;
  };

  const confirm = (session: SessionRecord): void => {
    if (isSessionRevoked(revocations, session)) throw revoked();
  };

  const livingSession = async (token: string, graceMs: number): Promise<SessionRecord> => {
    const session = await sessions.living(await sessionTokens.read(token), graceMs);
    // Opened in open mode, which is over: nobody ever vouched for its user.
    if (userTokens !== null && session.binding === null) throw gone();
    confirm(session);
    return session;
  };

  /** The user token that has to, or happens to, come along with a session token. */
  const checkBinding = async (
    visitor: Visitor,
    session: SessionRecord,
    from: "header" | "cookie",
  ): Promise<void> => {
    const beside = visitor.headers.get("holdline-user-token");
    if (!options.strict) {
      if (beside !== null && (await verifyUser(beside)).userId !== session.userId) throw notBound();
      return;
    }
    const token = beside ?? (from === "header" ? cookieOf(visitor) : null);
    if (token === null || hashToken(token) !== session.binding?.tokenHash) throw notBound();
  };

  const authenticate = async (visitor: Visitor): Promise<Principal> => {
    const header = readHeader(visitor.headers);
    const token = header ?? cookieOf(visitor);
    if (token === null) throw missing();
    if (header !== null && looksLikeSessionToken(token)) {
      const session = await livingSession(token, 0);
      await checkBinding(visitor, session, "header");
      sessions.used(session.id);
      const { types, rooms } = session.binding ?? { types: null, rooms: null };
      return { userId: session.userId, sessionId: session.id, types, rooms };
    }
    const { userId, binding } = await verifyUser(token);
    if (options.strict) throw notBound();
    return { userId, sessionId: null, types: binding.types, rooms: binding.rooms };
  };

  return {
    authenticate,
    confirm,

    isMachine({ headers }) {
      const token = BEARER.exec(headers.get("authorization") ?? "")?.[1];
      return token !== undefined && looksLikeMachineToken(token);
    },

    async machine(visitor, kind) {
      const secret = readHeader(visitor.headers);
      if (secret === null || !looksLikeMachineToken(secret)) {
        await authenticate(visitor);
        throw new Refusal("forbidden", `This address takes ${kind} tokens only.`);
      }
      const token = await machineTokens.read(secret);
      if (token.kind !== kind) throw new Refusal("forbidden", `This address takes ${kind} tokens only.`);
      return token;
    },

    async opener(visitor) {
      const token = readHeader(visitor.headers) ?? cookieOf(visitor);
      if (userTokens === null) {
        if (token === null) return null;
        await refuseMachine(token);
        throw new Refusal("unauthenticated", "In open mode a session is opened without a credential.");
      }
      if (token === null) throw missing();
      return verifyUser(token);
    },

    offered(visitor, subprotocols) {
      const find = (prefix: string): string | null =>
        subprotocols.find((entry) => entry.startsWith(prefix))?.slice(prefix.length) ?? null;
      const token = readHeader(visitor.headers) ?? find("bearer.");
      // A cookie opens a session, or goes beside a session token that is to be resumed under it.
      return { token: token ?? cookieOf(visitor), session: find("session.") };
    },

    knows({ token, session }) {
      const isKnown = (one: string): boolean =>
        sessionTokens.remembers(one) || userTokens?.remembers(one) === true || machineTokens.remembers(one);
      return [token, session].every((one) => one === null || isKnown(one));
    },

    async enter({ token, session: second }) {
      const first = token ?? second;
      if (first === null) {
        if (userTokens !== null) throw missing();
        return { user: null, resumes: null };
      }
      const sessionToken = looksLikeSessionToken(first) ? first : second;
      const user = looksLikeSessionToken(first) ? null : await verifyUser(first);
      if (sessionToken === null) return { user, resumes: null };
      // With a fresh user token beside it, a session token is good as long as its session lives.
      const resumes = await livingSession(
        sessionToken,
        user === null ? options.resumeMs : Number.POSITIVE_INFINITY,
      ).catch((error: unknown) => {
        if (error instanceof Refusal && error.code === "token_expired")
          throw new Refusal("session_gone", error.message);
        throw error;
      });
      // Another user's session is one that there is not.
      if (user !== null && user.userId !== resumes.userId) throw gone();
      if (user === null && options.strict) throw notBound();
      if (user === null && isOver(resumes.binding, clock)) {
        throw new Refusal(
          "token_expired",
          "The user token of this session has expired; connect with both tokens.",
        );
      }
      return { user, resumes };
    },

    async refresh(userId, token) {
      const user = await verifyUser(token);
      if (user.userId !== userId) throw revoked();
      return user;
    },
  };
}

function isUpgrade(headers: Headers): boolean {
  return headers.get("upgrade") !== null;
}

function isOver(binding: UserBinding | null, clock: Clock): boolean {
  return binding !== null && binding.expiresAt + LIMITS.clockLeewayMs <= clock.wallMs();
}
