/**
 * Upstreams with manners of their own: what the specifications of HTTP, of server-sent events and of the API allow, and
 * what servers do all the same. Each ends as the right success, or as a failure with the right name.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { textOf } from "../support/log-checker.ts";
import {
  bytesOf,
  chunked,
  delta,
  END,
  event,
  first,
  PCM,
  refusal,
  SECRET,
  soundOf,
  startUpstreams,
  stream,
  turn,
  USAGE,
  type Answer,
  type Upstreams,
} from "../support/openai.ts";

const STREAM = "Content-Type: text/event-stream";
const WHOLE = delta("Grüße ") + delta("👋🏽.") + END;
const TEXT = "Grüße 👋🏽.";

/** As it stands, without chunks; the end of the connection is the end of the answer. */
const raw =
  (head: string, body: string | Uint8Array, how: "end" | "reset" = "end"): Answer =>
  async (exchange) => {
    exchange.write(`${head}\r\n\r\n`);
    await turn();
    exchange.write(body);
    await turn();
    exchange[how]();
  };

const packed = (text: string): Uint8Array => gzipSync(text);
const zipped =
  (type: string, body: Uint8Array): Answer =>
  (exchange) =>
    raw(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Encoding: gzip\r\nConnection: close`, body)(
      exchange,
      1,
    );

const choices = (...all: readonly object[]): string => event({ model: "up-1", choices: all });

/** Complete answers, whatever they look like: the whole text, with the end that was meant. */
const COMPLETE: Readonly<Record<string, Answer>> = {
  lf: stream(bytesOf(WHOLE)),
  crlf: stream(bytesOf(WHOLE.replaceAll("\n", "\r\n"))),
  cr: stream(bytesOf(WHOLE.replaceAll("\n", "\r"))),
  "mixed-ends": stream([delta("Grüße ").replaceAll("\n", "\r\n"), delta("👋🏽.").replaceAll("\n", "\r"), END]),
  "in-one-piece": stream([WHOLE]),
  bom: stream([`\uFEFF${WHOLE}`]),
  comments: stream([`: one\n\n:\n${WHOLE.replaceAll("\n\n", "\n: OPENROUTER PROCESSING\n\n")}`]),
  "no-blank": stream([WHOLE.replaceAll("data: ", "data:")]),
  "many-lines": stream([
    `data: {"choices":\ndata: [{"delta":\ndata: {"content": "Grüße "}}]}\n\n${delta("👋🏽.")}${END}`,
  ]),
  "named-events": stream([WHOLE.replaceAll("data: ", "event: message\nid: 7\nretry: 5\ndata: ")]),
  "no-done": stream([delta("Grüße "), delta("👋🏽."), delta("", "stop")]),
  "done-alone": stream([delta("Grüße "), delta("👋🏽."), event("[DONE]")]),
  "usage-in-every-chunk": stream([
    event({ choices: [{ index: 0, delta: { content: TEXT } }], usage: null }),
    delta("", "stop"),
    event({ choices: [], usage: USAGE }),
    event("[DONE]"),
  ]),
  "usage-after-done": stream([WHOLE, event({ choices: [], usage: USAGE })]),
  "role-first": stream([
    choices({ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }),
    choices({ index: 0, delta: { role: "assistant", content: null }, finish_reason: null }),
    WHOLE,
  ]),
  "null-delta": stream([choices({ index: 0, delta: null, finish_reason: null }), WHOLE]),
  "no-delta": stream([choices({ index: 0 }), event({ choices: null }), event({}), WHOLE]),
  "unknown-fields": stream([
    choices({ delta: { content: TEXT, reasoning_content: SECRET, annotations: [{}] }, logprobs: { a: [] } }),
    END,
  ]),
  "two-choices": stream([
    choices(
      { index: 1, delta: { content: "the other" }, finish_reason: null },
      { index: 0, delta: { content: "Grüße " }, finish_reason: null },
    ),
    choices({ index: 1, delta: {}, finish_reason: "stop" }),
    choices({ index: 0, delta: { content: "👋🏽." }, finish_reason: null }),
    END,
  ]),
  "no-encoding": stream([WHOLE]),
  "type-in-capitals": chunked("Text/Event-Stream;charset=UTF-8", [WHOLE]),
  "early-hints": raw(
    `HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n${STREAM}\r\nConnection: close`,
    WHOLE,
  ),
  "http-1.0": raw(`HTTP/1.0 200 OK\r\n${STREAM}`, WHOLE),
  "until-close": raw(`HTTP/1.1 200 OK\r\n${STREAM}\r\nConnection: close`, WHOLE),
  "no-reason-phrase": raw(`HTTP/1.1 200 \r\n${STREAM}\r\nConnection: close`, WHOLE),
  "reset-when-done": raw(`HTTP/1.1 200 OK\r\n${STREAM}`, delta(TEXT, "stop")),
  gzip: zipped("text/event-stream", packed(WHOLE)),
  "gzip-json": zipped(
    "application/json",
    packed(JSON.stringify({ choices: [{ message: { content: TEXT }, finish_reason: "stop" }] })),
  ),
  "201": (exchange) => {
    exchange.head("201 Created", STREAM, "Connection: close");
    exchange.write(WHOLE);
    exchange.end();
  },
};

/** What looks like an answer and is none, or half of one. */
const INCOMPLETE: Readonly<Record<string, Answer>> = {
  "reset-inside": raw(`HTTP/1.1 200 OK\r\n${STREAM}`, delta("half"), "reset"),
  "reset-at-once": ({ reset }) => reset(),
  "reset-in-the-head": raw("HTTP/1.1 200 OK\r\nContent-", "", "reset"),
  "http-1.0-half": raw(`HTTP/1.0 200 OK\r\n${STREAM}`, delta("half")),
  "gzip-half": zipped("text/event-stream", packed(WHOLE.repeat(50)).subarray(0, 60)),
  "gzip-lie": zipped("text/event-stream", Buffer.from(WHOLE)),
  "no-type": raw("HTTP/1.1 200 OK\r\nConnection: close", WHOLE),
  "text-plain": chunked("text/plain", [WHOLE]),
  empty: stream([]),
  "only-usage": stream([event({ choices: [], usage: USAGE })]),
  "only-the-other": stream([choices({ index: 1, delta: { content: "no" }, finish_reason: "stop" })]),
  "error-event": stream([delta("half"), `event: error\ndata: {"message":"${SECRET}"}\n\n`]),
  "error-as-reason": stream([delta("half"), delta("", "error"), event("[DONE]")]),
  "error-as-text": stream([delta("half"), event({ error: SECRET }), END]),
  "204": ({ head }) => head("204 No Content"),
  "bad-chunk": ({ head, write }) => {
    head("200 OK", STREAM, "Transfer-Encoding: chunked");
    write("zz\r\noh no\r\n");
  },
  "no-http": ({ write, end }) => {
    write("SSH-2.0-OpenSSH_9.2\r\n");
    end();
  },
  "data-is-a-list": stream([event([1, 2]), END]),
  "data-is-null": stream([event("null"), END]),
};

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toUTCString();

/** `Retry-After` of a 429, and how long the next run waits: as long as that says, or the usual back-off of about a second. */
const WAITS: Readonly<Record<string, readonly [lines: () => readonly string[], waitMs: number | null]>> = {
  seconds: [() => ["Retry-After: 1"], 1000],
  "a-fraction": [() => ["Retry-After: 0.5"], 500],
  "a-date": [() => [`Date: ${inSeconds(500)}`, `Retry-After: ${inSeconds(501)}`], 1000],
  "a-date-that-is-over": [() => [`Date: ${inSeconds(0)}`, `Retry-After: ${inSeconds(-90)}`], 0],
  negative: [() => ["Retry-After: -5"], null],
  words: [() => ["Retry-After: soon"], null],
};

const ANSWERS: Readonly<Record<string, Answer>> = Object.fromEntries([
  ...Object.entries({ ...COMPLETE, ...INCOMPLETE }).map(([name, answer]) => [`chat ${name}`, answer]),
  ...Object.entries(WAITS).map(([name, [lines]]) => [
    `chat wait-${name}`,
    first(
      (exchange, tries) => refusal("429 Too Many Requests", ...lines())(exchange, tries),
      stream([WHOLE]),
    ),
  ]),
  ["chat refused", refusal("400 Bad Request")],
  ["chat slow-head", ({ write }: Parameters<Answer>[0]) => write("HTTP/1.1 200 OK\r\nX-Slow: ")],
  ...["stop", "length", "content_filter", "tool_calls"].map((reason) => [
    `chat ends-${reason}`,
    stream([
      choices({ index: 0, delta: { content: "Half", tool_calls: [{ index: 0, function: {} }] } }),
      delta("", reason),
      event("[DONE]"),
    ]),
  ]),
  ["speech http-1.0", raw("HTTP/1.0 200 OK\r\nContent-Type: audio/pcm", PCM)],
  ["speech no-type", raw("HTTP/1.1 200 OK\r\nConnection: close", PCM)],
  [
    "speech reset",
    raw(`HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nContent-Length: ${2 * PCM.length}`, PCM, "reset"),
  ],
  [
    "speech reset-chunk",
    async ({ head, chunk, reset }: Parameters<Answer>[0]) => {
      head("200 OK", "Content-Type: audio/pcm", "Transfer-Encoding: chunked");
      chunk(PCM);
      await turn();
      reset();
    },
  ],
  ["speech gzip", zipped("audio/pcm", gzipSync(PCM))],
  ["speech gzip-half", zipped("audio/pcm", gzipSync(PCM).subarray(0, 40))],
  [
    "speech early-hints",
    raw(
      "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nConnection: close",
      PCM,
    ),
  ],
  ["speech 204", ({ head }: Parameters<Answer>[0]) => head("204 No Content")],
]) as Record<string, Answer>;

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams(ANSWERS);
});
afterAll(() => upstreams.stop());

const messages = [{ role: "user", content: "Hi" }];
const chatOf = (model: string) => ({ type: "chat", input: { messages, model } });
const voiceOf = (model: string, voice: string) => ({ type: "voice", input: { messages, model, voice } });
const speechOf = (voice: string) => ({ type: "speech", input: { text: "Hello.", voice } });

test.each(Object.keys(COMPLETE))("a complete answer is the text: %s", async (model) => {
  const { job, log } = await upstreams.ended(chatOf(model), { maxAttempts: 1 });
  expect([job.status, job.error]).toEqual(["succeeded", undefined]);
  expect(job.result).toMatchObject({ text: TEXT });
  expect(textOf(log)).toBe(TEXT);
});

test.each(Object.keys(INCOMPLETE))(
  "what is no whole answer is a failure that may pass: %s",
  async (model) => {
    const { job } = await upstreams.ended(chatOf(model), { maxAttempts: 1 });
    expect(job).toMatchObject({
      status: "failed",
      error: { code: "upstream_error", retryable: true, origin: "upstream" },
    });
  },
);

test.each(Object.entries(WAITS))("a 429 with %s as its Retry-After", async (name, [, waitMs]) => {
  const { job, log } = await upstreams.ended(chatOf(`wait-${name}`));
  expect(job).toMatchObject({ status: "succeeded", attempt: 2, result: { text: TEXT } });
  const told = log.find(({ kind }) => kind === "job.retrying")?.data as { delayMs: number };
  if (waitMs === null) expect(told.delayMs).toBeLessThanOrEqual(1000);
  else expect(told.delayMs).toBe(waitMs);
});

test.each(["stop", "length", "content_filter", "tool_calls"])(
  "an answer that ends with %s succeeds and says so",
  async (reason) => {
    const { job } = await upstreams.ended(chatOf(`ends-${reason}`));
    expect(job).toMatchObject({
      status: "succeeded",
      attempt: 1,
      result: { text: "Half", finishReason: reason },
    });
  },
);

test("a head that never ends counts as no output", async () => {
  const { job } = await upstreams.ended(chatOf("slow-head"), { firstOutputMs: 200, maxAttempts: 1 });
  expect(job.error).toMatchObject({ code: "first_output_timeout", retryable: true });
});

test.each(["http-1.0", "no-type", "gzip", "early-hints"])("sound is sound: %s", async (voice) => {
  const { job, log } = await upstreams.ended(speechOf(voice), { maxAttempts: 1 });
  expect(job).toMatchObject({ status: "succeeded", result: { bytes: PCM.length } });
  expect(Buffer.concat(soundOf(log))).toEqual(Buffer.from(PCM));
});

test.each(["reset", "reset-chunk", "gzip-half", "204"])(
  "no whole sound is a failure that may pass: %s",
  async (voice) => {
    const { job } = await upstreams.ended(speechOf(voice), { maxAttempts: 1 });
    expect(job.error).toMatchObject({ code: "upstream_error", retryable: true, origin: "upstream" });
  },
);

test.each(["cr", "gzip", "http-1.0"])("voice writes and speaks one that is %s", async (model) => {
  const { job, log } = await upstreams.ended(voiceOf(model, "gzip"), { maxAttempts: 1 });
  expect(job).toMatchObject({
    status: "succeeded",
    result: { text: TEXT, spokenTo: TEXT.length, finishReason: "stop" },
  });
  expect(Buffer.concat(soundOf(log)).length).toBe(PCM.length);
});

test.each(["reset-inside", "gzip-half"])("voice takes half of a text for no success: %s", async (model) => {
  const { job } = await upstreams.ended(voiceOf(model, "gzip"), { maxAttempts: 1 });
  expect(job.error).toMatchObject({ code: "upstream_error", retryable: true });
});

test("the text of a voice stands though its sound was reset", async () => {
  const { job, log } = await upstreams.ended(voiceOf("lf", "reset"), { maxAttempts: 1 });
  expect(job).toMatchObject({ status: "succeeded", result: { text: TEXT, spokenTo: 0 } });
  expect(
    log.some(({ data }) => JSON.stringify(data).includes("The speech upstream broke off before the answer")),
  ).toBe(true);
});

test("a refusal is no reason to ask again", async () => {
  const { job } = await upstreams.ended(chatOf("refused"));
  expect(job).toMatchObject({ attempt: 1, error: { code: "upstream_refused", retryable: false } });
});
