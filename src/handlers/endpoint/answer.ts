/** Reads an endpoint's answer by what it says it is, without trusting it, and tells it as events. */
import { parseJson } from "../../lib/json.ts";
import type { Json } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { createPieces } from "../pieces.ts";
import { bodyChunks, nonsense, upstreamFailure, wrongType } from "../upstream.ts";
import { mediaTypeOf } from "./media-type.ts";
import type { Answer, AnswerOptions, AnswerSink, Reading } from "./reading.ts";
import { readSound } from "./sound.ts";
import { readEventStream, readLines } from "./stream.ts";
import { refused, tooLong, WHO } from "./words.ts";

const BY_TYPE: Readonly<Record<string, Reading>> = {
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/jsonl": "ndjson",
  "application/x-jsonlines": "ndjson",
  "text/event-stream": "sse",
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/wave": "wav",
  "audio/vnd.wave": "wav",
  "audio/mpeg": "mp3",
  "audio/mp3": "mp3",
  "audio/ogg": "opus",
  "audio/opus": "opus",
  "audio/pcm": "pcm",
  "audio/x-pcm": "pcm",
  "audio/l16": "pcm",
};

function readingOf(mediaType: string): Reading | null {
  if (Object.hasOwn(BY_TYPE, mediaType)) return BY_TYPE[mediaType] ?? null;
  if (/^application\/[\w.-]+\+json$/.test(mediaType)) return "json";
  return mediaType.startsWith("text/") ? "text" : null;
}

/** Without a length and without chunks an answer ends where the connection does, whole or cut. */
function isFramed({ headers }: Response): boolean {
  return headers.has("Content-Length") || /chunked/i.test(headers.get("Transfer-Encoding") ?? "");
}

function takeAnswer(response: Response, options: AnswerOptions, sink: AnswerSink): Answer {
  const { parameters } = mediaTypeOf(response.headers.get("Content-Type"));
  return {
    response,
    options,
    sink,
    parameters,
    async *bytes(complete) {
      let received = 0;
      const { signal } = sink;
      const body = bodyChunks(response, {
        who: WHO,
        signal,
        ...(complete === undefined ? {} : { complete }),
      });
      for await (const chunk of body) {
        received += chunk.length;
        if (received > options.answerBytes) throw tooLong("an answer", options.answerBytes);
        yield chunk;
      }
    },
  };
}

async function readText({ parameters, bytes, sink }: Answer): Promise<Json> {
  const charset = parameters.get("charset") ?? "utf-8";
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(charset);
  } catch {
    throw upstreamFailure(`${WHO} sent a text in a character set that is not known.`);
  }
  const pieces = createPieces();
  let received = 0;
  const write = async (texts: readonly string[]): Promise<void> => {
    for (const text of texts) await sink.text(text, 0);
  };
  for await (const chunk of bytes()) {
    received += chunk.length;
    await write(pieces.push(decoder.decode(chunk, { stream: true })));
  }
  await write(pieces.push(decoder.decode()));
  await write(pieces.end());
  return { bytes: received };
}

async function readJson({ options, bytes, sink }: Answer): Promise<Json> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes()) {
    size += chunk.length;
    if (size > sink.eventBytes) throw tooLong("a JSON answer", sink.eventBytes);
    chunks.push(chunk);
  }
  if (size === 0) return null;
  const text = new TextDecoder().decode(Buffer.concat(chunks));
  const parsed = parseJson(text, { depth: LIMITS.jsonDepth });
  if (!parsed.ok) throw nonsense(`${WHO} sent something that is not JSON.`, text, options.secrets);
  const value = parsed.value as Json;
  if (options.jsonOutput) await sink.data(value);
  return value;
}

const READERS: Readonly<Record<Reading, (answer: Answer, reading: Reading) => Promise<Json>>> = {
  json: readJson,
  text: readText,
  ndjson: readLines,
  sse: readEventStream,
  pcm: readSound,
  mp3: readSound,
  opus: readSound,
  wav: readSound,
};

/** Whether the reading itself tells the end: a JSON value is whole or none, a marked stream ends with its mark. */
function knowsItsEnd(reading: Reading, { endMark }: AnswerOptions): boolean {
  return reading === "json" || (reading === "sse" && endMark !== null);
}

/** Resolves with the job's result once the answer has come whole. Rejects with JobError of origin `upstream`. */
export async function readAnswer(
  response: Response,
  options: AnswerOptions,
  sink: AnswerSink,
): Promise<Json> {
  const { type } = mediaTypeOf(response.headers.get("Content-Type"));
  const reading = options.answer === "auto" ? readingOf(type) : options.answer;
  const isEmpty = response.body === null || response.headers.get("Content-Length") === "0";
  if (isEmpty && (reading === null || reading === "json" || reading === "text")) return null;
  if (reading === null)
    throw await wrongType(`${WHO} sent a type of content that is not known here.`, response, options.secrets);
  if (!isFramed(response) && !knowsItsEnd(reading, options)) {
    await response.body?.cancel().catch(() => undefined);
    throw refused(
      "sent a stream without a length and without chunks, so that its end cannot be told from a break.",
    );
  }
  return READERS[reading](takeAnswer(response, options, sink), reading);
}
