/**
 * `chat`, `speech` and `voice` on a server of OpenAI's API that others maintain (aimock), which holds the shape of its
 * answers to the real ones: what Holdline asks it takes, and what it answers Holdline understands.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { LLMock, type JournalEntry } from "@copilotkit/aimock";
import { newSession, type Api } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { PCM, soundOf } from "../support/openai.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";

const KEY = "sk-for-the-mock";
const ANSWER = "Grüße aus Köln. 👋🏽 This is the second sentence. And a third.";

let mock: LLMock;
let server: TestServer;
let api: Api;
beforeAll(async () => {
  mock = new LLMock({ host: "127.0.0.1", port: 0, latency: 2, chunkSize: 3, auth: { apiKeys: [KEY] } });
  mock.onMessage("greet", { content: ANSWER });
  mock.onMessage("be brief", { content: "Not the wh", finishReason: "length" });
  mock.onMessage("say nothing", { content: "", finishReason: "content_filter" });
  mock.onMessage("break off", { content: ANSWER }, { truncateAfterChunks: 4 });
  mock.onMessage("hang up", { content: ANSWER }, { disconnectAfterMs: 5 });
  mock.onSpeech(/./u, { audio: Buffer.from(PCM).toString("base64"), format: "pcm" });
  await mock.start();
  server = await startServer({
    env: {
      HOLDLINE_CHAT_URL: `${mock.url}/v1`,
      HOLDLINE_CHAT_KEY: KEY,
      HOLDLINE_CHAT_MODEL: "gpt-4o",
      HOLDLINE_SPEECH_URL: `${mock.url}/v1`,
      HOLDLINE_SPEECH_KEY: KEY,
    },
  });
  api = await newSession(server);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await mock.stop();
});
beforeEach(() => mock.clearRequests());

const asking = (content: string) => ({ messages: [{ role: "user", content }] });

async function ended(body: object) {
  const { id } = await api.submit(body);
  const job = await api.finished(id);
  const log = await api.log(id);
  expectWhole(log);
  return { job, log };
}

const bodyOf = (request: JournalEntry | null | undefined): unknown => request?.body;

test("chat streams it, with the model, the usage and the reason of the end", async () => {
  const { job, log } = await ended({ type: "chat", input: asking("greet") });
  expectShape(job, { status: "succeeded", attempt: 1 });
  expectShape(job.result, {
    text: ANSWER,
    model: "gpt-4o",
    finishReason: "stop",
    usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) },
  });
  expect(textOf(log)).toBe(ANSWER);
  // Chunks of three characters, 2 ms apart: it came as a stream, and was handed on as one.
  expect(log.filter(({ kind }) => kind === "output.text").length).toBeGreaterThan(1);
  expectShape(bodyOf(mock.getLastRequest()), {
    model: "gpt-4o",
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: "greet" }],
  });
});

test.each([
  ["be brief", "length", "Not the wh"],
  ["say nothing", "content_filter", ""],
])("asked to %s it ends with %s", async (content, finishReason, text) => {
  const { job } = await ended({ type: "chat", input: asking(content) });
  expectShape(job, { status: "succeeded" });
  expectShape(job.result, { text, finishReason });
});

test.each(["pcm", "mp3", "opus"] as const)(
  "speech asks for %s and takes the sound as it is",
  async (format) => {
    const { job, log } = await ended({ type: "speech", input: { text: "Hello.", voice: "nova", format } });
    expectShape(job, { status: "succeeded" });
    expectShape(job.result, { bytes: PCM.length, voice: "nova" });
    expect(Buffer.concat(soundOf(log))).toEqual(Buffer.from(PCM));
  },
);

test("voice writes and speaks sentence by sentence", async () => {
  const { job, log } = await ended({ type: "voice", input: asking("greet") });
  expectShape(job, { status: "succeeded" });
  expectShape(job.result, { text: ANSWER, spokenTo: ANSWER.length, finishReason: "stop" });
  const spoken = mock.getRequests().filter(({ path }) => path.endsWith("/audio/speech"));
  expect(spoken.length).toBeGreaterThan(1);
  expect(Buffer.concat(soundOf(log)).length).toBe(spoken.length * PCM.length);
});

test.each(["break off", "hang up"])("an answer that is cut (%s) is no answer", async (content) => {
  const { job } = await ended({ type: "chat", input: asking(content), maxAttempts: 1 });
  expect(job).toMatchObject({ status: "failed", error: { code: "upstream_error", retryable: true } });
});

test.each([429, 500, 503])("after a %p the next run succeeds", async (status) => {
  mock.nextRequestError(status, { message: "not now", type: "server_error" });
  const { job } = await ended({ type: "chat", input: asking("greet") });
  expectShape(job, { status: "succeeded", attempt: 2 });
});

test("what it does not take is refused for good", async () => {
  const { job } = await ended({ type: "chat", input: asking("nobody knows this") });
  expect(job).toMatchObject({ attempt: 1, error: { code: "upstream_refused", retryable: false } });
});
