/** Reading a JSON body: bounded in bytes and time, decoded strictly, checked against its schema with pointers. */
import { z } from "zod";
import type { Clock } from "../lib/clock.ts";
import { parseJson, pointerToken } from "../lib/json.ts";
import { Refusal, type FieldError } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface BodyOptions {
  readonly bodyBytes: number;
  readonly clock: Clock;
  /** Name of the limit, when it is not `bodyBytes`. */
  readonly limit?: string;
}

function tooLarge({ bodyBytes, limit = "bodyBytes" }: BodyOptions, isRead: boolean): Refusal {
  return new Refusal("payload_too_large", `The body is over ${limit} (${bodyBytes} bytes).`, {
    extra: { limit, limitBytes: bodyBytes },
    headers: isRead ? {} : { Connection: "close" },
  });
}

/**
 * Reads on and keeps nothing: who is still sending when the connection closes never sees why, and a proxy in between
 * makes a 502 of it. true: the body has ended; false: it is so long, or so slow, that the close has to say it.
 */
async function swallow(body: ReadableStreamDefaultReader<Uint8Array>, clock: Clock): Promise<boolean> {
  const late = Promise.withResolvers<null>();
  const timer = clock.after(LIMITS.swallowedBodyMs, () => late.resolve(null));
  try {
    for (let size = 0; size <= LIMITS.swallowedBodyBytes;) {
      const step = await Promise.race([body.read(), late.promise]);
      if (step === null) return false;
      if (step.done) return true;
      size += step.value.byteLength;
    }
    return false;
  } catch {
    // The client left.
    return false;
  } finally {
    timer.cancel();
  }
}

/** The media type of the body, without parameters; "" without one. Throws for a body that is packed. */
export function mediaTypeOf(headers: Headers): string {
  if (headers.has("content-encoding")) {
    throw new Refusal("unsupported_media_type", "Bodies are taken as they are, without Content-Encoding.");
  }
  return (headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

function checkHeaders(headers: Headers): void {
  const type = mediaTypeOf(headers);
  if (type !== "application/json" && !/^application\/[\w.-]+\+json$/.test(type)) {
    throw new Refusal("unsupported_media_type", "The body must be application/json.");
  }
}

/** Takes the chunks as they come and stops at the bound: a body without a length must not be held first. */
async function collect(stream: ReadableStream<Uint8Array>, options: BodyOptions): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reader = stream.getReader();
  for (let size = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    size += value.byteLength;
    if (size > options.bodyBytes) throw tooLarge(options, await swallow(reader, options.clock));
    chunks.push(value);
  }
}

/** The whole body. Rejects with 400, 408 or 413. */
export async function readBytes(request: Request, options: BodyOptions): Promise<Uint8Array> {
  const { bodyBytes, clock } = options;
  const length = request.headers.get("content-length");
  if (request.body === null) return new Uint8Array(0);
  if (length !== null && Number(length) > bodyBytes) {
    const isShort = Number(length) <= LIMITS.swallowedBodyBytes;
    throw tooLarge(options, isShort && (await swallow(request.body.getReader(), clock)));
  }
  // A body that is announced as small is read in one go, which is what the runtime does fastest.
  const whole = length === null ? collect(request.body, options) : request.bytes();
  const late = Promise.withResolvers<never>();
  const timer = clock.after(LIMITS.bodyArrivalMs, () => {
    const detail = `The body did not arrive within ${LIMITS.bodyArrivalMs} ms.`;
    late.reject(new Refusal("request_timeout", detail, { headers: { Connection: "close" } }));
  });
  try {
    return await Promise.race([whole, late.promise]);
  } catch (error) {
    // The client left, or the runtime closed the connection over a broken chunk: nothing of ours failed.
    if (request.signal.aborted) throw new Refusal("invalid_request", "The body broke off.", { cause: error });
    throw error;
  } finally {
    timer.cancel();
  }
}

/** The body as a JSON value. Rejects with 400, 408, 413 or 415. */
export async function readJson(request: Request, options: BodyOptions): Promise<unknown> {
  checkHeaders(request.headers);
  return decode(await readBytes(request, options));
}

const nothingSchema = z.strictObject({});

/**
 * For calls that have nothing to say: no body, an empty one, or `{}`. What is in another is refused like every unknown
 * field: who sends it means something by it. Rejects like `readJson`.
 */
export async function readNothing(request: Request, options: BodyOptions): Promise<void> {
  if (request.body === null) return;
  const bytes = await readBytes(request, options);
  if (bytes.byteLength === 0) return;
  checkHeaders(request.headers);
  parseBody(nothingSchema, decode(bytes));
}

function decode(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal("invalid_request", "The body is not UTF-8.", {
      errors: [{ pointer: "", detail: "is not UTF-8" }],
    });
  }
  const parsed = parseJson(text, { depth: LIMITS.jsonDepth });
  if (parsed.ok) return parsed.value;
  const { pointer, detail } = parsed.fault;
  throw new Refusal("invalid_request", `The body ${pointer} ${detail}.`.replace("  ", " "), {
    errors: [parsed.fault],
  });
}

/** What zod found, as JSON Pointers below `base`. An unknown field is named by its own pointer. */
export function fieldErrors(error: z.ZodError, base = ""): FieldError[] {
  return error.issues.flatMap((issue) => {
    const pointer = base + issue.path.map((part) => pointerToken(String(part))).join("");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        pointer: pointer + pointerToken(key),
        detail: "is not a known field",
      }));
    }
    return [{ pointer, detail: issue.message }];
  });
}

/** The value as its schema says, or a refusal that points at every fault, as far as there are not too many. */
export function parseBody<Output>(schema: z.ZodType<Output>, value: unknown, base = ""): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = fieldErrors(parsed.error, base);
  const first = errors[0];
  const place = first === undefined || first.pointer === "" ? "The body" : first.pointer;
  throw new Refusal("invalid_request", `${place}: ${first?.detail ?? "is not valid"}`, {
    errors: errors.slice(0, LIMITS.fieldErrors),
  });
}
