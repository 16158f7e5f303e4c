/**
 * Session tokens: short-lived JWTs signed by this installation (PROTOCOL section 2). Issuing and reading only; whether
 * the session they name still lives is another question (sessions.ts).
 */
import { compactVerify, decodeProtectedHeader, SignJWT } from "jose";
import { z } from "zod";
import type { Ids, SessionId, UserId } from "../lib/ids.ts";
import type { Clock } from "../lib/clock.ts";
import { createLru } from "../lib/lru.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { SigningKeys } from "./keys/keys.ts";
import type { UserBinding } from "./session.ts";

export const SESSION_TOKEN_TYPE = "holdline-session+jwt";

const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string().min(1),
  sid: z.string().min(1),
  uth: z.string().optional(),
  iat: z.number(),
  exp: z.number(),
  jti: z.string(),
});

export interface SessionClaims {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  /** base64url SHA-256 of the user token; null in open mode. */
  readonly userTokenHash: string | null;
  readonly issuedAt: number;
  /** Wall time in ms; the caller judges it, with the grace that its use has. */
  readonly expiresAt: number;
  readonly tokenId: string;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: number;
}

export interface SessionTokens {
  issue(session: {
    readonly id: SessionId;
    readonly userId: UserId;
    readonly binding: UserBinding | null;
  }): Promise<IssuedToken>;
  /**
   * The claims of a genuine token, over or not. Rejects with Refusal `unauthenticated` for anything else, and with
   * `storage_unavailable` when it names a key that cannot be looked for at this moment.
   */
  read(token: string): Promise<SessionClaims>;
  /** Whether it was verified before, so that reading it costs no signature check. */
  remembers(token: string): boolean;
}

export interface SessionTokensOptions {
  readonly keys: SigningKeys;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly issuer: string;
  readonly lifeMs: number;
}

/** Verified tokens are remembered by their hash, so that a request costs a look-up and not a signature check. */
const REMEMBERED = 20_000;

/** base64url SHA-256 of a token: what stands for it wherever it is remembered. */
export function hashToken(token: string): string {
  return new Bun.CryptoHasher("sha256").update(token).digest("base64url");
}

const COMPACT = /^[\w-]+\.[\w-]+\.([\w-]+)$/;

/**
 * Whether a JWT is spelled in the one way that RFC 7515 has for it. Decoders let padding, the other alphabet and spare
 * bits of the signature pass: then one token would have many hashes, and a revocation by its hash would miss the others.
 */
export function isCanonical(token: string): boolean {
  const signature = COMPACT.exec(token)?.[1];
  return signature !== undefined && Buffer.from(signature, "base64url").toString("base64url") === signature;
}

/** Whether a token says of itself that it is one of ours; nothing is verified. */
export function looksLikeSessionToken(token: string): boolean {
  try {
    return decodeProtectedHeader(token).typ === SESSION_TOKEN_TYPE;
  } catch {
    return false;
  }
}

function unauthenticated(): Refusal {
  return new Refusal("unauthenticated", "The token is not valid.");
}

interface Verified {
  readonly claims: SessionClaims;
  /** The key that its signature was checked with. */
  readonly kid: string;
}

export function createSessionTokens(options: SessionTokensOptions): SessionTokens {
  const { keys, clock, ids, issuer, lifeMs } = options;
  const remembered = createLru<string, Verified>(REMEMBERED);

  const verify = async (token: string): Promise<Verified> => {
    try {
      const { payload, protectedHeader } = await compactVerify(
        token,
        async ({ kid = "" }) => {
          const key = keys.publicKey(kid) ?? (await keys.lookFor(kid));
          if (key === null) throw unauthenticated();
          return key;
        },
        { algorithms: ["EdDSA"] },
      );
      if (protectedHeader.typ !== SESSION_TOKEN_TYPE) throw unauthenticated();
      const claims = claimsSchema.parse(JSON.parse(new TextDecoder().decode(payload)));
      if (claims.iss !== issuer) throw unauthenticated();
      const verified: SessionClaims = {
        userId: claims.sub as UserId,
        sessionId: claims.sid as SessionId,
        userTokenHash: claims.uth ?? null,
        issuedAt: claims.iat * 1000,
        expiresAt: claims.exp * 1000,
        tokenId: claims.jti,
      };
      return { claims: verified, kid: protectedHeader.kid ?? "" };
    } catch (error) {
      // It may be good: nobody can tell.
      if (error instanceof Refusal && error.code === "storage_unavailable") throw error;
      // Why it is bad is nobody's business: one answer for every bad token.
      throw unauthenticated();
    }
  };

  return {
    async issue(session) {
      const issuedAt = Math.floor(clock.wallMs() / 1000);
      // Never beyond the user token that the session is bound to.
      const endMs = Math.min(clock.wallMs() + lifeMs, session.binding?.expiresAt ?? Number.POSITIVE_INFINITY);
      const expiresAt = Math.max(issuedAt + 1, Math.floor(endMs / 1000));
      const { kid, privateKey } = keys.current;
      const tokenId = ids.any();
      const userTokenHash = session.binding?.tokenHash ?? null;
      const token = await new SignJWT({
        sid: session.id,
        ...(userTokenHash === null ? {} : { uth: userTokenHash }),
      })
        .setProtectedHeader({ alg: "EdDSA", typ: SESSION_TOKEN_TYPE, kid })
        .setIssuer(issuer)
        .setSubject(session.userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .setJti(tokenId)
        .sign(privateKey);
      // What was just signed need not be verified when it comes back.
      const claims: SessionClaims = {
        userId: session.userId,
        sessionId: session.id,
        userTokenHash,
        issuedAt: issuedAt * 1000,
        expiresAt: expiresAt * 1000,
        tokenId,
      };
      remembered.set(hashToken(token), { claims, kid });
      return { token, expiresAt: expiresAt * 1000 };
    },

    remembers: (token) => remembered.get(hashToken(token)) !== undefined,

    async read(token) {
      if (token.length > LIMITS.tokenChars) throw unauthenticated();
      const hash = hashToken(token);
      const known = remembered.get(hash);
      if (known !== undefined) {
        // The key may have been removed since then, and its tokens with it.
        if (keys.publicKey(known.kid) !== null) return known.claims;
        remembered.delete(hash);
        throw unauthenticated();
      }
      const verified = await verify(token);
      remembered.set(hash, verified);
      return verified.claims;
    },
  };
}
