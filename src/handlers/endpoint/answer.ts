/** Reads an endpoint's answer by what it says it is, without trusting it, and tells it as events. */
import { parseJson } from "../../lib/json.ts";
import type { AudioFormat, Json } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { createPieces } from "../pieces.ts";
import { bodyChunks, nonsense, upstreamFailure, wrongType } from "../upstream.ts";
import { mediaTypeOf } from "./media-type.ts";
import { readSound } from "./sound.ts";
import { readEventStream, readLines } from "./stream.ts";
import { refused, tooLong, WHO } from "./words.ts";

/** How an answer can be read. */
export const READINGS = ["json", "text", "ndjson", "sse", "pcm", "mp3", "opus", "wav"] as const;
export type Reading = (typeof READINGS)[number];

export interface AnswerOptions {
  /** `auto`: by its Content-Type. */
  readonly answer: "auto" | Reading;
  /** A JSON answer is told as `output.data` too. */
  readonly jsonOutput: boolean;
  /** Where in each JSON of a stream its text stands (JSON Pointer). */
  readonly textPointer: string | null;
  /** What an event stream must end with, as data or name of an event. */
  readonly endMark: string | null;
  /** Of PCM whose Content-Type does not say. */
  readonly sampleRate: number | null;
  readonly channels: number;
  /** Longest answer that is read. */
  readonly answerBytes: number;
  /** What must not be logged, should the endpoint repeat it. */
  readonly secrets: readonly string[];
}

/** Where the answer goes. Each call resolves when the next one may come, and rejects when nothing more is taken. */
export interface AnswerSink {
  readonly eventBytes: number;
  readonly signal: AbortSignal;
  /** Whole code points, at most 64 KiB. */
  text(delta: string, index: number): Promise<void>;
  data(value: Json): Promise<void>;
  audioFormat(format: AudioFormat): Promise<void>;
  /** Whole samples, at most 64 KiB. */
  audio(bytes: Uint8Array): Promise<void>;
  progress(ratio: number | null, message?: string): Promise<void>;
}

/** An answer on its way in: its bytes bounded, its type taken apart. */
export interface Answer {
  readonly response: Response;
  readonly options: AnswerOptions;
  readonly sink: AnswerSink;
  readonly parameters: ReadonlyMap<string, string>;
  /** The body; `complete` says that all that matters has come. Rejects when it breaks off or grows past its bound. */
  readonly bytes: (complete?: () => boolean) => AsyncGenerator<Uint8Array>;
}

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
