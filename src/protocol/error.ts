/** The one error class of the product: a refusal with a code of the closed list, mapped once to HTTP and once to frames. */
import { ERROR_CODES, type ErrorCode } from "./codes.ts";

/** One thing wrong with a body: a JSON Pointer (RFC 6901) from its root and what is wrong there. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

export interface RefusalExtras {
  readonly errors?: readonly FieldError[];
  /** Further members of the problem body, all of them safe to show. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Response headers that belong to the refusal (`Allow`, `Retry-After`, …). */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A refusal. `message` is shown to the client: no secret and nothing of another user may be in it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[] | undefined;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, detail: string, extras: RefusalExtras = {}) {
    super(detail, { cause: extras.cause });
    this.code = code;
    this.errors = extras.errors;
    this.extra = extras.extra ?? {};
    this.headers = extras.headers ?? {};
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}

/** A refusal that names one field of the body. */
export function invalidField(pointer: string, detail: string): Refusal {
  return new Refusal("invalid_request", `${pointer === "" ? "The body" : pointer}: ${detail}`, {
    errors: [{ pointer, detail }],
  });
}
