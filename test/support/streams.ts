/** Reads the two streaming forms of a job's events, SSE and NDJSON, one entry at a time as they arrive. */
import { within } from "./wait.ts";
import type { EventBody } from "./wire.ts";

/** One SSE block: its fields, or the text of a comment. */
export interface SseBlock {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly comment?: string;
}

export interface EventStream<Entry> extends AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  /** The next entry, or null at the end of the stream. */
  next(limitMs?: number): Promise<Entry | null>;
  /** Everything up to the end. */
  rest(limitMs?: number): Promise<Entry[]>;
}

async function* splitAt(body: ReadableStream<Uint8Array>, separator: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split(separator);
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest.trim() !== "") yield rest;
}

function readBlock(block: string): SseBlock {
  const fields: Record<string, string> = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const name = colon === 0 ? "comment" : line.slice(0, colon);
    fields[name] = line.slice(colon + 1).replace(/^ /, "");
  }
  return fields;
}

interface OpenOptions<Entry> {
  readonly accept: string;
  readonly separator: string;
  readonly read: (text: string) => Entry;
  readonly token: string;
  readonly headers?: Record<string, string>;
}

async function openStream<Entry>(url: string, options: OpenOptions<Entry>): Promise<EventStream<Entry>> {
  const abort = new AbortController();
  const response = await fetch(url, {
    headers: { accept: options.accept, authorization: `Bearer ${options.token}`, ...options.headers },
    signal: abort.signal,
    keepalive: false,
  });
  if (response.body === null) throw new Error(`${url}: ${response.status} without a body`);
  const parts = splitAt(response.body, options.separator);
  const next = async (limitMs?: number): Promise<Entry | null> => {
    const part = await within("the next entry of a stream", parts.next(), limitMs);
    return part.done === true ? null : options.read(part.value);
  };
  return {
    status: response.status,
    headers: response.headers,
    next,
    rest: async (limitMs) => {
      const entries: Entry[] = [];
      for (let entry = await next(limitMs); entry !== null; entry = await next(limitMs)) entries.push(entry);
      return entries;
    },
    [Symbol.asyncDispose]: async () => {
      abort.abort();
      await parts.return(undefined).catch(() => undefined);
    },
  };
}

export function openSse(url: string, token: string, headers: Record<string, string> = {}) {
  return openStream<SseBlock>(url, {
    accept: "text/event-stream",
    separator: "\n\n",
    read: readBlock,
    token,
    headers,
  });
}

function readLine(line: string): EventBody {
  return JSON.parse(line) as EventBody;
}

export function openNdjson(url: string, token: string) {
  return openStream<EventBody>(url, {
    accept: "application/x-ndjson",
    separator: "\n",
    read: readLine,
    token,
  });
}
