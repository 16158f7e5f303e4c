/** The type `voice`: text and sound side by side, and what is refused before it is stored. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import type { ChatRequest } from "../../src/handlers/chat/engine.ts";
import type { InputContext, PreviousJob } from "../../src/handlers/handler.ts";
import { createFliteSpeech } from "../../src/handlers/speech/flite.ts";
import { createVoiceHandler, voiceInputSchema, type VoiceInput } from "../../src/handlers/voice.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createRecorder, TRACEPARENT } from "./recorder.ts";
import {
  createManualClock,
  createSpellingEngine,
  createTestEngine,
  loudness,
  spelled,
  TEST_FORMAT,
  unspelled,
} from "./speech-doubles.ts";
import { chatting, complaints, INPUT, rejectionOf, run, writing } from "./voice-run.ts";

describe("text and sound", () => {
  test("all text is written, every sentence is spoken, in order", async () => {
    const recorder = createRecorder();
    const speech = createSpellingEngine();
    const text = "One is one. Two is more! Is three? Four";
    expect(await run({ chat: writing(text), speech, recorder })).toEqual({
      text,
      model: "test-model",
      usage: { tokens: 1 },
      durationMs: text.length - 3,
      spokenTo: text.length,
    });
    expect(recorder.text()).toBe(text);
    expect(speech.said).toEqual(["One is one.", "Two is more!", "Is three?", "Four"]);
    expect(unspelled(recorder.audio())).toBe("One is one.Two is more!Is three?Four");
    expect(recorder.formats()).toEqual([TEST_FORMAT]);
    expect(complaints(recorder)).toEqual([]);
  });

  test("before the sound of each sentence its place is told, in the text and in the sound", async () => {
    const recorder = createRecorder();
    // Blanks of any kind between and inside sentences are in the text, and not in what is spoken.
    const text = "  One is\none. \n\n Zwei 🙂 ist\u00a0mehr!\tAnd a silent one. Three";
    const speech = createSpellingEngine({
      examine: (sentence) => ({ speakable: !sentence.includes("silent"), refused: [] }),
    });
    const result = await run({ chat: writing(text), speech, recorder });
    const told = recorder.entries.flatMap((entry, at) => {
      if (entry.kind !== "data") return [];
      const { from, to, startMs } = (entry.value as { speech: { from: number; to: number; startMs: number } })
        .speech;
      // The sound that follows is this sentence's, and what came before it is as long as is said.
      const before = recorder.entries
        .slice(0, at)
        .flatMap((one) => (one.kind === "audio" ? [one.bytes] : []));
      const bytes = before.reduce((sum, chunk) => sum + chunk.byteLength, 0);
      expect(startMs).toBe(Math.round((bytes / 2 / TEST_FORMAT.sampleRate) * 1000));
      expect(recorder.entries.slice(at + 1).find(({ kind }) => kind !== "text")?.kind).toBe("audio");
      return [text.slice(from, to)];
    });
    expect(told).toEqual(["One is\none.", "Zwei 🙂 ist\u00a0mehr!", "Three"]);
    expect(result).toHaveProperty("spokenTo", text.length);
  });

  test("a sentence is spoken while the next one is being written", async () => {
    const recorder = createRecorder();
    const chat = chatting(async (write) => {
      await write("One. Tw");
      // The answer goes on only when the first sentence was heard.
      await recorder.seen("audio");
      await write("o.");
    });
    await run({ chat, speech: createSpellingEngine(), recorder });
    const [firstSound, lastText] = [
      recorder.entries.findIndex((entry) => entry.kind === "audio"),
      recorder.entries.findLastIndex((entry) => entry.kind === "text"),
    ];
    expect(firstSound).toBeWithin(0, lastText);
    expect(unspelled(recorder.audio())).toBe("One.Two.");
  });

  test("the text does not wait for the sound", async () => {
    const recorder = createRecorder();
    const written = Promise.withResolvers<void>();
    const chat = chatting(async (write) => {
      for (let n = 0; n < 200; n += 1) await write(`This is number ${n}. `);
      written.resolve();
    });
    const speech = createTestEngine(async (request, sink) => {
      // Nothing is heard before everything is written.
      await written.promise;
      await sink.audio(spelled(request.text));
      return { durationMs: 1, bytes: request.text.length * 2, voice: "one" };
    });
    expect(await run({ chat, speech, recorder })).toHaveProperty("durationMs", 200);
    expect(unspelled(recorder.audio())).toBe(recorder.text().replaceAll(". ", "."));
  });

  test("conversation, options, voice and trace reach the engines", async () => {
    const before: PreviousJob = {
      id: "1",
      type: "voice",
      input: { messages: [{ role: "user", content: "Before?" }] },
      result: { text: "Before.", model: "m", durationMs: 1 },
    };
    const previousJobId = "01987f5e-0000-7000-8000-00000000000a";
    const asked: Partial<ChatRequest>[] = [];
    const spoken: unknown[] = [];
    const chat = chatting(async (write, { signal: _signal, ...request }) => {
      asked.push(request);
      await write("Hi.");
    });
    const speech = createTestEngine(({ signal: _signal, ...request }) => {
      spoken.push(request);
      return Promise.resolve({ durationMs: 5, bytes: 0, voice: "two" });
    });
    const recorder = createRecorder({ previous: { [previousJobId]: before } });
    const input = { ...INPUT, previousJobId, voice: "two", model: "m", temperature: 0.5, maxTokens: 9 };
    await run({ chat, speech, recorder, input });
    expect(asked).toEqual([
      {
        messages: [
          { role: "user", content: "Before?" },
          { role: "assistant", content: "Before." },
          { role: "user", content: "Tell me." },
        ],
        model: "m",
        temperature: 0.5,
        maxTokens: 9,
        traceparent: TRACEPARENT,
      },
    ]);
    expect(spoken).toEqual([{ text: "Hi.", voice: "two", format: "pcm", traceparent: TRACEPARENT }]);
  });

  test("with the engine in the package it is heard", async () => {
    const recorder = createRecorder();
    const speech = createFliteSpeech({ clock: createSystemClock() });
    const result = await run({ chat: writing("Hello there. How are you? Привет, мир."), speech, recorder });
    await speech.stop?.();
    expect(loudness(recorder.audio())).toBeGreaterThan(0.02);
    expect(result).toHaveProperty("durationMs", recorder.audio().length / 32);
    expect(recorder.formats()).toEqual([{ codec: "pcm_s16le", sampleRate: 16_000, channels: 1 }]);
    expect(complaints(recorder)).toEqual([
      { speech: { skipped: "Привет, мир.", reason: expect.stringContaining("English only") } },
    ]);
  });
});

describe("what is refused before it is stored, and what is promised", () => {
  const handler = createVoiceHandler({
    chat: writing("Hi."),
    speech: createSpellingEngine(),
    clock: createManualClock(),
  });
  const context: InputContext = { userId: "user", previous: () => Promise.resolve(null) };
  const checked = (input: VoiceInput): Promise<unknown> =>
    rejectionOf(Promise.resolve(handler.check?.(input, context)));

  test("a voice that the engine does not have, a previous job that is none", async () => {
    expect(await checked({ ...INPUT, voice: "two" })).toBeNull();
    expect(await checked({ ...INPUT, voice: "three" })).toMatchObject({
      code: "invalid_request",
      errors: [{ pointer: "/input/voice", detail: "must be one of one, two" }],
    });
    const previousJobId = "01987f5e-0000-7000-8000-00000000000b";
    expect(await checked({ ...INPUT, previousJobId })).toMatchObject({
      errors: [{ pointer: "/input/previousJobId" }],
    });
  });

  test("input is what chat takes, and a voice", () => {
    expect(voiceInputSchema.safeParse({ ...INPUT, voice: "slt", maxTokens: 5 }).success).toBeTrue();
    expect(voiceInputSchema.safeParse({ ...INPUT, speed: 2 }).success).toBeFalse();
    expect(voiceInputSchema.safeParse({ messages: [], voice: "slt" }).success).toBeFalse();
    expect(JSON.stringify(z.toJSONSchema(handler.input))).toContain("one, two");
  });

  test("the watchdogs follow where the text is made", () => {
    expect(handler).toMatchObject({ type: "voice", output: ["text", "audio", "data"], concurrency: 256 });
    expect(handler.idleMs).toBeUndefined();
    const far = createVoiceHandler({
      chat: chatting(() => Promise.resolve(), true),
      speech: createSpellingEngine({ upstream: true }),
      clock: createManualClock(),
    });
    expect(far).toMatchObject({ firstOutputMs: 60_000, idleMs: 30_000 });
    expect(far.concurrency).toBeUndefined();
  });
});
