/**
 * The closed lists of what can go wrong on the wire: HTTP problem codes, codes of a job's error, close codes.
 *
 * Everything the server ever says in a `code` field stands here, once, with what follows from it. Clients switch
 * on these names, so an entry is never renamed; docs/protocol.md and the OpenAPI document are made from this list.
 */

/** HTTP status, human title, and whether the same request may succeed later without being changed. */
export interface ErrorCodeFacts {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

/** Problem codes (RFC 9457 `code` extension) and codes of WebSocket `error` frames. */
export const ERROR_CODES = {
  invalid_request: { status: 400, title: "The request is not valid", retryable: false },
  token_in_url: { status: 400, title: "A token must not travel in a URL", retryable: false },
  invalid_idempotency_key: { status: 400, title: "The Idempotency-Key is not valid", retryable: false },
  invalid_cursor: { status: 400, title: "The cursor is not valid", retryable: false },
  unauthenticated: { status: 401, title: "A valid credential is required", retryable: false },
  token_expired: { status: 401, title: "The token has expired", retryable: false },
  token_revoked: { status: 401, title: "The token was revoked", retryable: false },
  token_binding: { status: 401, title: "The two tokens do not belong together", retryable: false },
  session_gone: { status: 401, title: "The session is over", retryable: false },
  forbidden: { status: 403, title: "Not allowed", retryable: false },
  forbidden_origin: { status: 403, title: "This origin is not allowed", retryable: false },
  not_found: { status: 404, title: "Not found", retryable: false },
  no_audio: { status: 404, title: "The job has no audio", retryable: false },
  method_not_allowed: { status: 405, title: "Method not allowed", retryable: false },
  not_acceptable: { status: 406, title: "Not acceptable", retryable: false },
  request_timeout: { status: 408, title: "The request took too long to arrive", retryable: true },
  job_not_terminal: { status: 409, title: "The job has not ended yet", retryable: true },
  lease_lost: { status: 409, title: "The lease is no longer held", retryable: false },
  item_gap: { status: 409, title: "Items are missing before this one", retryable: false },
  cursor_expired: { status: 410, title: "The log cannot be read from this cursor", retryable: false },
  job_purged: { status: 410, title: "The job was deleted", retryable: false },
  payload_too_large: { status: 413, title: "The body is too large", retryable: false },
  unsupported_media_type: { status: 415, title: "Unsupported media type", retryable: false },
  range_not_satisfiable: { status: 416, title: "The range cannot be satisfied", retryable: false },
  unknown_type: { status: 422, title: "No such job type", retryable: false },
  idempotency_key_reused: {
    status: 422,
    title: "The Idempotency-Key was used with another body",
    retryable: false,
  },
  upgrade_required: { status: 426, title: "This address speaks WebSocket", retryable: false },
  rate_limited: { status: 429, title: "Too many requests", retryable: true },
  too_many_jobs: { status: 429, title: "Too many unfinished jobs", retryable: true },
  too_many_sessions: { status: 429, title: "Too many sessions", retryable: true },
  headers_too_large: { status: 431, title: "The headers are too large", retryable: false },
  internal: { status: 500, title: "Internal error", retryable: true },
  queue_full: { status: 503, title: "The queue is full", retryable: true },
  draining: { status: 503, title: "The server is shutting down", retryable: true },
  storage_unavailable: { status: 503, title: "The storage does not answer", retryable: true },
  auth_unavailable: { status: 503, title: "Tokens cannot be verified at the moment", retryable: true },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Codes of a job's own `error`; a handler may add its own. */
export const JOB_ERROR_CODES = [
  "timeout",
  "first_output_timeout",
  "idle_timeout",
  "worker_lost",
  "restored",
  "output_too_large",
  "handler_error",
  "invalid_output",
  "upstream_error",
  "upstream_refused",
] as const;

/**
 * WebSocket close codes. 4000–4499: come back, with back-off. 4500–4999: not before something else was done.
 * The reason text of a close is the name.
 */
export const CLOSE_CODES = {
  draining: 4000,
  slow_consumer: 4001,
  heartbeat_timeout: 4002,
  overloaded: 4003,
  internal: 4004,
  token_expired: 4005,
  unauthenticated: 4500,
  session_gone: 4501,
  revoked: 4502,
  replaced: 4503,
  protocol_error: 4504,
  too_many_sessions: 4505,
} as const;

export type CloseName = keyof typeof CLOSE_CODES;

/** Closes after which a client may reconnect by itself (PROTOCOL section 5). */
export function mayReconnect(code: number): boolean {
  return code < 4500 && code !== 1009;
}
