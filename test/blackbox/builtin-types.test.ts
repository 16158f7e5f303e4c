/** chat, speech and voice on the engines inside the package, with no network and no key (PROTOCOL section 7). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, apiOf, expectProblem, newSession } from "../support/http.ts";
import { expectWhole, outline, textOf } from "../support/log-checker.ts";
import { sharedServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

const say = (content: string) => ({ role: "user", content });

async function ended(body: unknown) {
  const { id } = await api.submit(body);
  const job = await api.finished(id);
  const log = await api.log(id);
  expectWhole(log);
  return { job, log };
}

describe("chat", () => {
  test("writes text, and its result is that text and a model", async () => {
    const { job, log } = await ended({ type: "chat", input: { messages: [say("Hello there.")] } });
    expect(job.status).toBe("succeeded");
    expectShape(job.result, { text: textOf(log), model: expect.stringMatching(/./) });
    expect(textOf(log).trim()).not.toBe("");
    expect(outline(log)).toEqual(["job.queued", "job.started", "output.text", "job.succeeded"]);
  });

  test("continues a conversation by previousJobId", async () => {
    const first = await ended({ type: "chat", input: { messages: [say("I am sad about my garden.")] } });
    const next = { type: "chat", input: { messages: [say("Go on.")], previousJobId: first.job.id } };
    expect((await ended(next)).job.status).toBe("succeeded");
  });

  test("refuses a previousJobId that is unknown, not a chat, or not succeeded, with its pointer", async () => {
    const speech = await ended({ type: "speech", input: { text: "Hi." } });
    const canceled = await api.submit({ type: "tokens", input: { tokens: 9, size: 1, intervalMs: 60_000 } });
    await api.cancel(canceled.id);
    for (const previousJobId of [Bun.randomUUIDv7(), "nonsense", speech.job.id, canceled.id]) {
      const answer = await api.post({ type: "chat", input: { messages: [say("x")], previousJobId } });
      expectProblem(answer, 400, "invalid_request");
      expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual(["/input/previousJobId"]);
    }
  });

  test("takes text of any script, and markup as text", async () => {
    const { job } = await ended({
      type: "chat",
      input: { messages: [say("Grüße 👋🏽 <script>alert(1)</script> ' -- שלום")] },
    });
    expect(job.status).toBe("succeeded");
  });
});

describe("speech", () => {
  test("speaks PCM, and its result tells length and bytes", async () => {
    const { job, log } = await ended({ type: "speech", input: { text: "Hello there. How are you?" } });
    expect(job.status).toBe("succeeded");
    const format = log.find(({ kind }) => kind === "output.audio.format")?.data;
    expectShape(format, {
      codec: "pcm_s16le",
      sampleRate: expect.any(Number),
      channels: expect.any(Number),
    });
    const bytes = log
      .filter(({ kind }) => kind === "output.audio")
      .map(({ data }) => Buffer.from(data.bytes ?? "", "base64"));
    const total = bytes.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const result = job.result as { durationMs: number; bytes: number; voice: string };
    expectShape(result, { bytes: total, voice: expect.stringMatching(/./) });
    const seconds = total / 2 / (format?.channels ?? 1) / (format?.sampleRate ?? 1);
    expect(Math.abs(result.durationMs - seconds * 1000)).toBeLessThan(5);
    expect(seconds).toBeGreaterThan(0.8);
    expect(seconds).toBeLessThan(10);
    // Whole samples, and not silence.
    for (const chunk of bytes) expect(chunk.byteLength % 2).toBe(0);
    expect(bytes.some((chunk) => chunk.some((byte, at) => at % 2 === 1 && byte > 8 && byte < 248))).toBe(
      true,
    );
  });

  test("refuses formats that the built-in engine does not have, before or as a job's error", async () => {
    const answer = await api.post({ type: "speech", input: { text: "Hi.", format: "flac" } });
    expectProblem(answer, 400, "invalid_request");
    expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual(["/input/format"]);
  });
});

describe("voice", () => {
  test("gives text and audio together, audio before the text is over", async () => {
    await using client = await connect(server());
    const owner = apiOf(server(), client.token);
    const { id } = await owner.submit({
      type: "voice",
      input: { messages: [say("Tell me about yourself, please. I like long answers.")] },
    });
    const end = await client.waitForEnd(id, 30_000);
    expect(end.kind).toBe("job.succeeded");
    const log = await owner.log(id);
    expectWhole(log, [{ after: 0, events: client.events(id) }]);
    expectShape(end.data.result, {
      text: textOf(log),
      model: expect.any(String),
      durationMs: expect.any(Number),
      spokenTo: textOf(log).length,
    });
    const audioBytes = client.events(id).reduce((sum, { bytes }) => sum + (bytes?.byteLength ?? 0), 0);
    expect(audioBytes).toBeGreaterThan(8000);
    const format = log.findIndex(({ kind }) => kind === "output.audio.format");
    const audio = log.findIndex(({ kind }) => kind === "output.audio");
    expect(format).toBeGreaterThan(0);
    expect(audio).toBeGreaterThan(format);
  }, 40_000);
});
