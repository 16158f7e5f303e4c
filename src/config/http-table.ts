/** `[types.NAME.http]` of holdline.toml: the endpoint that does the work of a type, and how its answers are read. */
import { LIMITS } from "../protocol/limits.ts";
import { httpUrlProblem } from "./formats.ts";
import { choice, flag, integer, optionalInteger, optionalText, part, size } from "./kinds.ts";
import { isTable, readTable, refuseAt, withReferences, type TableContext } from "./tables.ts";

/** How an answer is read: by its Content-Type, or always as one of these. */
export const ANSWERS = ["auto", "json", "text", "ndjson", "sse", "pcm", "mp3", "opus", "wav"] as const;

export interface HttpTypeSettings {
  readonly url: string;
  readonly method: "POST" | "PUT" | "PATCH";
  /** Sent as they are; secrets among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** What came from the environment, and what headers hold: never to be logged. */
  readonly secrets: readonly string[];
  readonly answer: (typeof ANSWERS)[number];
  /** A JSON answer is told as `output.data` too, before it is the result. */
  readonly jsonOutput: boolean;
  /** Where in each JSON of a stream its text stands (JSON Pointer); null: nowhere. */
  readonly textPointer: string | null;
  /** What a stream of events must end with, as data or name of an event; null: the end of the body ends it. */
  readonly endMark: string | null;
  /** Of PCM whose Content-Type does not say. */
  readonly sampleRate: number | null;
  readonly channels: number;
  readonly answerBytes: number;
}

const pointerProblem = (value: string): string | null =>
  /^(\/([^~]|~[01])*)+$/.test(value) ? null : "is not a JSON Pointer such as /choices/0/delta/content";

export const HTTP_FIELDS = {
  url: optionalText({
    allowed: "a URL that begins with http:// or https://",
    defaultText: "needed",
    description: "Where the input is sent. `${NAME}` stands for that variable of the environment.",
  }),
  method: choice(["POST", "PUT", "PATCH"], { preset: "POST", description: "Method of the request." }),
  headers: part({
    allowed: "a table of texts",
    description: "Headers of the request; secrets as `${NAME}`, from the environment.",
  }),
  answer: choice(ANSWERS, {
    preset: "auto",
    description: "How an answer is read; `auto`: by its Content-Type.",
  }),
  jsonOutput: flag({ preset: false, description: "A JSON answer is told as `output.data` too." }),
  textPointer: optionalText({
    allowed: "a JSON Pointer",
    check: pointerProblem,
    description: "Where the text stands in each JSON of an NDJSON or SSE stream.",
  }),
  endMark: optionalText({
    allowed: "text",
    defaultText: "the end of the body",
    description: "Data or name of the event that an SSE stream must end with, such as `[DONE]`.",
  }),
  sampleRate: optionalInteger({
    least: 1000,
    most: LIMITS.sampleRate,
    description: "Of PCM whose Content-Type does not say its rate.",
  }),
  channels: integer({
    least: 1,
    most: 32,
    preset: 1,
    description: "Of PCM whose Content-Type does not say.",
  }),
  answerBytes: size({
    least: 1024,
    most: 1024 ** 4,
    preset: LIMITS.answerBytes,
    description: "Longest answer that is read.",
  }),
};

/** Headers that say how the request itself is sent, and are not the operator's to set. */
const OWN_HEADERS = new Set([
  "content-length", "transfer-encoding", "connection", "host", "te", "upgrade", "expect", "trailer",
  "traceparent", "tracestate", "idempotency-key", "holdline-job", "holdline-type", "holdline-attempt", "holdline-metadata",
]); // prettier-ignore

function headerProblem(name: string, value: unknown): string | null {
  if (!/^[\w!#$%&'*+.^`|~-]{1,128}$/.test(name)) return "is not the name of a header";
  if (OWN_HEADERS.has(name.toLowerCase())) return "is a header that Holdline sets itself";
  return typeof value === "string" ? null : "is not a text";
}

function readHeaders(
  context: TableContext,
  path: readonly string[],
  written: unknown,
): Pick<HttpTypeSettings, "headers" | "secrets"> {
  const headers: Record<string, string> = {};
  const secrets: string[] = [];
  if (written !== undefined && !isTable(written))
    refuseAt(context, path, "is not a table", { allowed: `[${path.join(".")}]` });
  if (!isTable(written)) return { headers, secrets };
  for (const [name, value] of Object.entries(written)) {
    const place = [...path, name];
    const problem = headerProblem(name, value);
    const read = problem === null ? withReferences(String(value), context.env) : { problem };
    if ("problem" in read) refuseAt(context, place, read.problem);
    else if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(read.text))
      refuseAt(context, place, "holds what no header may hold");
    else {
      headers[name] = read.text;
      secrets.push(read.text, ...read.secrets);
    }
  }
  return { headers, secrets };
}

/** What the table says; with a problem in it, the context has that. null when it is no table or has no URL. */
export function readHttp(
  context: TableContext,
  path: readonly string[],
  written: unknown,
): HttpTypeSettings | null {
  const table = readTable(context, path, written, HTTP_FIELDS);
  if (table === null) return null;
  const { url, headers, ...rest } = table.values;
  const read = url === null ? { problem: "is missing" } : withReferences(url, context.env);
  const problem = "problem" in read ? read.problem : httpUrlProblem(read.text);
  if (problem !== null)
    table.refuse(problem, "url", { allowed: "a URL that begins with http:// or https://" });
  const sent = readHeaders(context, [...path, "headers"], headers);
  const secrets = [...sent.secrets, ...("secrets" in read ? read.secrets : [])];
  return { ...rest, ...sent, secrets, url: "text" in read ? read.text : "" };
}
