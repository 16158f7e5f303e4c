/** The type `speech`: what is refused before it is stored, and what a run writes. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { JobError, type InputContext } from "../../src/handlers/handler.ts";
import type { SpeechEngine } from "../../src/handlers/speech/engine.ts";
import { createFliteSpeech } from "../../src/handlers/speech/flite.ts";
import { createOpenAiSpeech } from "../../src/handlers/speech/openai.ts";
import { createSpeechHandler, speechInputSchema } from "../../src/handlers/speech/speech.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { createRecorder, TRACEPARENT } from "./recorder.ts";
import {
  createManualClock,
  createSpellingEngine,
  createTestEngine,
  spelled,
  TEST_FORMAT,
} from "./speech-doubles.ts";

const context: InputContext = { userId: "user", previous: () => Promise.resolve(null) };
const builtIn = createFliteSpeech({ clock: createManualClock() });
const upstream = createOpenAiSpeech({ url: "http://127.0.0.1:1/v1" });

/** What the check says: the one field it names, or null when the input is taken. */
async function refusalOf(
  engine: SpeechEngine,
  input: unknown,
): Promise<{ pointer: string; detail: string } | null> {
  try {
    await createSpeechHandler(engine).check?.(speechInputSchema.parse(input), context);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    const refusal = error as Refusal;
    expect(refusal.code).toBe("invalid_request");
    expect(refusal.errors).toHaveLength(1);
    return refusal.errors?.[0] ?? null;
  }
}

/** Everything that could go on has gone on by then. */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("input", () => {
  test.each([
    { text: "Hi." },
    { text: "Hi.", voice: "rms", speed: 0.5, format: "opus" },
    { text: "x".repeat(20_000), speed: 2, format: "mp3" },
  ])("%j is an input", (input) => {
    expect(speechInputSchema.safeParse(input).success).toBeTrue();
  });

  test.each([
    {},
    { text: "" },
    { text: 5 },
    { text: "Hi.", voice: "" },
    { text: "Hi.", voice: "x".repeat(65) },
    { text: "Hi.", speed: 0.49 },
    { text: "Hi.", speed: 2.01 },
    { text: "Hi.", speed: "fast" },
    { text: "Hi.", format: "wav" },
    { text: "Hi.", colour: "red" },
    { text: "x".repeat(20_001) },
  ])("%j is none", (input) => {
    expect(speechInputSchema.safeParse(input).success).toBeFalse();
  });

  test("has a JSON Schema in which every field is described, and the voices are listed", () => {
    const schema = z.toJSONSchema(createSpeechHandler(builtIn).input);
    expect(schema.required).toEqual(["text"]);
    expect(schema.additionalProperties).toBe(false);
    for (const property of Object.values(schema.properties ?? {}))
      expect((property as { description?: string }).description).toBeString();
    expect(schema.properties?.["voice"]).toMatchObject({
      description: expect.stringContaining("slt, rms, awb, kal16, kal"),
    });
  });
});

describe("what is refused before it is stored", () => {
  test("a voice that the engine does not have, with those it has", async () => {
    const refusal = await refusalOf(builtIn, { text: "Hi.", voice: "alloy" });
    expect(refusal).toEqual({
      pointer: "/input/voice",
      detail: "must be one of slt, rms, awb, kal16, kal",
    });
    expect(await refusalOf(builtIn, { text: "Hi.", voice: "awb" })).toBeNull();
    expect(await refusalOf(upstream, { text: "Hi.", voice: "whoever" })).toBeNull();
  });

  test("a format that the engine does not make", async () => {
    for (const format of ["mp3", "opus"]) {
      const refusal = await refusalOf(builtIn, { text: "Hi.", format });
      expect(refusal?.pointer).toBe("/input/format");
      expect(refusal?.detail).toContain("pcm");
      expect(await refusalOf(upstream, { text: "Hi.", format })).toBeNull();
    }
    expect(await refusalOf(builtIn, { text: "Hi.", format: "pcm" })).toBeNull();
  });

  test.each([
    ["Привет, как дела?", "Привет, как дела?"],
    ["Hello there. 你好，世界。 Bye.", "你好，世界。"],
    [`Hello. ${"Долго ".repeat(20)}`, "Долго Долго Долго Долго Долго Долго Долг…"],
  ])("%j, which is not English, named by its first words", async (text, shown) => {
    const refusal = await refusalOf(builtIn, { text });
    expect(refusal?.pointer).toBe("/input/text");
    expect(refusal?.detail).toContain("English only");
    expect(refusal?.detail).toContain(shown);
    expect(refusal?.detail).not.toContain("Hello");
    expect(await refusalOf(upstream, { text })).toBeNull();
  });

  test.each(["   ", "...", "😀🎉", "\u0007"])("%j, of which nothing would be heard", async (text) => {
    const refusal = await refusalOf(builtIn, { text });
    expect(refusal?.pointer).toBe("/input/text");
    expect(refusal?.detail).toContain("nothing that can be spoken");
    expect(await refusalOf(upstream, { text })).toEqual(text.trim() === "" ? refusal : null);
  });

  test("but not accents, emoji and signs among words", async () => {
    expect(await refusalOf(builtIn, { text: "Crème brûlée 😀 — 5 €! I love 寿司." })).toBeNull();
  });
});

describe("a run", () => {
  test("announces the format, writes the sound and gives its length", async () => {
    const recorder = createRecorder();
    const result = await createSpeechHandler(createSpellingEngine()).run(recorder.job, { text: "abc" });
    expect(recorder.entries).toEqual([
      { kind: "format", format: TEST_FORMAT },
      { kind: "audio", bytes: spelled("abc") },
    ]);
    expect(result).toEqual({ durationMs: 3, bytes: 6, voice: "one" });
  });

  test("hands everything on to the engine, pcm where no format is named", async () => {
    const requests: unknown[] = [];
    const engine = createTestEngine((request) => {
      requests.push(request);
      return Promise.resolve({ bytes: 0, voice: "two" });
    });
    const { job } = createRecorder();
    const handler = createSpeechHandler(engine);
    await handler.run(job, { text: "Hi." });
    await handler.run(job, { text: "Hi.", voice: "two", speed: 1.5, format: "mp3" });
    const always = { text: "Hi.", signal: job.signal, traceparent: TRACEPARENT };
    expect(requests).toEqual([
      { ...always, format: "pcm" },
      { ...always, format: "mp3", voice: "two", speed: 1.5 },
    ]);
  });

  test("ends when everything is committed, not before", async () => {
    const disk = Promise.withResolvers<void>();
    const recorder = createRecorder({ commit: () => disk.promise });
    const handler = createSpeechHandler(createSpellingEngine());
    const running = Promise.resolve(handler.run(recorder.job, { text: "abc" }));
    await recorder.seen("audio");
    await turnOfTheLoop();
    expect(Bun.peek.status(running)).toBe("pending");
    disk.resolve();
    expect(await running).toHaveProperty("bytes", 6);
  });

  test("waits for the disk when too much is not committed yet", async () => {
    const recorder = createRecorder({ commit: () => new Promise(() => undefined) });
    const engine = createTestEngine(async (_request, sink) => {
      for (;;) await sink.audio(spelled("a"));
    });
    const running = Promise.resolve(createSpeechHandler(engine).run(recorder.job, { text: "a" }));
    await recorder.seen("audio");
    await turnOfTheLoop();
    expect(recorder.entries).toHaveLength(64);
    recorder.abort("enough");
    expect(await running.catch((reason: unknown) => reason)).toBe("enough");
    expect(recorder.entries).toHaveLength(64);
  });

  test("fails as the engine fails, and as the job fails", async () => {
    const failure = new JobError("speech_failed", "broken");
    const engine = createTestEngine(() => Promise.reject(failure));
    const failing = Promise.resolve(createSpeechHandler(engine).run(createRecorder().job, { text: "a" }));
    expect(await failing.catch((error: unknown) => error)).toBe(failure);

    const full = new JobError("output_too_large", "full");
    const { job } = createRecorder({
      commit(entry) {
        if (entry.kind === "audio") throw full;
      },
    });
    const writing = Promise.resolve(createSpeechHandler(createSpellingEngine()).run(job, { text: "a" }));
    expect(await writing.catch((error: unknown) => error)).toBe(full);
  });

  test("only an upstream is watched for silence; only the engine in here is shared by few runs", () => {
    const [near, far] = [createSpeechHandler(builtIn), createSpeechHandler(upstream)];
    expect(far).toMatchObject({ type: "speech", output: ["audio"], firstOutputMs: 60_000, idleMs: 30_000 });
    expect(far.concurrency).toBeUndefined();
    expect(near.firstOutputMs).toBeUndefined();
    expect(near.idleMs).toBeUndefined();
    expect(near.concurrency).toBe(64);
  });
});
