/**
 * User tokens: JWTs of the operator's identity provider (PROTOCOL section 2). Verified with one configured key or key
 * set, each with its own list of algorithms; what a token says of how it wants to be verified is never believed.
 */
import { createPublicKey } from "node:crypto";
import {
  decodeProtectedHeader,
  errors,
  importSPKI,
  jwtVerify,
  type CryptoKey,
  type JWTVerifyGetKey,
} from "jose";
import { z } from "zod";
import type { Clock } from "../lib/clock.ts";
import type { UserId } from "../lib/ids.ts";
import { createLru } from "../lib/lru.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";
import { createKeySet, KeySetUnavailable } from "./key-set.ts";
import type { UserBinding } from "./session.ts";
import { hashToken, isCanonical, SESSION_TOKEN_TYPE } from "./tokens.ts";

/** A user token that was verified: who it is, and what a session opened with it is bound to. */
export interface VerifiedUser {
  readonly userId: UserId;
  readonly binding: UserBinding;
}

export interface UserTokens {
  /**
   * Rejects: `token_expired`; `auth_unavailable` when no key could be fetched yet; `unauthenticated` for everything
   * else that is wrong with it, without saying what.
   */
  verify(token: string): Promise<VerifiedUser>;
  /** Whether it was verified before, so that judging it costs no signature check. */
  remembers(token: string): boolean;
}

export type UserKeySource =
  | { readonly kind: "secret"; readonly secret: string }
  | { readonly kind: "pem"; readonly pem: string }
  | { readonly kind: "jwks"; readonly url: string };

export interface UserTokensOptions {
  readonly source: UserKeySource;
  /** Checked when given. */
  readonly issuer: string | null;
  readonly audience: string | null;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
}

const REMEMBERED = 20_000;
const names = z.array(z.string().min(1).max(LIMITS.roomChars)).max(1000);

const claimsSchema = z.object({
  sub: z.string().min(1).max(LIMITS.userIdChars),
  exp: z.number(),
  iat: z.number().optional(),
  jti: z.string().min(1).max(LIMITS.userIdChars).optional(),
  /** Narrows what its user may submit and join. A malformed one is refused: it was meant to forbid something. */
  holdline: z.object({ types: names.optional(), rooms: names.optional() }).optional(),
});

function unauthenticated(cause?: unknown): Refusal {
  return new Refusal("unauthenticated", "The user token is not valid.", { cause });
}

function expired(): Refusal {
  return new Refusal("token_expired", "The user token has expired; fetch a fresh one.");
}

interface Key {
  readonly algorithms: string[];
  readonly key: Uint8Array | CryptoKey | JWTVerifyGetKey;
}

/** Each kind of key verifies its own algorithms: a public key is never used as a shared secret. */
async function loadKey({ source, clock, fetch: get }: UserTokensOptions): Promise<Key> {
  switch (source.kind) {
    case "secret":
      return { algorithms: ["HS256"], key: new TextEncoder().encode(source.secret) };
    case "pem": {
      const type = createPublicKey(source.pem).asymmetricKeyType;
      const algorithm = type === "rsa" ? "RS256" : type === "ec" ? "ES256" : "EdDSA";
      return { algorithms: [algorithm], key: await importSPKI(source.pem, algorithm) };
    }
    case "jwks":
      return {
        algorithms: ["RS256", "ES256", "EdDSA"],
        key: createKeySet({ url: source.url, clock, fetch: get }),
      };
  }
}

/** Headers by which a token would bring or name its own key, and the type of our own tokens. */
function refuseHeader(token: string): void {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch (error) {
    throw unauthenticated(error);
  }
  const brought = ["jku", "x5u", "jwk", "x5c", "b64"].some((name) => name in header);
  if (brought || header.typ === SESSION_TOKEN_TYPE) throw unauthenticated();
}

export async function createUserTokens(options: UserTokensOptions): Promise<UserTokens> {
  const { clock, issuer, audience } = options;
  const { algorithms, key } = await loadKey(options);
  const remembered = createLru<string, VerifiedUser>(REMEMBERED);

  const judge = async (token: string, hash: string): Promise<VerifiedUser> => {
    if (!isCanonical(token)) throw unauthenticated();
    refuseHeader(token);
    const now = clock.wallMs();
    const verifyOptions = {
      algorithms,
      currentDate: new Date(now),
      clockTolerance: LIMITS.clockLeewayMs / 1000,
      requiredClaims: ["exp", "sub"],
      ...(issuer === null ? {} : { issuer }),
      ...(audience === null ? {} : { audience }),
    };
    const { payload } =
      typeof key === "function"
        ? await jwtVerify(token, key, verifyOptions)
        : await jwtVerify(token, key, verifyOptions);
    const claims = claimsSchema.parse(payload);
    const expiresAt = claims.exp * 1000;
    const issuedAt = claims.iat === undefined ? null : claims.iat * 1000;
    if (
      expiresAt > now + LIMITS.userTokenLifeMs ||
      !claims.sub.isWellFormed() ||
      claims.sub.includes("\u0000")
    ) {
      throw unauthenticated();
    }
    if (issuedAt !== null && issuedAt > now + LIMITS.clockLeewayMs) throw unauthenticated();
    return {
      userId: claims.sub as UserId,
      binding: {
        tokenHash: hash,
        tokenId: claims.jti ?? hashToken(token.slice(0, token.lastIndexOf("."))),
        issuedAt: issuedAt ?? 0,
        expiresAt,
        types: claims.holdline?.types ?? null,
        rooms: claims.holdline?.rooms ?? null,
      },
    };
  };

  return {
    remembers: (token) => remembered.get(hashToken(token)) !== undefined,

    async verify(token) {
      if (token.length > LIMITS.tokenChars) throw unauthenticated();
      const hash = hashToken(token);
      const known = remembered.get(hash);
      if (known !== undefined) {
        if (known.binding.expiresAt + LIMITS.clockLeewayMs <= clock.wallMs()) throw expired();
        return known;
      }
      try {
        const verified = await judge(token, hash);
        remembered.set(hash, verified);
        return verified;
      } catch (error) {
        if (error instanceof Refusal) throw error;
        if (error instanceof errors.JWTExpired) throw expired();
        if (error instanceof KeySetUnavailable) {
          throw new Refusal("auth_unavailable", "The keys of user tokens cannot be fetched.", {
            cause: error,
          });
        }
        throw unauthenticated(error);
      }
    },
  };
}
