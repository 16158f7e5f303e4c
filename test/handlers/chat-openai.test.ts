/** The chat engine on an upstream: what it asks, what it makes of good answers, and that no bad one passes for a good one. */
import { describe, expect, test } from "bun:test";
import type { ChatOutcome, ChatRequest } from "../../src/handlers/chat/engine.ts";
import { createOpenAiChat, type OpenAiChatOptions } from "../../src/handlers/chat/openai.ts";
import { JobError } from "../../src/handlers/handler.ts";
import { expectShape } from "../support/shape.ts";
import { DONE, delta, event, serveBytes, serveUpstream, streamOf } from "./chat-upstream-server.ts";

const KEY = "sk-very-secret-0123456789";
const request: ChatRequest = {
  messages: [
    { role: "system", content: "be brief" },
    { role: "user", content: "hi" },
  ],
  signal: new AbortController().signal,
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
};

interface Heard {
  readonly deltas: string[];
  readonly outcome: ChatOutcome | null;
  readonly error: unknown;
}

async function generate(
  options: OpenAiChatOptions,
  change: Partial<ChatRequest> = {},
  onWrite: () => void = () => undefined,
): Promise<Heard> {
  const deltas: string[] = [];
  const write = (text: string): Promise<void> => {
    deltas.push(text);
    onWrite();
    return Promise.resolve();
  };
  try {
    const outcome = await createOpenAiChat(options).generate({ ...request, ...change }, write);
    return { deltas, outcome, error: null };
  } catch (error) {
    return { deltas, outcome: null, error };
  }
}

/** The answer to one request, given straight from memory: chunks arrive exactly as they are cut. */
const hear = (response: Response): Promise<Heard> =>
  generate({ url: "http://upstream.test/v1", fetch: () => Promise.resolve(response) });

const upstreamError = { code: "upstream_error", retryable: true, origin: "upstream" };
const upstreamRefused = { code: "upstream_refused", retryable: false, origin: "upstream" };

describe("a request", () => {
  test("is a streaming chat completion with the key, the trace and the options", async () => {
    using upstream = serveUpstream(() => streamOf([delta("ok", "stop"), DONE]));
    const options = { url: upstream.url, key: KEY, model: "configured" };
    await generate(options, { model: "asked", temperature: 0, maxTokens: 9 });
    await generate(options);
    const [first, second] = upstream.asked;
    expect(first?.path).toBe("/v1/chat/completions");
    expect(first?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
    expect(first?.headers.get("traceparent")).toBe(request.traceparent);
    expect(first?.body).toEqual({
      model: "asked",
      messages: request.messages,
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      max_tokens: 9,
    });
    expect(second?.body).toEqual({
      model: "configured",
      messages: request.messages,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test("names the model default and sends no credential where none is configured", async () => {
    using upstream = serveUpstream(() => streamOf([delta("ok", "stop"), DONE]));
    await generate({ url: upstream.url });
    expect(upstream.asked[0]?.body).toMatchObject({ model: "default" });
    expect(upstream.asked[0]?.headers.has("authorization")).toBe(false);
  });

  test("does not follow a redirect, which would carry the conversation elsewhere", async () => {
    using elsewhere = serveUpstream(() => streamOf([delta("stolen", "stop"), DONE]));
    using upstream = serveUpstream(() => Response.redirect(elsewhere.url, 307));
    const { error } = await generate({ url: upstream.url, key: KEY });
    expect(error).toMatchObject({ ...upstreamRefused, message: "The chat upstream answered 307." });
    expect(elsewhere.asked).toEqual([]);
  });
});

describe("an answer", () => {
  test("streamed by a server is written as it comes, with model and usage as reported", async () => {
    const usage = { prompt_tokens: 3, completion_tokens: 2, details: { cached: 1 } };
    using upstream = serveUpstream(() =>
      streamOf([
        ": keep-alive\n\n",
        event({ model: "up-1", choices: [{ delta: { role: "assistant" } }] }),
        delta("Hel"),
        delta("lo"),
        delta("", "stop"),
        event({ model: "up-1", choices: [], usage }),
        DONE,
      ]),
    );
    expect(await generate({ url: upstream.url })).toEqual({
      deltas: ["Hel", "lo"],
      outcome: { model: "up-1", usage, finishReason: "stop" },
      error: null,
    });
  });

  test("cut into single bytes is the same text, whatever the alphabet and the line ends", async () => {
    const text = 'Grüße, שלום, 你好, 👩‍👩‍👧 \r\n and "quotes"';
    const stream = (Array.from(text, (character) => delta(character)).join("") + DONE).replaceAll(
      "\n\n",
      "\r\n\r\n",
    );
    const bytes = new TextEncoder().encode(stream);
    const { deltas, error } = await hear(streamOf(Array.from(bytes, (byte) => Uint8Array.of(byte))));
    expect(error).toBeNull();
    expect(deltas.join("")).toBe(text);
    for (const piece of deltas) expect(piece.isWellFormed()).toBe(true);
  });

  test("whose escapes split a code point between chunks is written in whole code points", async () => {
    const chunk = (escape: string): string => `data: {"choices":[{"delta":{"content":"${escape}"}}]}\n\n`;
    const stream = [
      chunk("a\\ud83d"),
      chunk("\\ude00b"),
      chunk("\\ud83d"),
      chunk("c"),
      chunk("\\ud83d"),
      DONE,
    ];
    expect((await hear(streamOf(stream))).deltas).toEqual(["a", "😀b", "\ufffdc", "\ufffd"]);
  });

  test("in one huge delta is written in pieces of at most 64 KiB, no code point cut", async () => {
    const text = `x${"😀".repeat(60_000)}${"語".repeat(60_000)}`;
    const { deltas } = await hear(streamOf([delta(text, "stop"), DONE]));
    expect(deltas.join("")).toBe(text);
    for (const piece of deltas) {
      expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(65_536);
      expect(piece.isWellFormed()).toBe(true);
    }
  });

  test.each([
    ["[DONE] and no finish_reason", [delta("ok"), DONE]],
    ["[DONE] without a blank line after it", [delta("ok"), "data: [DONE]"]],
    ["a finish_reason and no [DONE]", [delta("ok", "length")]],
    ["a finish_reason and half an event", [delta("ok", "stop"), 'data: {"usage":']],
    ["a finish_reason in the unfinished last event", [delta("o"), delta("k", "stop").trimEnd()]],
  ])("that ends with %s is complete", async (_, chunks) => {
    const { deltas, error } = await hear(streamOf(chunks));
    expect([deltas.join(""), error]).toEqual(["ok", null]);
  });

  test("is over at [DONE], though the connection stays open", async () => {
    const canceled = Promise.withResolvers<void>();
    const response = streamOf([delta("ok"), DONE], { hang: true, onCancel: () => canceled.resolve() });
    expect((await hear(response)).outcome).toEqual({ model: "up-1" });
    await canceled.promise;
  });

  test("is complete after its finish_reason, though the connection then breaks", async () => {
    using upstream = serveBytes(
      `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99999\r\n\r\n${delta("ok", "stop")}`,
    );
    expect(await generate(upstream, {}, upstream.hangUp)).toMatchObject({ deltas: ["ok"], error: null });
  });

  test("may be plain JSON from a server that does not stream", async () => {
    const usage = { total_tokens: 5 };
    const body = { model: "up-2", choices: [{ message: { content: "all at once" } }], usage };
    expect(await hear(Response.json(body))).toEqual({
      deltas: ["all at once"],
      outcome: { model: "up-2", usage },
      error: null,
    });
  });

  test("that does not name its model has the name that was asked for", async () => {
    const response = streamOf([event({ choices: [{ delta: { content: "x" } }] }), DONE]);
    expect((await hear(response)).outcome).toEqual({ model: "default" });
  });

  test("drops a usage that is not made of counts", async () => {
    const odd = event({ choices: [], usage: { deep: { deeper: { deepest: 1 } } } });
    expect((await hear(streamOf([delta("x"), odd, DONE]))).outcome).toEqual({ model: "up-1" });
  });
});

describe("a bad answer", () => {
  const line = "x".repeat(1024 * 1024 + 1);
  const rows: [name: string, response: () => Response][] = [
    ["that ends without finish_reason or [DONE]", () => streamOf([delta("half")])],
    ["that ends within an event", () => streamOf([delta("half"), delta("other").slice(0, 20)])],
    [
      "with an error in the stream",
      () => streamOf([delta("half"), event({ error: { message: "boom" } }), DONE]),
    ],
    [
      "with an event of the kind error",
      () => streamOf([delta("half"), 'event: error\ndata: {"message":"boom"}\n\n', DONE]),
    ],
    ["with an event that is no JSON", () => streamOf([delta("half"), event("boom"), DONE])],
    ["with an event of another shape", () => streamOf([delta("half"), event({ choices: "boom" }), DONE])],
    ["with a giant line that never ends", () => streamOf([delta("half"), "data: ", line], { hang: true })],
    ["with a giant line in one chunk", () => streamOf([delta("half"), delta(line), DONE])],
    ["in HTML", () => new Response("<h1>boom</h1>", { headers: { "Content-Type": "text/html" } })],
    ["without a type", () => new Response(new TextEncoder().encode("boom"))],
    ["in JSON that is no completion", () => Response.json({ message: "boom" })],
    ["in JSON that is an error", () => Response.json({ error: "boom" })],
    [
      "in JSON that is cut off",
      () => new Response('{"choices":[', { headers: { "Content-Type": "application/json" } }),
    ],
    [
      "in JSON without an end",
      () => {
        const endless = (function* () {
          for (;;) yield "[".repeat(1024 * 1024);
        })();
        return new Response(streamOf(endless).body, { headers: { "Content-Type": "application/json" } });
      },
    ],
  ];
  test.each(rows)(
    "%s is a retryable upstream_error that keeps the upstream's words to itself",
    async (_, response) => {
      const { error } = await hear(response());
      expect(error).toBeInstanceOf(JobError);
      expect(error).toMatchObject(upstreamError);
      expect((error as Error).message).not.toContain("boom");
    },
  );

  test("leaves what was written before it, in order", async () => {
    expect((await hear(streamOf([delta("one "), delta("two")]))).deltas).toEqual(["one ", "two"]);
  });

  test("without an end is stopped at 16 Mi characters", async () => {
    const chunk = delta("x".repeat(1_000_000));
    const endless = (function* () {
      for (;;) yield chunk;
    })();
    const { error, deltas } = await hear(streamOf(endless));
    expect(error).toMatchObject(upstreamError);
    expect(deltas.reduce((sum, { length }) => sum + length, 0)).toBe(16_000_000);
  });

  test("from a connection that breaks is a cut", async () => {
    using upstream = serveBytes(
      `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${delta("half").length.toString(16)}\r\n${delta("half")}\r\n`,
    );
    const { deltas, error } = await generate(upstream, {}, upstream.hangUp);
    expect([deltas, (error as Error).message]).toEqual([
      ["half"],
      "The chat upstream broke off before the answer was complete.",
    ]);
    expect(error).toMatchObject(upstreamError);
  });

  test("from nobody is an upstream that cannot be reached", async () => {
    const { url, [Symbol.dispose]: close } = serveBytes("");
    close();
    expect((await generate({ url })).error).toMatchObject({
      ...upstreamError,
      message: "The chat upstream cannot be reached.",
    });
  });
});

describe("a refusal", () => {
  const date = "Sun, 06 Nov 1994 08:49:37 GMT";
  const rows: [status: number, headers: Record<string, string>, expected: object][] = [
    [429, { "Retry-After": "7" }, { ...upstreamError, retryAfterMs: 7000 }],
    [429, { "Retry-After": "0.5" }, { ...upstreamError, retryAfterMs: 500 }],
    [
      503,
      { "Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT", Date: date },
      { ...upstreamError, retryAfterMs: 30_000 },
    ],
    [
      503,
      { "Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT", Date: date },
      { ...upstreamError, retryAfterMs: 0 },
    ],
    [503, { "Retry-After": "9999999" }, { ...upstreamError, retryAfterMs: 3_600_000 }],
    [503, { "Retry-After": "soon", Date: date }, { ...upstreamError, retryAfterMs: undefined }],
    [500, {}, { ...upstreamError, retryAfterMs: undefined }],
    [408, {}, { ...upstreamError, retryAfterMs: undefined }],
    [400, { "Retry-After": "7" }, { ...upstreamRefused, retryAfterMs: undefined }],
    [401, {}, upstreamRefused],
    [404, {}, upstreamRefused],
  ];
  test.each(rows)("of %d with %j says its status and no more", async (status, headers, expected) => {
    const { error, deltas } = await hear(new Response(`no: ${KEY}`, { status, headers }));
    expect(error).toMatchObject({ ...expected, message: `The chat upstream answered ${status}.` });
    expect(deltas).toEqual([]);
  });

  test("by a real server carries its Retry-After date", async () => {
    using upstream = serveUpstream(
      () =>
        new Response("", {
          status: 429,
          headers: { "Retry-After": new Date(Date.now() + 20_000).toUTCString() },
        }),
    );
    const { error } = await generate({ url: upstream.url });
    // The header counts in whole seconds, on both sides.
    expect((error as JobError).retryAfterMs).toBeWithin(18_000, 22_001);
  });

  test("is logged shortened and without the key", async () => {
    const said = `${"a".repeat(490)}${KEY}${"b".repeat(2000)}`;
    const { error } = await generate({
      url: "http://upstream.test/v1",
      key: KEY,
      fetch: () => Promise.resolve(new Response(streamOf(said).body, { status: 401 })),
    });
    expect((error as JobError).cause).toEqual({
      status: 401,
      said: `${"a".repeat(490)}[key]${"b".repeat(5)}`,
    });
  });

  test.each([
    ["an error in the stream", "text/event-stream", `data: {"error":{"message":"no model for ${KEY}"}}\n\n`],
    ["an event named error", "text/event-stream", `event: error\ndata: no model for ${KEY}\n\n`],
    ["a page", "text/html", `<p>no model for ${KEY}</p>`],
    ["no JSON", "text/event-stream", `data: {no model for ${KEY}\n\n`],
  ])("is heard in the log without the key: %s", async (_, type, body) => {
    const { error } = await generate({
      url: "http://upstream.test/v1",
      key: KEY,
      fetch: () => Promise.resolve(new Response(body, { headers: { "Content-Type": type } })),
    });
    expect(error).toMatchObject({ code: "upstream_error" });
    expect((error as JobError).message).not.toContain("no model");
    expectShape((error as JobError).cause, { said: expect.stringContaining("no model for [key]") });
  });
});

describe("an abort", () => {
  const canceled = new Error("canceled");

  test("in mid-answer ends the run with its reason and the request at the upstream", async () => {
    const closed = Promise.withResolvers<void>();
    const controller = new AbortController();
    using upstream = serveUpstream((asked) => {
      asked.signal.addEventListener("abort", () => closed.resolve());
      return streamOf([delta("one")], { hang: true });
    });
    const ended = createOpenAiChat({ url: upstream.url }).generate(
      { ...request, signal: controller.signal },
      () => {
        controller.abort(canceled);
        return Promise.resolve();
      },
    );
    expect(await ended.catch((error: unknown) => error)).toBe(canceled);
    await closed.promise;
  });

  test("before the upstream answers ends the run with its reason", async () => {
    const controller = new AbortController();
    using upstream = serveUpstream(() => {
      controller.abort(canceled);
      return new Promise<Response>(() => undefined);
    });
    expect((await generate({ url: upstream.url }, { signal: controller.signal })).error).toBe(canceled);
  });

  test("before the run asks nothing", async () => {
    using upstream = serveUpstream(() => streamOf([DONE]));
    expect((await generate({ url: upstream.url }, { signal: AbortSignal.abort(canceled) })).error).toBe(
      canceled,
    );
    expect(upstream.asked).toEqual([]);
  });

  test("by a write that fails closes the request at the upstream, and the write's error is kept", async () => {
    const closed = Promise.withResolvers<void>();
    const response = streamOf([delta("one")], { hang: true, onCancel: () => closed.resolve() });
    const ended = createOpenAiChat({
      url: "http://upstream.test",
      fetch: () => Promise.resolve(response),
    }).generate(request, () => Promise.reject(canceled));
    expect(await ended.catch((error: unknown) => error)).toBe(canceled);
    await closed.promise;
  });
});
