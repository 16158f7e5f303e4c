/**
 * Tokens without signatures: a simulated run needs who they are for and when they end, and signing happens on threads
 * that no seed can order. Genuine is what this file made.
 */
import type { Tokens } from "../../src/access.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { Ids, UserId } from "../../src/lib/ids.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { hashToken, SESSION_TOKEN_TYPE, type SessionClaims } from "../../src/sessions/tokens.ts";

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode<Shape>(token: string): Shape {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Shape;
  } catch (cause) {
    throw new Refusal("unauthenticated", "The token is not valid.", { cause });
  }
}

function make(typ: string, payload: unknown): string {
  return `${encode({ alg: "EdDSA", typ })}.${encode(payload)}.c2lt`;
}

interface UserClaims {
  readonly sub: UserId;
  readonly jti: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** What the identity provider hands out: good for `lifeMs` from `wallMs` on. */
export function makeUserToken(user: string, number: number, wallMs: number, lifeMs: number): string {
  const claims: UserClaims = {
    sub: user as UserId,
    jti: `${user}-${number}`,
    issuedAt: wallMs,
    expiresAt: wallMs + lifeMs,
  };
  return make("JWT", claims);
}

/** The session a token names. */
export function sessionOf(token: string): string {
  return decode<SessionClaims>(token).sessionId;
}

export function createSimulatedTokens(clock: Clock, ids: Ids, lifeMs: number): Tokens {
  const known = new Set<string>();
  return {
    start: () => undefined,
    stop: () => undefined,
    sessionTokens: {
      async issue({ id, userId, binding }) {
        const issuedAt = clock.wallMs();
        const claims: SessionClaims = {
          userId,
          sessionId: id,
          userTokenHash: binding?.tokenHash ?? null,
          issuedAt,
          expiresAt: Math.min(issuedAt + lifeMs, binding?.expiresAt ?? Number.POSITIVE_INFINITY),
          tokenId: ids.any(),
        };
        const token = make(SESSION_TOKEN_TYPE, claims);
        known.add(token);
        return { token, expiresAt: claims.expiresAt };
      },
      async read(token) {
        known.add(token);
        return decode<SessionClaims>(token);
      },
      remembers: (token) => known.has(token),
    },
    userTokens: {
      async verify(token) {
        const { sub, jti, issuedAt, expiresAt } = decode<UserClaims>(token);
        if (expiresAt + LIMITS.clockLeewayMs <= clock.wallMs())
          throw new Refusal("token_expired", "The user token has expired.");
        known.add(token);
        return {
          userId: sub,
          binding: {
            tokenHash: hashToken(token),
            tokenId: jti,
            issuedAt,
            expiresAt,
            types: null,
            rooms: null,
          },
        };
      },
      remembers: (token) => known.has(token),
    },
  };
}
