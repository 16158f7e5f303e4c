/** The operator's identity provider as abuse tests need one: keys of every kind, tokens good and forged, a key set on a port. */
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { userToken } from "../support/tokens.ts";

export const SECRET = "the operator's own secret, which is long enough";

/** Settings of a server that verifies user tokens with the secret; `tokens` jobs are what tests submit. */
export const WITH_SECRET = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" } as const;

export type Claims = Record<string, unknown>;

export function seconds(fromNow = 0): number {
  return Math.floor(Date.now() / 1000) + fromNow;
}

/** A token of this user, signed with the shared secret; good for an hour, and like no other one. */
export function tokenOf(sub: string, claims: Claims = {}): string {
  return userToken(SECRET, { sub, iat: seconds(), jti: Bun.randomUUIDv7(), ...claims });
}

export type Algorithm = "RS256" | "ES256" | "EdDSA";

export interface SigningKey {
  readonly algorithm: Algorithm;
  readonly pem: string;
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
  /** A token of `alice`, good for an hour unless the claims say otherwise. */
  sign(claims?: Claims, header?: Record<string, unknown>): Promise<string>;
}

export async function createSigningKey(algorithm: Algorithm, kid = "first"): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return {
    algorithm,
    pem: await exportSPKI(publicKey),
    jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" },
    privateKey,
    sign: (claims = {}, header = {}) =>
      new SignJWT({ sub: "alice", exp: seconds(3600), jti: Bun.randomUUIDv7(), ...claims })
        .setProtectedHeader({ alg: algorithm, kid, ...header })
        .sign(privateKey),
  };
}

export interface KeySetServer extends Disposable {
  readonly url: string;
  /** Requests so far. */
  readonly asked: number;
  /** What the next requests are answered with. */
  answer: () => Response | Promise<Response>;
  /** Nobody listens any more. */
  stop(): void;
}

/** Serves a key set, or whatever a test puts in its place. */
export function serveKeySet(...keys: readonly SigningKey[]): KeySetServer {
  let asked = 0;
  const provider = {
    answer: (): Response | Promise<Response> => Response.json({ keys: keys.map(({ jwk }) => jwk) }),
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch() {
      asked += 1;
      return provider.answer();
    },
  });
  const stop = (): void => void server.stop(true);
  return {
    url: `http://127.0.0.1:${server.port}/keys`,
    get asked() {
      return asked;
    },
    get answer() {
      return provider.answer;
    },
    set answer(answer) {
      provider.answer = answer;
    },
    stop,
    [Symbol.dispose]: stop,
  };
}
