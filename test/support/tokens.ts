/** JSON Web Tokens made and taken apart by hand, good ones and forged ones, with no library in between. */
import { createHmac } from "node:crypto";

export interface TokenParts {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
}

function encode(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

function decode(part: string | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(part ?? "", "base64url").toString("utf8")) as Record<string, unknown>;
}

/** Header and claims, unverified. */
export function readToken(token: string): TokenParts {
  const [header, claims] = token.split(".");
  return { header: decode(header), claims: decode(claims) };
}

/** The same token with some of its header or claims changed and the old signature kept. */
export function forge(token: string, change: Partial<TokenParts>): string {
  const { header, claims } = readToken(token);
  const signature = token.split(".")[2] ?? "";
  return `${encode({ ...header, ...change.header })}.${encode({ ...claims, ...change.claims })}.${signature}`;
}

/** A token that says it needs no signature. */
export function unsigned(claims: Record<string, unknown>, header: Record<string, unknown> = {}): string {
  return `${encode({ alg: "none", ...header })}.${encode(claims)}.`;
}

/** An HS256 token; `exp` in an hour unless the claims say otherwise (undefined leaves it out). */
export function userToken(
  secret: string,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): string {
  const expires = { exp: Math.floor(Date.now() / 1000) + 3600 };
  const signed = `${encode({ alg: "HS256", typ: "JWT", ...header })}.${encode({ ...expires, ...claims })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
