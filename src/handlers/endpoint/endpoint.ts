/** A job type whose work an HTTP endpoint of the operator does: one request a run, its answer told as events. */
import type { Json } from "../../protocol/events.ts";
import { createWriteWindow } from "../write-window.ts";
import { defineHandler, type Handler, type JobType, type RunningJob } from "../handler.ts";
import { type Fetch, refuse, upstreamFailure } from "../upstream.ts";
import { readAnswer } from "./answer.ts";
import type { AnswerOptions } from "./reading.ts";
import { WHO } from "./words.ts";

export interface Endpoint extends AnswerOptions {
  /** The operator's, and so trusted: it may be on this machine. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface EndpointOptions {
  readonly eventBytes: number;
  readonly fetch?: Fetch;
}

/** Writes that may wait for their commit; past it the answer is read no further. */
const WRITES_IN_FLIGHT = 64;

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
      throw upstreamFailure(`${WHO} cannot be reached.`, { cause: error });
    });
  return defineHandler({
    ...type,
    async run(job, input) {
      const response = await ask(job, input);
      if (!response.ok) await refuse(response, WHO, endpoint.secrets);
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
