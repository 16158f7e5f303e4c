/**
 * What is checked of every request before anything else looks at it: tokens in the URL, the Host in open mode, the
 * Origin (PROTOCOL section 2). The same for HTTP and for the upgrade to a socket.
 */
import { Refusal } from "../protocol/error.ts";

export interface GuardOptions {
  readonly openMode: boolean;
  /** `auth=open` was set: reachable from anywhere, on purpose. */
  readonly openAnywhere: boolean;
  readonly publicUrl: string | null;
  /** Configured origins; null: the public URL's, and in open mode the loopback ones. */
  readonly allowedOrigins: readonly string[] | null;
  readonly port: number;
}

export interface Guard {
  /** Throws what is wrong with the request; returns the allowed Origin it bears, or null. */
  check(request: Request, url: URL): string | null;
  readonly origins: ReadonlySet<string>;
}

const TOKEN_PARAMETERS = new Set(["token", "access_token", "session_token", "auth", "jwt", "key"]);
const JWT_SHAPE = /^[\w-]{10,}\.[\w-]{10,}\.[\w-]*$/;
const MACHINE_SHAPE = /^hl[wap]_[\w-]{16,}$/;
const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"];

/** As a segment of a path; dots alone make no token there, a JWT's first part begins with `{"`. */
const TOKEN_SEGMENT =
  /(?<=\/)(?:eyJ[\w-]{7,}(?:\.|%2e)[\w-]{10,}(?:\.|%2e)[\w-]*|hl[wap]_[\w-]{16,})(?=\/|$)/gi;

/** A path that may be said again: without the tokens that somebody put into it. */
export function pathWithoutTokens(path: string): string {
  return path.replace(TOKEN_SEGMENT, "-");
}

function isToken(text: string): boolean {
  const value = text.replace(/^bearer[ +]+/i, "");
  return JWT_SHAPE.test(value) || MACHINE_SHAPE.test(value);
}

function bearsToken(url: URL): boolean {
  if (pathWithoutTokens(url.pathname) !== url.pathname) return true;
  if (url.search === "") return false;
  for (const [name, value] of url.searchParams) {
    if (TOKEN_PARAMETERS.has(name.toLowerCase()) || isToken(name) || isToken(value)) return true;
  }
  return false;
}

function refuseTokens(url: URL): void {
  if (!bearsToken(url)) return;
  throw new Refusal(
    "token_in_url",
    "Tokens travel in the Authorization header, never in a URL: URLs are logged.",
  );
}

/**
 * Headers of which a request may have one only (RFC 9112 sections 3.2 and 6.3). The runtime takes the first `Host` and
 * lets equal lengths pass, joined with a comma, and `Number("9, 9")` is over no limit.
 */
function refuseRepeated(headers: Headers): void {
  for (const name of ["host", "content-length"]) {
    if (headers.get(name)?.includes(",") !== true) continue;
    throw new Refusal("invalid_request", `The header ${name} was sent more than once.`, {
      headers: { Connection: "close" },
    });
  }
}

/** The URL of a request; throws a refusal when its Host or path makes none. */
export function parseUrl(request: Request): URL {
  try {
    return new URL(request.url);
  } catch {
    throw new Refusal("invalid_request", "The Host header or the path is not valid.");
  }
}

function allowedOrigins(options: GuardOptions): Set<string> {
  if (options.allowedOrigins !== null) return new Set(options.allowedOrigins);
  const origins = new Set<string>();
  if (options.publicUrl !== null) origins.add(new URL(options.publicUrl).origin);
  if (options.openMode) for (const host of LOOPBACK_HOSTS) origins.add(`http://${host}:${options.port}`);
  return origins;
}

export function createGuard(options: GuardOptions): Guard {
  const origins = allowedOrigins(options);
  const hosts = new Set(LOOPBACK_HOSTS);
  if (options.publicUrl !== null) hosts.add(new URL(options.publicUrl).hostname);
  const anyHost = !options.openMode || options.openAnywhere;

  return {
    origins,
    check(request, url) {
      refuseRepeated(request.headers);
      // Open mode trusts whoever reaches it: a page that points its own name at 127.0.0.1 must not (DNS rebinding).
      if (!anyHost && !hosts.has(url.hostname)) {
        throw new Refusal(
          "forbidden",
          "In open mode the server answers to loopback names and to its public URL only.",
        );
      }
      refuseTokens(url);
      const origin = request.headers.get("origin");
      if (origin !== null && !origins.has(origin))
        throw new Refusal("forbidden_origin", "This origin is not allowed.");
      return origin;
    },
  };
}
