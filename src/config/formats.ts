/** The texts that have a form of their own: addresses, origins, URLs, keys. Each check says what is wrong, or null. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { readRedisUrl } from "../lib/redis-url.ts";
import { JOB_TYPE_NAME } from "../protocol/jobs.ts";
import type { TextCheck } from "./kinds.ts";

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?$/i;

export const hostProblem: TextCheck = (value) => {
  if (isIP(value) !== 0 || (HOST_NAME.test(value) && !/^[\d.]+$/.test(value))) return null;
  if (value.includes("//")) return "is a URL, and only the host belongs here";
  return "is neither an IP address nor a host name (the port is a setting of its own)";
};

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  if (isIPv6(host)) return /^(0*:)+0*1$/.test(host);
  return /^localhost\.?$/i.test(host);
}

function parsed(value: string, schemes: readonly string[]): URL | string {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null) return "is not a URL";
  if (!schemes.includes(url.protocol.slice(0, -1))) return `has the scheme ${url.protocol.slice(0, -1)}`;
  return url;
}

/** A server that the operator points at; user info would end up in logs, so keys have settings of their own. */
export const httpUrlProblem: TextCheck = (value) => {
  const url = parsed(value, ["http", "https"]);
  if (typeof url === "string") return url;
  if (url.username !== "" || url.password !== "") return "carries a user name or password";
  return url.hash === "" ? null : "has a fragment (#…)";
};

export const publicUrlProblem: TextCheck = (value) => {
  const problem = httpUrlProblem(value);
  if (problem !== null) return problem;
  const { pathname, search, origin } = new URL(value);
  // Every address the server hands out starts at the root, so a path could not be kept.
  return pathname === "/" && search === "" ? null : `has a path or a query: write ${origin}`;
};

const OTHER_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@,]+$/;

/** The form a browser sends in `Origin`, since entries are compared as they are written (RFC 6454 section 6.2). */
export const originProblem: TextCheck = (value) => {
  if (value === "*" || value.toLowerCase() === "null") return "would let in anyone, which is never allowed";
  if (!URL.canParse(value)) return "is not an origin";
  const { protocol, origin } = new URL(value);
  if (protocol === "http:" || protocol === "https:") {
    return value === origin ? null : `is not how a browser writes an origin: write ${origin}`;
  }
  // Apps that bring their own web view (capacitor://localhost) have origins of other schemes, without a normal form.
  return OTHER_ORIGIN.test(value) && protocol !== "file:" ? null : "is not an origin";
};

export const proxyProblem: TextCheck = (value) => {
  const [address = "", bits, ...rest] = value.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return "is neither an IP address nor a CIDR block";
  if (bits === undefined) return null;
  const most = version === 4 ? 32 : 128;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most ? null : `needs a prefix length from 0 to ${most}`;
};

export const DATABASE_SCHEMES = ["sqlite", "postgres", "postgresql"] as const;

export const databaseUrlProblem: TextCheck = (value) => {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined) return "has no scheme";
  if (!DATABASE_SCHEMES.some((known) => known === scheme)) return `has the unknown scheme ${scheme}`;
  if (scheme !== "sqlite") return URL.canParse(value) ? null : "is not a URL";
  const path = sqlitePathOf(value);
  if (path === "" || path.endsWith("/")) return "names no file";
  return /[?#\0]/.test(path) ? "has options (?…), which are settings of their own here" : null;
};

/** The file of a `sqlite:` URL as it was written, or `:memory:`. `sqlite:a`, `sqlite:/a` and `sqlite:///a` are understood. */
export function sqlitePathOf(databaseUrl: string): string {
  return databaseUrl.replace(/^sqlite:(\/\/)?/i, "");
}

/** Whether the database is a file (or memory) of this machine, as it is when nothing is configured. */
export function isOwnDatabase(databaseUrl: string | null): boolean {
  return databaseUrl === null || /^sqlite:/i.test(databaseUrl);
}

export const redisUrlProblem: TextCheck = (value) => {
  const place = readRedisUrl(value);
  if (typeof place === "string") return place;
  const bad = place.hosts.find(({ host }) => hostProblem(host) !== null);
  return bad === undefined ? null : "names a host that is neither an IP address nor a host name";
};

/** The value that says that sessions are where everything else is. */
export const IN_DATABASE = "database";

export function isRedisUrl(value: string): boolean {
  return /^rediss?[+:]/i.test(value);
}

export const sessionsUrlProblem: TextCheck = (value) => {
  if (value === IN_DATABASE) return null;
  return isRedisUrl(value) ? redisUrlProblem(value) : databaseUrlProblem(value);
};

/** An HMAC key is to be as long as its hash (RFC 7518 section 3.2). */
const SECRET_LEAST_BYTES = 32;

export const authSecretProblem: TextCheck = (value) =>
  Buffer.byteLength(value) >= SECRET_LEAST_BYTES ? null : `is shorter than ${SECRET_LEAST_BYTES} bytes`;

export const publicKeyProblem: TextCheck = (value) => {
  if (value.includes("PRIVATE KEY")) return "holds a private key: only the public one belongs here";
  return value.includes("-----BEGIN PUBLIC KEY-----") ? null : "is not a PEM public key";
};

/** A cookie's name is a token of RFC 6265 section 4.1.1. */
export const cookieProblem: TextCheck = (value) =>
  /^[\w!#$%&'*+.^`|~-]{1,128}$/.test(value) ? null : "is not a cookie name";

export const typeProblem: TextCheck = (value) =>
  JOB_TYPE_NAME.test(value) ? null : "is not the name of a job type";

/** A host name, one with `*.` in front for all below it, or `*` for any. */
export const webhookHostProblem: TextCheck = (value) =>
  value === "*" ? null : hostProblem(value.replace(/^\*\./, ""));

/** Bounds of a key (Standard Webhooks 1.0, "Signature scheme"). */
const WEBHOOK_KEY_BYTES = { least: 24, most: 64 };

export const webhookSecretProblem: TextCheck = (value) => {
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1];
  if (text === undefined) return "is not whsec_ and base64";
  const { byteLength } = Buffer.from(text, "base64");
  const { least, most } = WEBHOOK_KEY_BYTES;
  return byteLength >= least && byteLength <= most
    ? null
    : `holds ${byteLength} bytes, not ${least} to ${most}`;
};
