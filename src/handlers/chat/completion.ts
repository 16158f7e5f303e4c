/**
 * Reads one chat completion off an upstream's answer, streamed (server-sent events) or whole (JSON), without trusting
 * it: whatever is cut off, malformed or too large ends the run as a retryable `upstream_error`.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { z } from "zod";
import type { Json } from "../../protocol/events.ts";
import { createPieces } from "../pieces.ts";
import { bodyChunks, cutOff, nonsense, upstreamFailure, wrongType } from "../upstream.ts";

const WHO = "The chat upstream";
const MIB = 1024 * 1024;
/** Text of one answer, in UTF-16 units, and bytes of one that comes as plain JSON. */
const ANSWER_MOST = 16 * MIB;
/** One line of the stream, and so one event. */
const LINE_MOST = MIB;
/** A `finish_reason`; the API has words of one line. */
const REASON_MOST = 64;

export interface Completion {
  /** The upstream's own name of its model. */
  readonly model?: string;
  readonly usage?: Json;
  readonly finishReason?: string;
}

const count = z.union([z.number(), z.string().max(100), z.null()]);
// Kept as reported, two levels deep and no deeper; a usage that looks otherwise is left out.
const usageSchema = z
  .record(z.string(), z.union([count, z.record(z.string(), count)]))
  .nullish()
  .catch(null);
const content = z.object({ content: z.string().nullish() }).nullish();

const completionSchema = z.object({
  model: z.string().max(200).nullish().catch(null),
  choices: z
    .array(
      z.object({
        index: z.number().nullish(),
        delta: content,
        message: content,
        finish_reason: z.string().max(REASON_MOST).nullish(),
      }),
    )
    .nullish(),
  usage: usageSchema,
  error: z.unknown().optional(),
});

type Part = z.infer<typeof completionSchema>;

/** The one answer that was asked for; whoever sends more numbers them. */
function choiceOf({ choices }: Part) {
  return choices?.find(({ index }) => (index ?? 0) === 0);
}

function parsePart(json: string, secrets: readonly string[]): Part {
  const wrong = (what: string): Error => nonsense(`${WHO} ${what}.`, json, secrets);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw wrong("sent something that is not JSON");
  }
  const part = completionSchema.safeParse(value);
  if (!part.success) throw wrong("sent something that is no completion");
  if (part.data.error !== undefined && part.data.error !== null) throw wrong("reported an error");
  // A gateway says so of a model that failed, in a stream that ends well in every other respect.
  if (choiceOf(part.data)?.finish_reason === "error") throw wrong("reported an error");
  return part.data;
}

function tooLarge(what: string): Error {
  return upstreamFailure(`${WHO} sent ${what} that is too large.`);
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** What was sent along and must not be logged, should the upstream say it back. */
  readonly secrets: readonly string[];
  readonly write: (delta: string) => Promise<void>;
}

async function readJson(response: Response, { signal, secrets, write }: ReadOptions): Promise<Completion> {
  const decoder = new TextDecoder();
  let json = "";
  for await (const chunk of bodyChunks(response, { who: WHO, signal })) {
    json += decoder.decode(chunk, { stream: true });
    if (json.length > ANSWER_MOST) throw tooLarge("an answer");
  }
  json += decoder.decode();
  const part = parsePart(json, secrets);
  const choice = choiceOf(part);
  if (choice?.message === undefined || choice.message === null)
    throw nonsense(`${WHO} sent something that is no completion.`, json, secrets);
  const pieces = createPieces();
  for (const piece of pieces.push(choice.message.content ?? "")) await write(piece);
  for (const piece of pieces.end()) await write(piece);
  return completionOf(part, {});
}

function completionOf(part: Part, before: Completion): Completion {
  const reason = choiceOf(part)?.finish_reason;
  return {
    ...before,
    ...(part.model === null || part.model === undefined ? {} : { model: part.model }),
    ...(part.usage === null || part.usage === undefined ? {} : { usage: part.usage }),
    ...(reason ? { finishReason: reason } : {}),
  };
}

async function readStream(response: Response, { signal, secrets, write }: ReadOptions): Promise<Completion> {
  const events: EventSourceMessage[] = [];
  const parser = createParser({
    maxBufferSize: LINE_MOST,
    onEvent: (event) => events.push(event),
    onError(error) {
      if (error.type === "max-buffer-size-exceeded") throw tooLarge("a line");
    },
  });
  const decoder = new TextDecoder();
  const pieces = createPieces();
  let chars = 0;
  let completion: Completion = {};
  let finished = false;

  /** true: the stream said that nothing follows. */
  async function handle(event: EventSourceMessage): Promise<boolean> {
    if (event.data.length > LINE_MOST) throw tooLarge("a line");
    if (event.data.trim() === "[DONE]") return true;
    if (event.event === "error") throw nonsense(`${WHO} reported an error.`, event.data, secrets);
    const part = parsePart(event.data, secrets);
    const choice = choiceOf(part);
    const delta = choice?.delta?.content ?? "";
    chars += delta.length;
    if (chars > ANSWER_MOST) throw tooLarge("an answer");
    for (const piece of pieces.push(delta)) await write(piece);
    if (choice?.finish_reason) finished = true;
    completion = completionOf(part, completion);
    return false;
  }

  async function readEvents(): Promise<boolean> {
    for await (const chunk of bodyChunks(response, { who: WHO, signal, complete: () => finished })) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      for (const event of events.splice(0)) if (await handle(event)) return true;
    }
    if (finished) return false;
    // A last event without its blank line counts: not every server sends one after [DONE].
    parser.feed(`${decoder.decode()}\n\n`);
    for (const event of events.splice(0)) if (await handle(event)) return true;
    return false;
  }

  const done = await readEvents();
  if (!done && !finished) throw cutOff(WHO);
  for (const piece of pieces.end()) await write(piece);
  return completion;
}

/**
 * Hands the text of the answer to `write`, piece by piece, and resolves when it is complete. Rejects with JobError
 * `upstream_error`, with `write`'s own error, or with the signal's reason.
 */
export async function readCompletion(response: Response, options: ReadOptions): Promise<Completion> {
  const type = response.headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase();
  if (type === "text/event-stream") return readStream(response, options);
  if (type === "application/json") return readJson(response, options);
  const message = `${WHO} answered with something that is neither a stream nor JSON.`;
  throw await wrongType(message, response, options.secrets);
}
