/** HTTP as the client uses it: with the session's token, a deadline, and answers turned into objects or `ClientError`s. */
import type { FieldError } from "../protocol/error.ts";
import type { ClientClock } from "./clock.ts";
import { ClientError } from "./errors.ts";

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface ApiOptions {
  readonly url: string;
  readonly fetch: Fetch;
  readonly clock: ClientClock;
  /** The session's token; waits for one when there is none yet, rejects when there will be none. */
  token(): Promise<string>;
  /** A user token that has to go along; null when none has. */
  userToken(): string | null;
  /** The server refused this token: resolves when there is another one to try. */
  renewed(refused: string): Promise<void>;
}

export interface ApiCall {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** The deadline covers the whole answer and not only its beginning: for answers that are short. */
  readonly whole?: boolean;
}

export interface Api {
  /** The answer as it is, whatever its status; rejects with `network` or `aborted` when there is none. */
  send(call: ApiCall): Promise<Response>;
  /** The JSON of a 2xx answer; anything else rejects with a `ClientError` that bears the server's code. */
  json<Shape>(call: ApiCall): Promise<Shape>;
}

const ANSWER_MS = 30_000;
const expiredCodes: ReadonlySet<string> = new Set(["token_expired", "session_gone"]);

export function createApi(options: ApiOptions): Api {
  async function once(call: ApiCall, token: string): Promise<Response> {
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    call.signal?.addEventListener("abort", stop, { once: true });
    if (call.signal?.aborted === true) stop();
    const timer = options.clock.after(ANSWER_MS, stop);
    const userToken = options.userToken();
    try {
      const response = await options.fetch(new URL(call.path, options.url).href, {
        method: call.method ?? "GET",
        headers: {
          Authorization: `Bearer ${token}`,
          ...(userToken === null ? {} : { "Holdline-User-Token": userToken }),
          ...(call.body === undefined ? {} : { "Content-Type": "application/json" }),
          ...call.headers,
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        credentials: "include",
        signal: abort.signal,
      });
      return call.whole === true || !response.ok ? await arrived(response) : response;
    } catch (cause) {
      if (call.signal?.aborted === true) throw new ClientError("aborted", "Given up.", { cause });
      throw new ClientError("network", "The server cannot be reached.", { cause });
    } finally {
      timer.cancel();
      call.signal?.removeEventListener("abort", stop);
    }
  }
  async function send(call: ApiCall): Promise<Response> {
    const token = await options.token();
    const response = await once(call, token);
    if (response.status !== 401) return response;
    // The token may have run out while this page was offline; the connection gets a new one, and once is enough.
    const refusal = await problem(response.clone());
    if (!expiredCodes.has(refusal.code)) return response;
    await options.renewed(token);
    return once(call, await options.token());
  }
  return {
    send,
    async json<Shape>(call: ApiCall): Promise<Shape> {
      const response = await send({ ...call, whole: true });
      if (!response.ok) throw await problem(response);
      try {
        return (await response.json()) as Shape;
      } catch (cause) {
        throw new ClientError("bad_answer", "The answer is not JSON.", { status: response.status, cause });
      }
    },
  };
}

/** The same answer once all of it is here: a network that goes away in the middle of it must not be waited for for ever. */
async function arrived(response: Response): Promise<Response> {
  const bytes = await response.arrayBuffer();
  const { status, statusText, headers } = response;
  return new Response(bytes.byteLength === 0 ? null : bytes, { status, statusText, headers });
}

interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly FieldError[];
}

/** The error an answer stands for. What a proxy wrote instead of the server becomes `bad_answer`. */
export async function problem(response: Response): Promise<ClientError> {
  const body = (await response.json().catch(() => ({}))) as Partial<Problem>;
  const retryAfterSeconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new ClientError(
    body.code ?? "bad_answer",
    body.detail ?? `The server answered ${response.status}.`,
    {
      status: response.status,
      ...(body.errors === undefined ? {} : { errors: body.errors }),
      ...(Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1000 } : {}),
    },
  );
}
