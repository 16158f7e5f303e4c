/** A job type whose work an HTTP endpoint of the operator does: one request a run, its answer told as events. */
import type { Json } from "../../protocol/events.ts";
import { createWriteWindow } from "../write-window.ts";
import { defineHandler, type Handler, type JobType, type RunningJob } from "../handler.ts";
import { beginningOf, type Fetch, upstreamFailure, upstreamRefusal } from "../upstream.ts";
import { readAnswer, type AnswerOptions } from "./answer.ts";
import { WHO } from "./words.ts";

export interface Endpoint extends AnswerOptions {
  /** The operator's, and so trusted: it may be on this machine. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What must not be logged, should the endpoint repeat it. */
  readonly secrets: readonly string[];
}

export interface EndpointOptions {
  readonly eventBytes: number;
  readonly fetch?: Fetch;
}

/** Writes that may wait for their commit; past it the answer is read no further. */
const WRITES_IN_FLIGHT = 64;
const LOGGED_CHARS = 500;

/** JSON in the characters that a header may hold (RFC 9110 section 5.5). */
function headerJson(value: Json): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function headersOf(job: RunningJob, endpoint: Endpoint): Headers {
  const headers = new Headers({ "Content-Type": "application/json", "Accept-Encoding": "identity" });
  for (const [name, value] of Object.entries(endpoint.headers)) headers.set(name, value);
  headers.set("Holdline-Job", job.id);
  headers.set("Holdline-Type", job.type);
  headers.set("Holdline-Attempt", String(job.attempt));
  headers.set("Holdline-Metadata", headerJson(job.metadata));
  headers.set("traceparent", job.traceparent);
  // The same in every run of the job: an endpoint that keeps it does not do the work twice.
  headers.set("Idempotency-Key", `"${job.id}"`);
  return headers;
}

/** Logs, without the secrets that it may repeat, what the endpoint said when it refused. */
async function logRefusal(response: Response, job: RunningJob, secrets: readonly string[]): Promise<void> {
  const longest = Math.max(0, ...secrets.map(({ length }) => length));
  let said = await beginningOf(response, LOGGED_CHARS + longest);
  for (const secret of secrets) said = said.replaceAll(secret, "***");
  job.log.warn({ status: response.status, said: said.slice(0, LOGGED_CHARS) }, "the endpoint refused");
}

/**
 * The handler of a type that `endpoint` serves. A run rejects with JobError of origin `upstream`: `upstream_error`
 * (retryable, with the endpoint's Retry-After) when it cannot be reached, answers 408, 429 or 5xx, breaks off or sends
 * what it did not announce; `upstream_refused` (final) for every other status; `output_too_large` (final) past
 * `answerBytes`.
 */
export function createEndpointHandler(type: JobType, endpoint: Endpoint, options: EndpointOptions): Handler {
  const send = options.fetch ?? fetch;
  const ask = (job: RunningJob, input: unknown): Promise<Response> =>
    send(endpoint.url, {
      method: endpoint.method,
      headers: headersOf(job, endpoint),
      body: JSON.stringify(input),
      signal: job.signal,
      timeout: false,
      // A redirect is not followed: the input and the keys belong to the address the operator wrote.
      redirect: "manual",
    }).catch((error: unknown) => {
      job.signal.throwIfAborted();
      // Its code alone: the rest may name the URL, and that may hold a key.
      const code = error instanceof Error && "code" in error ? error.code : null;
      job.log.warn({ code }, "the endpoint cannot be reached");
      throw upstreamFailure(`${WHO} cannot be reached.`, { cause: error });
    });
  return defineHandler({
    ...type,
    async run(job, input) {
      const response = await ask(job, input);
      if (!response.ok) {
        await logRefusal(response, job, endpoint.secrets);
        throw upstreamRefusal(WHO, response);
      }
      const writes = createWriteWindow(WRITES_IN_FLIGHT);
      const result = await readAnswer(response, endpoint, {
        eventBytes: options.eventBytes,
        signal: job.signal,
        text: (delta, index) => writes.add(job.text(delta, { index })),
        data: (value) => writes.add(job.data(value)),
        audioFormat: (format) => writes.add(job.audioFormat(format)),
        audio: (bytes) => writes.add(job.audio(bytes)),
        progress: (ratio, message) => writes.add(job.progress(ratio, message)),
      });
      await writes.drain();
      return result;
    },
  });
}
