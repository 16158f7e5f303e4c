/** Streams of JSON: lines and server-sent events, each value told as text, as an item of the log, or as data. */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { z } from "zod";
import { parseJson } from "../../lib/json.ts";
import type { AudioFormat, Json } from "../../protocol/events.ts";
import { failBodySchema, itemSchema, type WorkerItem } from "../../protocol/workers.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { JobError } from "../handler.ts";
import { createPieces, type Pieces } from "../pieces.ts";
import { createSoundChunks, type SoundChunks } from "../sound-chunks.ts";
import { cutOff, nonsense, upstreamFailure } from "../upstream.ts";
import type { Answer } from "./reading.ts";
import { tooLong, WHO } from "./words.ts";

/** The last words of a stream that says by itself how it ends. */
const endSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("job.succeeded"), data: z.strictObject({ result: z.json() }) }),
  z.strictObject({
    kind: z.literal("job.failed"),
    data: z.strictObject({ error: failBodySchema }),
  }),
]);

/** The value at a JSON Pointer (RFC 6901); undefined where there is none. */
export function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const token of pointer.split("/").slice(1)) {
    const name = token.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

/** What a stream says, value by value. */
interface Teller {
  text(delta: string, index?: number): Promise<void>;
  value(value: unknown): Promise<void>;
  /** Set once the stream told its own result: nothing follows. */
  readonly ended: { readonly result: Json } | null;
  /** The job's result, when the stream has ended. */
  end(): Promise<Json>;
}

function createTeller({ options, sink }: Answer): Teller {
  const texts = new Map<number, Pieces>();
  let sound: SoundChunks | null = null;
  let ended: Teller["ended"] = null;
  let items = 0;

  const text = async (delta: string, index = 0): Promise<void> => {
    const pieces = texts.get(index) ?? createPieces();
    texts.set(index, pieces);
    for (const piece of pieces.push(delta)) await sink.text(piece, index);
  };

  const endSound = async (): Promise<void> => {
    if (sound !== null && !(await sound.end())) throw cutOff(WHO);
  };

  const tellItem = async (item: WorkerItem): Promise<void> => {
    switch (item.kind) {
      case "output.text":
        return text(item.data.delta, item.data.index);
      case "output.audio.format": {
        await endSound();
        const format: AudioFormat = item.data;
        sound = createSoundChunks(format, (chunk) => sink.audio(chunk));
        return sink.audioFormat(format);
      }
      case "output.audio":
        if (sound === null) throw upstreamFailure(`${WHO} sent sound before its format.`);
        return sound.push(Buffer.from(item.data.bytes, "base64"));
      case "output.data":
        return sink.data((item.data ?? null) as Json);
      case "job.progress":
        return sink.progress(item.data.ratio ?? null, item.data.message);
    }
  };

  return {
    text,
    async value(value) {
      items += 1;
      const delta = options.textPointer === null ? undefined : valueAt(value, options.textPointer);
      if (typeof delta === "string") return text(delta);
      const kind = valueAt(value, "/kind");
      if (typeof kind !== "string" || !/^(job|output)\./.test(kind)) return sink.data(value as Json);
      const item = itemSchema.safeParse(value);
      if (item.success) return tellItem(item.data);
      const end = endSchema.safeParse(value);
      if (!end.success)
        throw nonsense(`${WHO} sent an item that is none.`, JSON.stringify(value), options.secrets);
      if (end.data.kind === "job.succeeded") {
        ended = { result: end.data.data.result as Json };
        return;
      }
      const { code, message, retryable, retryAfterMs } = end.data.data.error;
      const when = retryAfterMs === undefined ? {} : { retryAfterMs };
      throw new JobError(code, message, { retryable, ...when, origin: "upstream" });
    },
    get ended() {
      return ended;
    },
    async end() {
      for (const [index, pieces] of texts) for (const piece of pieces.end()) await sink.text(piece, index);
      await endSound();
      return ended === null ? { items } : ended.result;
    },
  };
}

function parseValue(text: string, { options }: Answer): unknown {
  const parsed = parseJson(text, { depth: LIMITS.jsonDepth });
  if (!parsed.ok) throw nonsense(`${WHO} sent something that is not JSON.`, text, options.secrets);
  return parsed.value;
}

/** One JSON value a line; the last line may lack its end. */
export async function readLines(answer: Answer): Promise<Json> {
  const { eventBytes } = answer.sink;
  const teller = createTeller(answer);
  const decoder = new TextDecoder();
  let rest = "";
  const tell = async (line: string): Promise<void> => {
    if (line.trim() !== "") await teller.value(parseValue(line, answer));
  };
  for await (const chunk of answer.bytes(() => teller.ended !== null)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > eventBytes) throw tooLong("a line", eventBytes);
    for (const line of lines) {
      await tell(line);
      if (teller.ended !== null) return teller.end();
    }
  }
  await tell(rest + decoder.decode());
  return teller.end();
}

/** JSON objects and lists are values, JSON strings their text, anything else is text as it stands. */
async function tellEvent(teller: Teller, { event, data }: EventSourceMessage, answer: Answer): Promise<void> {
  if (event === "error") throw nonsense(`${WHO} reported an error.`, data, answer.options.secrets);
  const begin = data.trimStart()[0];
  if (begin === "{" || begin === "[") return teller.value(parseValue(data, answer));
  if (begin !== '"') return teller.text(data);
  const parsed = parseJson(data, { depth: 1 });
  return teller.text(parsed.ok && typeof parsed.value === "string" ? parsed.value : data);
}

/** Server-sent events; `[DONE]` ends them, or the mark that the operator named, which then has to come. */
export async function readEventStream(answer: Answer): Promise<Json> {
  const { endMark } = answer.options;
  const { eventBytes } = answer.sink;
  const teller = createTeller(answer);
  const decoder = new TextDecoder();
  const events: EventSourceMessage[] = [];
  const parser = createParser({
    maxBufferSize: eventBytes,
    onEvent: (event) => events.push(event),
    onError(error) {
      if (error.type === "max-buffer-size-exceeded") throw tooLong("an event", eventBytes);
    },
  });
  let done = false;
  const tellAll = async (): Promise<void> => {
    for (const event of events.splice(0)) {
      done ||=
        event.data.trim() === "[DONE]" || (endMark !== null && [event.data, event.event].includes(endMark));
      if (!done) await tellEvent(teller, event, answer);
      done ||= teller.ended !== null;
      if (done) return;
    }
  };
  for await (const chunk of answer.bytes(() => done)) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    await tellAll();
    if (done) return teller.end();
  }
  // A last event without its blank line counts: the body came whole.
  parser.feed(`${decoder.decode()}\n\n`);
  await tellAll();
  if (endMark !== null && !done) throw cutOff(WHO);
  return teller.end();
}
