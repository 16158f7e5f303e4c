/** What an upstream's failure means for the job: which one may be tried again, and when; and reading what it sends. */
import { JobError } from "./handler.ts";

/** The part of `fetch` that is used; `timeout: false` turns off Bun's own five minutes (the job has its own). */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

/** The longest wait an upstream may ask for: past it the job would rather try and be told again. */
const RETRY_AFTER_MOST_MS = 60 * 60 * 1000;

/** A failure that another run may not meet: `upstream_error`, retryable. `message` is shown to the user. */
export function upstreamFailure(
  message: string,
  options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {},
): JobError {
  return new JobError("upstream_error", message, {
    retryable: true,
    origin: "upstream",
    cause: options.cause,
    ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
  });
}

/**
 * Milliseconds that `Retry-After` asks to wait (RFC 9110, section 10.2.3: seconds or an HTTP date), or undefined where
 * it is missing or unreadable. A date is measured from the answer's own `Date`, so the two clocks need not agree.
 */
export function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get("Retry-After")?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(value)) return waitOf(Number(value) * 1000);
  if (!value.endsWith("GMT")) return undefined;
  return waitOf(Date.parse(value) - Date.parse(headers.get("Date") ?? ""));
}

function waitOf(waitMs: number): number | undefined {
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(Math.ceil(waitMs), 0), RETRY_AFTER_MOST_MS);
}

/** The error for an answer whose status says that the request failed; `who` begins the sentence shown to the user. */
function upstreamRefusal(who: string, response: Response, said: string): JobError {
  const { status, headers } = response;
  const message = `${who} answered ${status}.`;
  const cause = { status, said };
  if (status === 408 || status === 429 || status >= 500)
    return upstreamFailure(message, { retryAfterMs: retryAfterMs(headers), cause });
  return new JobError("upstream_refused", message, { retryable: false, origin: "upstream", cause });
}

/** The beginning of a body that may be endless, at least `chars` long where there is that much: for the log. */
async function beginningOf(response: Response, chars: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length >= chars) break;
    }
  } catch {
    // What was read so far is all there is to log; the refusal itself is known already.
  }
  return text;
}

/** How much of what an upstream said is logged. */
const LOGGED_CHARS = 500;

/** Words of an upstream for the log: shortened, and without the keys it was sent, which it may say back. */
export function quotable(words: string, secrets: readonly string[]): string {
  // Before it is shortened, or a part of a key could remain at the end.
  let said = words;
  for (const secret of secrets) if (secret !== "") said = said.replaceAll(secret, "[key]");
  return said.slice(0, LOGGED_CHARS);
}

/** An upstream whose answer is not what was asked for; `said` is what the log gets of it. */
export function nonsense(message: string, words: string, secrets: readonly string[]): JobError {
  return upstreamFailure(message, { cause: { said: quotable(words, secrets) } });
}

/** The same for a whole answer of the wrong type: the log gets its type and its beginning. */
export async function wrongType(
  message: string,
  response: Response,
  secrets: readonly string[],
): Promise<JobError> {
  const contentType = response.headers.get("Content-Type");
  const longest = Math.max(0, ...secrets.map(({ length }) => length));
  const said = quotable(await beginningOf(response, LOGGED_CHARS + longest), secrets);
  return upstreamFailure(message, { cause: { contentType, said } });
}

/** Rejects with the error for an answer whose status says that the request failed; its cause is what the log gets. */
export async function refuse(response: Response, who: string, secrets: readonly string[]): Promise<never> {
  const longest = Math.max(0, ...secrets.map(({ length }) => length));
  const begun = await beginningOf(response, LOGGED_CHARS + longest);
  throw upstreamRefusal(who, response, quotable(begun, secrets));
}

/** A stream that ended too early; `cause` is what the connection reported, if it did. */
export function cutOff(who: string, cause?: unknown): JobError {
  return upstreamFailure(`${who} broke off before the answer was complete.`, { cause });
}

export interface BodyOptions {
  readonly who: string;
  readonly signal: AbortSignal;
  /** Whether all that matters has come already: a connection that breaks then has merely ended. */
  readonly complete?: () => boolean;
}

/**
 * The chunks of a body. A connection that breaks rejects as `cutOff`, an abort with the signal's reason; a consumer
 * that leaves early closes the connection, so that the upstream does not go on writing to nobody.
 */
export async function* bodyChunks(response: Response, options: BodyOptions): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const chunk = await reader.read().catch((error: unknown) => {
        options.signal.throwIfAborted();
        if (options.complete?.() !== true) throw cutOff(options.who, error);
        return null;
      });
      if (chunk === null || chunk.done) return;
      yield chunk.value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
