/** Types that an HTTP endpoint serves (docs/protocol.md, "Types of the operator"): an endpoint of every kind, good and bad. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Exchange, type EndpointServer, serveEndpoint } from "../support/endpoint.ts";
import { type Api, expectProblem, newSession } from "../support/http.ts";
import { expectWhole, outline, textOf } from "../support/log-checker.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";
import { within } from "../support/wait.ts";
import type { EventBody, JobBody } from "../support/wire.ts";

const SECRET = "canary-of-the-render-farm";

type Answer = (exchange: Exchange) => void | Promise<void>;

const CHUNKED = "Transfer-Encoding: chunked";

/** An answer with its length, all at once. */
const whole =
  (type: string, body: string | Uint8Array, status = "200 OK"): Answer =>
  ({ head, write }) => {
    head(status, `Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`);
    write(body);
  };

/** An answer in these chunks, each written by itself. */
const chunked =
  (type: string, chunks: readonly (string | Uint8Array)[], end: "whole" | "cut" | "open" = "whole"): Answer =>
  async (exchange) => {
    exchange.head("200 OK", `Content-Type: ${type}`, CHUNKED);
    for (const one of chunks) {
      exchange.chunk(one);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (end === "whole") exchange.chunk();
    if (end === "cut") exchange.end();
  };

const lines = (...values: unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");
const events = (...data: string[]): string => data.map((one) => `data: ${one}\n\n`).join("");
const bytesOf = (text: string): Uint8Array[] => [...Buffer.from(text)].map((byte) => Uint8Array.of(byte));

/** 0.1 s of 16-bit mono samples at 8 kHz behind a WAV header, and something after them that is no sound. */
function wav(dataBytes = 1600, tail = "LIST\x04\x00\x00\x00abcd"): Buffer {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + dataBytes, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(dataBytes, 40);
  return Buffer.concat([head, Buffer.alloc(1600, 7), Buffer.from(tail, "latin1")]);
}

const GIB = 1024 ** 3;

/** Writes for ever, as fast as it is read; until nobody does. */
const endless =
  (type: string, piece: Uint8Array, length?: number): Answer =>
  async (exchange) => {
    exchange.head(
      "200 OK",
      `Content-Type: ${type}`,
      length === undefined ? CHUNKED : `Content-Length: ${length}`,
    );
    let open = true;
    void exchange.gone.then(() => (open = false));
    while (open) {
      if (length === undefined) exchange.chunk(piece);
      else exchange.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

let tries = 0;

/** Each is a type of its name, its endpoint, and what `[types.NAME.http]` says beside the URL. */
const TYPES: Readonly<Record<string, { answer: Answer; http?: string; type?: string }>> = {
  json: { answer: whole("application/json; charset=utf-8", '{"frames": 24}') },
  "json-told": { answer: whole("application/vnd.farm+json", "[1, 2]"), http: "json_output = true" },
  nothing: { answer: ({ head }) => head("204 No Content") },
  text: { answer: chunked("text/plain; charset=utf-8", bytesOf("Grüße 👋🏽!")) },
  latin: { answer: whole("text/plain; charset=iso-8859-1", Uint8Array.of(0x47, 0x72, 0xfc, 0xdf, 0x65)) },
  "text-cut": { answer: chunked("text/plain", ["half of"], "cut") },
  "text-short": {
    answer({ head, write, end }) {
      head("200 OK", "Content-Type: text/plain", "Content-Length: 100");
      write("half of");
      end();
    },
  },
  "text-endless-end": {
    answer({ head, write, end }) {
      head("200 OK", "Content-Type: text/plain", "Connection: close");
      write("all of it, or half");
      end();
    },
  },
  ndjson: {
    answer: chunked(
      "application/x-ndjson",
      bytesOf(
        lines(
          { kind: "job.progress", data: { ratio: 0.5, message: "half" } },
          { kind: "output.text", data: { delta: "Grü" } },
          { kind: "output.text", data: { delta: "ße", index: 1 } },
          { n: 1 },
          [2],
        ) + '{"kind":"output.data","data":"last, without its end"}',
      ),
    ),
  },
  "ndjson-result": {
    answer: chunked(
      "application/x-ndjson",
      [
        lines(
          { kind: "output.text", data: { delta: "x" } },
          { kind: "job.succeeded", data: { result: { ok: 1 } } },
        ),
      ],
      "open",
    ),
  },
  "ndjson-failed": {
    answer: whole(
      "application/x-ndjson",
      lines({ kind: "job.failed", data: { error: { code: "no_paper", message: "The tray is empty." } } }),
    ),
  },
  "ndjson-sound": {
    answer: whole(
      "application/x-ndjson",
      lines(
        { kind: "output.audio.format", data: { codec: "pcm_s16le", sampleRate: 8000, channels: 1 } },
        { kind: "output.audio", data: { bytes: Buffer.alloc(3).toString("base64") } },
        { kind: "output.audio", data: { bytes: Buffer.alloc(5).toString("base64") } },
      ),
    ),
  },
  "ndjson-bad-item": {
    answer: whole("application/x-ndjson", lines({ kind: "output.text", data: { dleta: "x" } })),
  },
  "ndjson-bad": { answer: whole("application/x-ndjson", '{"a":1}\n{"a":\n') },
  pointer: {
    answer: chunked("application/x-ndjson", [
      lines({ response: "Hel" }, { response: "lo" }, { response: "", done: true, n: 1 }),
    ]),
    http: 'text_pointer = "/response"',
  },
  sse: {
    answer: chunked("text/event-stream", [
      ": hello\n\n",
      events(
        "Hel",
        " lo",
        '"\\u00fc\\n"',
        '{"n":1}',
        '{"kind":"output.text","data":{"delta":"!"}}',
        "[DONE]",
        "not read",
      ),
    ]),
  },
  "sse-openai": {
    answer: chunked(
      "text/event-stream",
      bytesOf(events('{"choices":[{"delta":{"content":"Hi"}}]}', "[DONE]")),
    ),
    http: 'text_pointer = "/choices/0/delta/content"\nend_mark = "[DONE]"',
  },
  "sse-no-mark": { answer: chunked("text/event-stream", [events("Hel")]), http: 'end_mark = "[DONE]"' },
  "sse-named-mark": {
    answer: ({ head, write }) => {
      head("200 OK", "Content-Type: text/event-stream", "Connection: close");
      write(`${events("Hel")}event: finish\ndata: {}\n\n`);
    },
    http: 'end_mark = "finish"',
  },
  "sse-error": { answer: whole("text/event-stream", `event: error\ndata: ${SECRET}\n\n`) },
  wav: {
    answer: chunked("audio/wav", [wav().subarray(0, 11), wav().subarray(11, 300), wav().subarray(300)]),
  },
  "wav-short": { answer: whole("audio/wav", wav(4000, "")) },
  "wav-lie": { answer: whole("audio/wav", "<html>not a sound</html>") },
  l16: { answer: whole("audio/L16;rate=8000;channels=1", Uint8Array.of(1, 2, 3, 4)) },
  pcm: {
    answer: whole("application/octet-stream", new Uint8Array(3200)),
    http: 'answer = "pcm"\nsample_rate = 16000',
  },
  "pcm-odd": { answer: whole("audio/pcm;rate=16000", new Uint8Array(3201)) },
  "pcm-no-rate": { answer: whole("audio/pcm", new Uint8Array(3200)) },
  mp3: { answer: whole("audio/mpeg", new Uint8Array(5000)) },
  "unknown-type": { answer: whole("image/png", new Uint8Array(10)) },
  "json-lie": { answer: whole("application/json", "<html>oh no</html>") },
  gone: { answer: ({ end }) => end() },
  busy: {
    answer(exchange) {
      tries += 1;
      if (tries > 1) return whole("application/json", '"at last"')(exchange);
      exchange.head("503 Service Unavailable", "Retry-After: 0", "Content-Length: 0");
    },
  },
  teapot: { answer: whole("text/plain", `your key ${SECRET} is no tea`, "418 I'm a teapot") },
  moved: {
    answer: ({ head }) => head("302 Found", "Location: http://127.0.0.1:1/", "Content-Length: 0"),
  },
  "huge-json": { answer: endless("application/json", Buffer.alloc(65_536, " "), GIB) },
  "huge-text": {
    answer: endless("text/plain", Buffer.alloc(65_536, "x"), GIB),
    http: "answer_bytes = 1000000",
  },
  "huge-line": { answer: endless("application/x-ndjson", Buffer.alloc(65_536, "x")) },
  "huge-event": { answer: endless("text/event-stream", Buffer.alloc(65_536, "x")) },
  stalls: { answer: chunked("text/plain", ["Hel"], "open"), type: "idle_ms = 300" },
  silent: { answer: () => undefined, type: "first_output_ms = 300" },
  patient: { answer: chunked("text/plain", ["Hel"], "open") },
};

let endpoint: EndpointServer;
let server: TestServer;
let api: Api;

beforeAll(async () => {
  endpoint = await serveEndpoint(
    Object.fromEntries(Object.entries(TYPES).map(([name, { answer }]) => [`/${name}`, answer])),
  );
  const tables = Object.entries(TYPES).map(
    ([name, { http = "", type = "" }]) =>
      `[types.${name}]\n${type}\n[types.${name}.http]\nurl = "${endpoint.url}/${name}"\n${http}\n` +
      `headers.authorization = "Bearer \${RENDER_KEY}"\n`,
  );
  const strict = `[types.strict]\n[types.strict.input]\ntype = "object"\nproperties.scene = { type = "string", maxLength = 5 }
required = ["scene"]\nadditionalProperties = false\n[types.strict.http]\nurl = "${endpoint.url}/json"\n`;
  server = await startServer({
    file: [...tables, strict].join("\n"),
    env: { RENDER_KEY: SECRET, HOLDLINE_LOG: "debug" },
  });
  api = await newSession(server);
});

afterAll(async () => {
  const exit = server.exit();
  const output = server.output();
  await server[Symbol.asyncDispose]();
  await endpoint[Symbol.asyncDispose]();
  expect(exit).toBeNull();
  expect(output).not.toContain(SECRET);
});

interface Ended {
  readonly job: JobBody;
  readonly log: EventBody[];
}

async function ended(type: string, options: Record<string, unknown> = {}): Promise<Ended> {
  const { id } = await api.submit({ type, input: { scene: "harbour" }, maxAttempts: 1, ...options });
  const job = await api.finished(id);
  const log = await api.log(id);
  expectWhole(log);
  return { job, log };
}

const dataOf = (log: readonly EventBody[], kind: string): unknown[] =>
  log.filter((event) => event.kind === kind).map(({ data }) => data);

const soundOf = (log: readonly EventBody[]): Buffer =>
  Buffer.concat(
    dataOf(log, "output.audio").map((data) => Buffer.from((data as { bytes: string }).bytes, "base64")),
  );

describe("the request", () => {
  test("is the input, with what the endpoint needs to know of the job and the operator's headers", async () => {
    const { job } = await ended("json", { metadata: { order: "4711", ö: "👋" } });
    const [asked] = (await endpoint.askedOf("/json", 1)).slice(-1);
    expect(asked?.method).toBe("POST");
    expect(asked?.body).toBe('{"scene":"harbour"}');
    const { headers } = asked ?? { headers: new Headers() };
    expect(headers.get("holdline-job")).toBe(job.id);
    expect(headers.get("holdline-type")).toBe("json");
    expect(headers.get("holdline-attempt")).toBe("1");
    expect(headers.get("holdline-metadata")).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(headers.get("holdline-metadata") ?? "")).toEqual({ order: "4711", ö: "👋" });
    expect(headers.get("idempotency-key")).toBe(`"${job.id}"`);
    expect(headers.get("traceparent")).toContain(job.traceId);
    expect(headers.get("authorization")).toBe(`Bearer ${SECRET}`);
    expect(headers.get("content-type")).toBe("application/json");
  });

  test("comes again with the same key and the next attempt after a 503, as soon as Retry-After says", async () => {
    const { job } = await ended("busy", { maxAttempts: 2 });
    expect(job).toMatchObject({ status: "succeeded", result: "at last", attempt: 2 });
    const asked = await endpoint.askedOf("/busy", 2);
    expect(asked.map(({ headers }) => headers.get("holdline-attempt"))).toEqual(["1", "2"]);
    expect(new Set(asked.map(({ headers }) => headers.get("idempotency-key"))).size).toBe(1);
  });

  test("is dropped when the job is canceled", async () => {
    const { id } = await api.submit({ type: "patient", input: null });
    const [asked] = await endpoint.askedOf("/patient", 1);
    await api.cancel(id);
    expect((await api.finished(id)).status).toBe("canceled");
    await within("the end of the connection", asked?.gone ?? Promise.reject(new Error("nobody asked")));
  });
});

describe("the schema of an operator", () => {
  test("refuses an input as a built-in one does, with every pointer", async () => {
    const answer = await api.post({ type: "strict", input: { scene: "a harbour", x: 1 } });
    expectProblem(answer, 400, "invalid_request");
    expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual(["/input/scene", "/input/x"]);
    expect((await ended("strict", { input: { scene: "pier" } })).job.status).toBe("succeeded");
  });

  test("is shown as it was written", async () => {
    const { body } = await api.call<{ items: { type: string }[] }>("GET", "/v1/types");
    expectShape(
      body.items.find(({ type }) => type === "strict"),
      {
        input: {
          type: "object",
          properties: { scene: { type: "string", maxLength: 5 } },
          required: ["scene"],
          additionalProperties: false,
        },
        output: ["text", "audio", "data"],
        limits: { maxAttempts: 3, firstOutputMs: 60_000, idleMs: 30_000 },
      },
    );
  });
});

describe("an answer becomes", () => {
  const succeeded: [type: string, result: unknown, kinds: string[]][] = [
    ["json", { frames: 24 }, []],
    ["json-told", [1, 2], ["output.data"]],
    ["nothing", null, []],
    ["latin", { bytes: 5 }, ["output.text"]],
    ["ndjson-result", { ok: 1 }, ["output.text"]],
    ["sse-openai", { items: 1 }, ["output.text"]],
    ["sse-named-mark", { items: 0 }, ["output.text"]],
    ["wav", { bytes: 1600, durationMs: 100 }, ["output.audio.format", "output.audio"]],
    ["l16", { bytes: 4, durationMs: 0 }, ["output.audio.format", "output.audio"]],
    ["pcm", { bytes: 3200, durationMs: 100 }, ["output.audio.format", "output.audio"]],
    ["mp3", { bytes: 5000 }, ["output.audio.format", "output.audio"]],
    ["ndjson-sound", { items: 3 }, ["output.audio.format", "output.audio"]],
  ];
  test.each(succeeded)("%s: the result %j", async (type, result, kinds) => {
    const { job, log } = await ended(type);
    expect({ error: job.error, result: job.result }).toEqual({ error: undefined, result } as never);
    expect(outline(log)).toEqual(["job.queued", "job.started", ...kinds, "job.succeeded"]);
  });

  test("text, split anywhere", async () => {
    expect(textOf((await ended("text")).log)).toBe("Grüße 👋🏽!");
    expect(textOf((await ended("latin")).log)).toBe("Grüße");
  });

  test("texts, progress and data, line by line", async () => {
    const { job, log } = await ended("ndjson");
    expect(dataOf(log, "output.text")).toEqual([
      { delta: "Grü", index: 0 },
      { delta: "ße", index: 1 },
    ]);
    expect(dataOf(log, "output.data")).toEqual([{ n: 1 }, [2], "last, without its end"]);
    expect(job).toMatchObject({ progress: { ratio: 0.5, message: "half" }, result: { items: 6 } });
  });

  test("text where a pointer says, and data where it says nothing", async () => {
    const { log } = await ended("pointer");
    expect(textOf(log)).toBe("Hello");
  });

  test("text and data of events, until [DONE]", async () => {
    const { log } = await ended("sse");
    expect(textOf(log)).toBe("Hel loü\n!");
    expect(dataOf(log, "output.data")).toEqual([{ n: 1 }]);
  });

  test("sound: the samples of a WAV and nothing else, big-endian ones turned round", async () => {
    const { log } = await ended("wav");
    expect(dataOf(log, "output.audio.format")).toEqual([
      { codec: "pcm_s16le", sampleRate: 8000, channels: 1 },
    ]);
    expect(soundOf(log)).toEqual(Buffer.alloc(1600, 7));
    expect(soundOf((await ended("l16")).log)).toEqual(Buffer.from([2, 1, 4, 3]));
  });
});

describe("an endpoint that", () => {
  const failed: [type: string, error: Record<string, unknown>][] = [
    ["text-cut", { code: "upstream_error", retryable: true }],
    ["text-short", { code: "upstream_error", retryable: true }],
    ["text-endless-end", { code: "upstream_refused", retryable: false }],
    ["ndjson-failed", { code: "no_paper", message: "The tray is empty.", retryable: true }],
    ["ndjson-bad-item", { code: "upstream_error", retryable: true }],
    ["ndjson-bad", { code: "upstream_error", retryable: true }],
    ["sse-no-mark", { code: "upstream_error", retryable: true }],
    ["sse-error", { code: "upstream_error", message: "The endpoint reported an error." }],
    ["wav-short", { code: "upstream_error", retryable: true }],
    ["wav-lie", { code: "upstream_error", retryable: true }],
    ["pcm-odd", { code: "upstream_error", retryable: true }],
    ["pcm-no-rate", { code: "upstream_refused", retryable: false }],
    ["unknown-type", { code: "upstream_error", retryable: true }],
    ["json-lie", { code: "upstream_error", retryable: true }],
    ["gone", { code: "upstream_error", message: "The endpoint cannot be reached." }],
    ["teapot", { code: "upstream_refused", message: "The endpoint answered 418.", retryable: false }],
    ["moved", { code: "upstream_refused", message: "The endpoint answered 302.", retryable: false }],
    ["huge-json", { code: "output_too_large", retryable: false }],
    ["huge-text", { code: "output_too_large", retryable: false }],
    ["huge-line", { code: "output_too_large", retryable: false }],
    ["huge-event", { code: "output_too_large", retryable: false }],
  ];
  test.each(failed)("answers so ends the job: %s (abuse/S42)", async (type, error) => {
    const { job } = await ended(type);
    expect(job.status).toBe("failed");
    expectShape(job.error, { origin: "upstream", attempt: 1, ...error });
  });

  test("stalls is given up", async () => {
    expectShape((await ended("stalls")).job.error, { code: "idle_timeout", origin: "timeout" });
    expectShape((await ended("silent")).job.error, { code: "first_output_timeout", origin: "timeout" });
  });

  test("says why it refuses is heard in the log, without the secret that it repeats", async () => {
    await ended("teapot");
    const line = server.logs().find(({ msg, type }) => msg === "an upstream failed" && type === "teapot");
    expectShape(line, { status: 418, said: "your key [key] is no tea", type: "teapot" });
  });
});
