/** Errors of HTTP calls, mapped once: RFC 9457 problem details, and never a word of what only the log may know. */
import { ERROR_CODES } from "../protocol/codes.ts";
import { Refusal } from "../protocol/error.ts";

export interface ProblemContext {
  readonly traceId: string;
  /** Path of the request: `instance`. */
  readonly path: string;
}

/** The answer to a refusal. `Retry-After` is 1 s where the code says that trying again makes sense and nobody said when. */
export function problemResponse(refusal: Refusal, { traceId, path }: ProblemContext): Response {
  const { code, status } = refusal;
  const { title, retryable } = ERROR_CODES[code];
  const headers: Record<string, string> = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
  };
  if (status === 401) headers["WWW-Authenticate"] = `Bearer realm="holdline", error="${challenge(code)}"`;
  if (status === 429 || status === 503) headers["Retry-After"] = "1";
  const body = {
    type: `urn:holdline:problem:${code}`,
    title,
    status,
    detail: refusal.message,
    instance: path,
    code,
    traceId,
    retryable,
    ...(refusal.errors === undefined ? {} : { errors: refusal.errors }),
    ...refusal.extra,
  };
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...refusal.headers } });
}

/** RFC 6750 knows one word for every bad token. */
function challenge(code: string): string {
  return code === "unauthenticated" ? "invalid_request" : "invalid_token";
}

/** What is thrown and is no refusal is ours to explain in the log; the client learns that it happened. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal("internal", "Something went wrong inside; the log has it under the trace id.", {
    cause: error,
  });
}
