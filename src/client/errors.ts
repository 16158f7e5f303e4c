/** The client's one error class: every rejection carries a code that a program can switch on. */
import type { FieldError } from "../protocol/error.ts";

export interface ClientErrorFacts {
  /** HTTP status, if an answer from the server is the reason. */
  readonly status?: number;
  /** What is wrong with which field of the body, if the server said so. */
  readonly errors?: readonly FieldError[];
  /** How long the server asked the client to wait, in ms. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * `code` is a code of the server's closed list (`src/protocol/codes.ts`), a code of a job's error, the name of a close,
 * or one of the client's own: `offline` (not connected), `closed` (the client was closed), `network` (no answer),
 * `aborted`, `bad_answer` (not what the protocol says), `canceled` and `expired` (how a job ended).
 */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: string;
  readonly status: number | undefined;
  readonly errors: readonly FieldError[];
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, facts: ClientErrorFacts = {}) {
    super(message, { cause: facts.cause });
    this.code = code;
    this.status = facts.status;
    this.errors = facts.errors ?? [];
    this.retryAfterMs = facts.retryAfterMs;
  }
}
