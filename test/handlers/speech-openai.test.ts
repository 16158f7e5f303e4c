/** The engine for OpenAI-compatible servers, against servers that stream, stall, refuse, lie and break off. */
import { afterAll, describe, expect, test } from "bun:test";
import { createOpenAiSpeech, type OpenAiSpeechOptions } from "../../src/handlers/speech/openai.ts";
import type { SpeechRequest } from "../../src/handlers/speech/engine.ts";
import { JobError } from "../../src/handlers/handler.ts";
import { TRACEPARENT } from "./recorder.ts";
import { createSink, speechRequest, type RecordingSink } from "./speech-doubles.ts";

/** A tenth of a second, which is what is handed on at once. */
const SOUND = "abcdefgh".repeat(600);
const SECRET = "sk-secret-of-the-operator";

interface Asked {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

interface Upstream {
  readonly url: string;
  readonly asked: Asked[];
}

const servers: { stop(force: true): unknown }[] = [];
afterAll(() => {
  for (const server of servers) server.stop(true);
});

function serve(answer: (asked: Asked) => Response | Promise<Response>): Upstream {
  const asked: Asked[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = (await request.json()) as Record<string, unknown>;
      const one = { path: new URL(request.url).pathname, headers: request.headers, body };
      asked.push(one);
      return answer(one);
    },
  });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}/v1/`, asked };
}

/** A server that answers with these bytes and hangs up after `until`: what no HTTP library would send. */
function serveRaw(answer: string, until: Promise<void> = Promise.resolve()): string {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(answer);
        void until.then(() => socket.end());
      },
    },
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}/v1`;
}

/** A body of these pieces, which is never ended if it stays `open`. */
function streamed(pieces: readonly Uint8Array[], end: "whole" | "open" = "whole"): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      if (end === "whole") controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "audio/pcm" } });
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 7) % 251);
}

function speak(
  url: string,
  request: Partial<SpeechRequest> & { readonly sink?: RecordingSink } = {},
  options: Partial<OpenAiSpeechOptions> = {},
): Promise<unknown> {
  const { sink = createSink(), ...rest } = request;
  const engine = createOpenAiSpeech({ url, key: SECRET, ...options });
  return engine.speak(speechRequest("Hello.", rest), sink);
}

async function failureOf(speaking: Promise<unknown>): Promise<JobError> {
  const error = await speaking.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(JobError);
  return error as JobError;
}

describe("compressed sound in the place of PCM", () => {
  const rows: [what: string, type: string, head: string][] = [
    ["MP3 with a tag", "application/octet-stream", "ID3\x04"],
    ["MP3 that says so", "audio/mpeg", "\xff\xfb\x90\x00"],
    ["Ogg", "audio/pcm", "OggS"],
    ["FLAC", "audio/flac", "fLaC"],
  ];
  test.each(rows)("is no noise for anybody: %s", async (_, type, head) => {
    const sink = createSink();
    const file = Buffer.concat([Buffer.from(head, "latin1"), bytes(4000)]);
    const pieces = [file.subarray(0, 1), file.subarray(1, 3), file.subarray(3)];
    const upstream = serve(() => new Response(streamed(pieces).body, { headers: { "Content-Type": type } }));
    const error = await failureOf(speak(upstream.url, { sink }));
    expect(error).toMatchObject({ code: "upstream_error", origin: "upstream" });
    expect(error.message).toContain("compressed sound where PCM was asked for");
    expect(sink.formats).toEqual([]);
  });

  test("is what it is where samples merely look like it", async () => {
    const samples = Buffer.concat([Buffer.from("\xff\xfb\x90\x00", "latin1"), bytes(4000)]);
    const upstream = serve(() => new Response(samples, { headers: { "Content-Type": "audio/pcm" } }));
    expect(await speak(upstream.url)).toMatchObject({ bytes: 4004 });
  });
});

describe("a WAV in the place of PCM", () => {
  /** A header of 16-bit PCM (RIFF), `dataBytes` as announced, with a chunk before the samples and one after them. */
  const wav = (samples: Uint8Array, sampleRate: number, dataBytes = samples.length): Uint8Array => {
    const head = Buffer.alloc(54);
    head.write("RIFF", 0, "latin1");
    head.writeUInt32LE(46 + samples.length, 4);
    head.write("WAVELIST", 8, "latin1");
    head.writeUInt32LE(2, 16);
    head.write("fmt ", 22, "latin1");
    for (const [at, value] of [
      [26, 16],
      [34, sampleRate],
      [38, sampleRate * 2],
      [50, dataBytes],
    ] as const)
      head.writeUInt32LE(value, at);
    for (const [at, value] of [
      [30, 1],
      [32, 1],
      [42, 2],
      [44, 16],
    ] as const)
      head.writeUInt16LE(value, at);
    head.write("data", 46, "latin1");
    return Buffer.concat([head, samples, Buffer.from("LISTwords")]);
  };

  test("its header says the rate and is not played, nor is what follows the samples, however it is cut", async () => {
    const samples = bytes(4410);
    const file = wav(samples, 22_050);
    for (const size of [1, 7, 53, 100_000]) {
      const pieces = Array.from({ length: Math.ceil(file.length / size) }, (_, index) =>
        file.subarray(index * size, (index + 1) * size),
      );
      const sink = createSink();
      const outcome = await speak(serve(() => streamed(pieces)).url, { sink });
      expect(sink.formats).toEqual([{ codec: "pcm_s16le", sampleRate: 22_050, channels: 1 }]);
      expect(Buffer.compare(sink.whole(), samples)).toBe(0);
      expect(outcome).toMatchObject({ bytes: 4410, durationMs: 100 });
    }
  });

  test("one that is shorter than it says, or whose rate changes between two requests, is no answer", async () => {
    const short = serve(() => streamed([wav(bytes(1000), 24_000, 5000)]));
    expect(await failureOf(speak(short.url))).toMatchObject({ code: "upstream_error", retryable: true });
    let rate = 16_000;
    const fickle = serve(() => streamed([wav(bytes(1000), (rate += 1000))]));
    const text = "This is a sentence. ".repeat(400);
    expect(await failureOf(speak(fickle.url, { text }))).toMatchObject({ code: "upstream_error" });
    expect(fickle.asked).toHaveLength(2);
  });

  test("what only begins like one is PCM, and of MP3 nothing is looked at", async () => {
    const odd = Buffer.concat([Buffer.from("RIFFsamples!"), bytes(5000)]);
    const sink = createSink();
    await speak(serve(() => streamed([odd.subarray(0, 3), odd.subarray(3)])).url, { sink });
    expect(Buffer.compare(sink.whole(), odd)).toBe(0);
    const file = wav(bytes(2000), 24_000);
    const compressed = createSink();
    await speak(serve(() => streamed([file])).url, { format: "mp3", sink: compressed });
    expect(Buffer.compare(compressed.whole(), file)).toBe(0);
  });
});

describe("what is asked", () => {
  test("one request with the text, the key and the trace", async () => {
    const upstream = serve(() => streamed([bytes(10)]));
    await speak(upstream.url, { voice: "nova", speed: 1.5 }, { model: "tts-9", voice: "echo" });
    const [asked] = upstream.asked;
    expect(upstream.asked).toHaveLength(1);
    expect(asked?.path).toBe("/v1/audio/speech");
    expect(asked?.body).toEqual({
      model: "tts-9",
      input: "Hello.",
      voice: "nova",
      speed: 1.5,
      response_format: "pcm",
    });
    expect(asked?.headers.get("Authorization")).toBe(`Bearer ${SECRET}`);
    expect(asked?.headers.get("traceparent")).toBe(TRACEPARENT);
  });

  test("the configured voice where none is named, no key where there is none, the format that is wanted", async () => {
    const upstream = serve(() => streamed([bytes(10)]));
    const outcome = await speak(upstream.url, { format: "mp3" }, { voice: "echo", key: undefined });
    expect(outcome).toEqual({ bytes: 10, voice: "echo" });
    expect(upstream.asked[0]?.body).toEqual({
      model: "tts-1",
      input: "Hello.",
      voice: "echo",
      response_format: "mp3",
    });
    expect(upstream.asked[0]?.headers.has("Authorization")).toBeFalse();
  });

  test("a text longer than the API takes is asked for in parts, at ends of sentences, in order", async () => {
    const upstream = serve(({ body }) => streamed([bytes(String(body["input"]).length * 2)]));
    const text = Array.from({ length: 300 }, (_, index) => `This is sentence number ${index} of all.`).join(
      " ",
    );
    const sink = createSink();
    const outcome = await speak(upstream.url, { text, sink });
    const inputs = upstream.asked.map(({ body }) => String(body["input"]));
    expect(inputs.join(" ")).toBe(text);
    expect(inputs.length).toBe(3);
    for (const input of inputs) {
      expect(input.length).toBeWithin(1000, 4097);
      expect(input).toEndWith("of all.");
    }
    expect(sink.formats).toHaveLength(1);
    expect(outcome).toHaveProperty("bytes", sink.whole().length);
  });

  test("a redirect is not followed: the key stays where the operator pointed", async () => {
    const elsewhere = serve(() => streamed([bytes(10)]));
    const upstream = serve(() => Response.redirect(elsewhere.url, 307));
    expect(await failureOf(speak(upstream.url))).toMatchObject({
      code: "upstream_refused",
      retryable: false,
    });
    expect(elsewhere.asked).toEqual([]);
  });
});

describe("sound", () => {
  test("samples stay whole however the body is cut", async () => {
    const whole = bytes(48_000);
    const ends = [1, 2, 4999, 9999, 20_001, 29_000, 40_003, 47_999, 48_000];
    let heard = 0;
    let wake: () => void = () => undefined;
    const sink = createSink((chunk) => {
      heard += chunk.length;
      wake();
    });
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const [index, end] of ends.entries()) {
          controller.enqueue(whole.subarray(ends[index - 1] ?? 0, end));
          // In step with the reader, so that the pieces are not put together on the way.
          while (end - heard >= 4800)
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
        controller.close();
      },
    });
    const upstream = serve(() => new Response(body));
    expect(await speak(upstream.url, { sink })).toEqual({ durationMs: 1000, bytes: 48_000, voice: "alloy" });
    expect(sink.formats).toEqual([{ codec: "pcm_s16le", sampleRate: 24_000, channels: 1 }]);
    expect(Buffer.compare(sink.whole(), whole)).toBe(0);
    expect(sink.chunks.length).toBeGreaterThanOrEqual(6);
    for (const chunk of sink.chunks) expect(chunk.length % 2).toBe(0);
  });

  test("an upstream that drips makes no chunk of every drop", async () => {
    const drops = Array.from({ length: 2400 }, (_, index) =>
      bytes(20_000).subarray(index * 5, index * 5 + 5),
    );
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const drop = drops.shift();
        if (drop === undefined) controller.close();
        else controller.enqueue(drop);
      },
    });
    const sink = createSink();
    await speak("http://127.0.0.1:1", { sink }, { fetch: () => Promise.resolve(new Response(body)) });
    expect(Buffer.compare(sink.whole(), bytes(12_000))).toBe(0);
    expect(sink.chunks.map((chunk) => chunk.length)).toEqual([4800, 4800, 2400]);
  });

  test("chunks are at most 64 KiB", async () => {
    const whole = bytes(300_000);
    const upstream = serve(() => new Response(whole, { headers: { "Content-Type": "audio/pcm" } }));
    const sink = createSink();
    await speak(upstream.url, { sink });
    expect(Buffer.compare(sink.whole(), whole)).toBe(0);
    for (const chunk of sink.chunks) expect(chunk.length).toBeWithin(1, 65_537);
  });

  test.each([
    ["mp3", { codec: "mp3", sampleRate: 24_000, channels: 1 }],
    ["opus", { codec: "opus", sampleRate: 48_000, channels: 1 }],
  ] as const)("%s is handed on byte for byte, its length in time unknown", async (format, announced) => {
    const upstream = serve(() => streamed([bytes(3), bytes(4)]));
    const sink = createSink();
    expect(await speak(upstream.url, { format, sink })).toEqual({ bytes: 7, voice: "alloy" });
    expect(sink.formats).toEqual([announced]);
    expect([...sink.whole()]).toEqual([...bytes(3), ...bytes(4)]);
  });

  test("the first of it is handed on while the rest is not sent yet", async () => {
    const abortion = new AbortController();
    const upstream = serve(() => streamed([bytes(4800)], "open"));
    const sink = createSink(() => abortion.abort("heard it"));
    const speaking = speak(upstream.url, { sink, signal: abortion.signal });
    expect(await speaking.catch((reason: unknown) => reason)).toBe("heard it");
    expect(sink.whole()).toHaveLength(4800);
  });
});

describe("failures", () => {
  test("429 is retryable after what Retry-After says in seconds", async () => {
    const upstream = serve(() => new Response("slow down", { status: 429, headers: { "Retry-After": "7" } }));
    const error = await failureOf(speak(upstream.url));
    expect(error).toMatchObject({
      code: "upstream_error",
      retryable: true,
      retryAfterMs: 7000,
      origin: "upstream",
    });
  });

  test("503 is retryable after what Retry-After says as a date", async () => {
    const headers = { Date: "Sun, 06 Nov 2044 08:49:00 GMT", "Retry-After": "Sun, 06 Nov 2044 08:49:37 GMT" };
    const upstream = serve(() => new Response("", { status: 503, headers }));
    expect(await failureOf(speak(upstream.url))).toMatchObject({
      code: "upstream_error",
      retryAfterMs: 37_000,
    });
  });

  test("500 is retryable, 400 and 401 are not; none shows what the upstream said, nor the key", async () => {
    for (const [status, code, retryable] of [
      [500, "upstream_error", true],
      [400, "upstream_refused", false],
      [401, "upstream_refused", false],
    ] as const) {
      const upstream = serve(() => new Response(`bad key ${SECRET}`, { status }));
      const error = await failureOf(speak(upstream.url));
      expect(error).toMatchObject({ code, retryable, origin: "upstream" });
      expect(error.message).toContain(String(status));
      expect(Bun.inspect(error)).not.toContain(SECRET);
    }
  });

  test("nobody listens", async () => {
    const url = serveRaw("");
    servers.pop()?.stop(true);
    expect(await failureOf(speak(url))).toMatchObject({ code: "upstream_error", retryable: true });
  });

  test.each([
    ["less than its Content-Length", `Content-Length: 9999\r\n\r\n${SOUND}`, SOUND],
    ["a chunked body without its end", `Transfer-Encoding: chunked\r\n\r\n12c0\r\n${SOUND}\r\n`, SOUND],
    ["half a sample at the end", `Content-Length: 4801\r\n\r\n${SOUND}x`, SOUND],
    ["less than one sample", "Content-Length: 1\r\n\r\nx", ""],
    ["nothing at all", "Content-Length: 0\r\n\r\n", ""],
  ])("%s is a cut: retryable, and what was heard stays", async (_what, rest, heard) => {
    const allHeard = Promise.withResolvers<void>();
    const sink = createSink(() => allHeard.resolve());
    // Sound that comes together with the hanging up may be lost; here it comes before.
    if (heard === "") allHeard.resolve();
    const head = "HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nConnection: close\r\n";
    const url = serveRaw(head + rest, allHeard.promise);
    expect(await failureOf(speak(url, { sink }))).toMatchObject({ code: "upstream_error", retryable: true });
    expect(new TextDecoder().decode(sink.whole())).toBe(heard);
  });

  test.each(["text/html; charset=utf-8", "application/json", "application/problem+json"])(
    "an answer of type %s is not played as sound",
    async (type) => {
      const upstream = serve(() => new Response("{}", { headers: { "Content-Type": type } }));
      const sink = createSink();
      expect(await failureOf(speak(upstream.url, { sink }))).toMatchObject({ code: "upstream_error" });
      expect(sink.formats).toEqual([]);
    },
  );

  test("an abort ends the request at the upstream too", async () => {
    const abortion = new AbortController();
    const hungUp = Promise.withResolvers<void>();
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        request.signal.addEventListener("abort", () => hungUp.resolve());
        abortion.abort("canceled");
        return new Promise(() => undefined);
      },
    });
    servers.push(server);
    const speaking = speak(`http://127.0.0.1:${server.port}/v1`, { signal: abortion.signal });
    expect(await speaking.catch((reason: unknown) => reason)).toBe("canceled");
    await hungUp.promise;
    const upstream = serve(() => streamed([bytes(2)]));
    const late = speak(upstream.url, { signal: abortion.signal });
    expect(await late.catch((reason: unknown) => reason)).toBe("canceled");
    expect(upstream.asked).toEqual([]);
  });

  test("an error of the sink is passed on as it is", async () => {
    const full = new Error("full");
    const upstream = serve(() => streamed([bytes(5000)], "open"));
    const sink = createSink(() => Promise.reject(full));
    expect(await speak(upstream.url, { sink }).catch((reason: unknown) => reason)).toBe(full);
  });
});
