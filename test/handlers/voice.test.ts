/** The type `voice`: text and sound side by side, and that the text never suffers from the sound. */
import { describe, expect, test } from "bun:test";
import type { ChatEngine, ChatRequest } from "../../src/handlers/chat/engine.ts";
import { JobError, type InputContext, type PreviousJob } from "../../src/handlers/handler.ts";
import type { SpeechEngine } from "../../src/handlers/speech/engine.ts";
import { createFliteSpeech } from "../../src/handlers/speech/flite.ts";
import { SILENCE_MS, WAITING_CHARS } from "../../src/handlers/speech/speaker.ts";
import { createVoiceHandler, voiceInputSchema, type VoiceInput } from "../../src/handlers/voice.ts";
import type { Json } from "../../src/protocol/events.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createRecorder, TRACEPARENT, type Recorder } from "./recorder.ts";
import {
  createManualClock,
  createSpellingEngine,
  createTestEngine,
  loudness,
  spelled,
  TEST_FORMAT,
  unspelled,
} from "./speech-doubles.ts";

const INPUT: VoiceInput = { messages: [{ role: "user", content: "Tell me." }] };

/** A chat engine whose answer the test writes. */
function chatting(
  generate: (write: (delta: string) => Promise<void>, request: ChatRequest) => Promise<void>,
  upstream = false,
): ChatEngine {
  return {
    upstream,
    async generate(request, write) {
      await generate(write, request);
      return { model: "test-model", usage: { tokens: 1 } };
    },
  };
}

/** Writes the text in pieces of a few characters. */
function writing(text: string): ChatEngine {
  return chatting(async (write) => {
    for (const delta of text.match(/[^]{1,4}/gu) ?? []) await write(delta);
  });
}

interface Parts {
  readonly chat: ChatEngine;
  readonly speech: SpeechEngine;
  readonly recorder?: Recorder;
  readonly clock?: ReturnType<typeof createManualClock>;
  readonly input?: VoiceInput;
}

function run({ chat, speech, recorder, clock, input }: Parts): Promise<Json | void> {
  const handler = createVoiceHandler({ chat, speech, clock: clock ?? createManualClock() });
  return handler.run((recorder ?? createRecorder()).job, input ?? INPUT);
}

function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (reason: unknown) => reason,
  );
}

/** What hangs until it is aborted. */
function hanging(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
}

describe("text and sound", () => {
  test("all text is written, every sentence is spoken, in order", async () => {
    const recorder = createRecorder();
    const speech = createSpellingEngine();
    const text = "One is one. Two is more! Is three? Four";
    expect(await run({ chat: writing(text), speech, recorder })).toEqual({
      text,
      model: "test-model",
      durationMs: text.length - 3,
    });
    expect(recorder.text()).toBe(text);
    expect(speech.said).toEqual(["One is one.", "Two is more!", "Is three?", "Four"]);
    expect(unspelled(recorder.audio())).toBe("One is one.Two is more!Is three?Four");
    expect(recorder.formats()).toEqual([TEST_FORMAT]);
    expect(recorder.data()).toEqual([]);
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

  test("another format in the middle is announced", async () => {
    const recorder = createRecorder();
    const speech = createTestEngine(async (request, sink) => {
      await sink.format({ ...TEST_FORMAT, sampleRate: request.text === "Two." ? 8000 : 16_000 });
      await sink.audio(spelled(request.text));
      return { durationMs: 1, bytes: 8, voice: "one" };
    });
    await run({ chat: writing("One. One. Two. One."), speech, recorder });
    expect(recorder.formats().map((format) => format.sampleRate)).toEqual([16_000, 8000, 16_000]);
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
    expect(recorder.data()).toEqual([
      { speech: { skipped: "Привет, мир.", reason: expect.stringContaining("English only") } },
    ]);
  });
});

describe("sound that fails", () => {
  test("is told once, the text goes on, and nothing more is spoken", async () => {
    const recorder = createRecorder();
    let asked = 0;
    const speech = createTestEngine(async (request, sink) => {
      asked += 1;
      if (asked === 2) throw new JobError("upstream_error", "The speech upstream answered 500.");
      await sink.audio(spelled(request.text));
      return { durationMs: 7, bytes: 8, voice: "one" };
    });
    const text = "One. Two. Three. Four.";
    expect(await run({ chat: writing(text), speech, recorder })).toEqual({
      text,
      model: "test-model",
      durationMs: 7,
    });
    expect(recorder.text()).toBe(text);
    expect(recorder.data()).toEqual([{ speech: { failed: "The speech upstream answered 500." } }]);
    expect(unspelled(recorder.audio())).toBe("One.");
    expect(asked).toBe(2);
    expect(recorder.logged).toHaveLength(1);
  });

  test("an error that is not meant for users is not shown to them", async () => {
    const recorder = createRecorder();
    const speech = createTestEngine(() => Promise.reject(new TypeError("secret of the house")));
    await run({ chat: writing("One."), speech, recorder });
    expect(recorder.data()).toEqual([{ speech: { failed: "The speech engine failed." } }]);
    expect(Bun.inspect(recorder.logged)).toContain("secret of the house");
  });

  test("a sentence that cannot be spoken is told and skipped; what is silent is only skipped", async () => {
    const recorder = createRecorder();
    const examine: NonNullable<SpeechEngine["examine"]> = (text) => ({
      speakable: !text.startsWith("No"),
      refused: text === "No way." ? [{ sentence: text, reason: "for a reason" }] : [],
    });
    const speech = createSpellingEngine({ examine });
    await run({ chat: writing("One. No way. None. Two."), speech, recorder });
    expect(speech.said).toEqual(["One.", "Two."]);
    expect(recorder.data()).toEqual([{ speech: { skipped: "No way.", reason: "for a reason" } }]);
    expect(recorder.text()).toBe("One. No way. None. Two.");
  });

  test("an upstream that falls silent ends the sound, not the text", async () => {
    const [recorder, clock] = [createRecorder(), createManualClock()];
    const asked = Promise.withResolvers<AbortSignal>();
    const speech = createTestEngine(
      async (request, sink) => {
        await sink.audio(spelled("a"));
        asked.resolve(request.signal);
        return hanging(request.signal);
      },
      { upstream: true },
    );
    const running = run({ chat: writing("One. Two. Three."), speech, recorder, clock });
    const signal = await asked.promise;
    clock.advance(SILENCE_MS - 1);
    expect(signal.aborted).toBeFalse();
    clock.advance(1);
    expect(await running).toHaveProperty("text", "One. Two. Three.");
    expect(recorder.data()).toEqual([{ speech: { failed: "The speech upstream fell silent." } }]);
    expect(clock.timers).toBe(0);
  });

  test("time that our own disk takes is no silence of the upstream", async () => {
    const disk = Promise.withResolvers<void>();
    let pending = 0;
    const full = Promise.withResolvers<void>();
    const recorder = createRecorder({
      commit(entry) {
        if (entry.kind !== "audio") return undefined;
        pending += 1;
        if (pending === 64) full.resolve();
        return disk.promise;
      },
    });
    const clock = createManualClock();
    const speech = createTestEngine(
      async (_request, sink) => {
        for (let n = 0; n < 100; n += 1) await sink.audio(spelled("a"));
        return { durationMs: 100, bytes: 200, voice: "one" };
      },
      { upstream: true },
    );
    const running = run({ chat: writing("One."), speech, recorder, clock });
    await full.promise;
    clock.advance(10 * SILENCE_MS);
    disk.resolve();
    expect(await running).toHaveProperty("durationMs", 100);
    expect(recorder.data()).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test("that falls too far behind is given up, so that what waits stays bounded", async () => {
    const recorder = createRecorder();
    const written = Promise.withResolvers<void>();
    const sentence = `${"word ".repeat(50)}end. `;
    const sentences = Math.ceil(WAITING_CHARS / sentence.length) + 10;
    const chat = chatting(async (write) => {
      for (let n = 0; n < sentences; n += 1) await write(sentence);
      written.resolve();
    });
    let asked = 0;
    const speech = createTestEngine(async () => {
      asked += 1;
      await written.promise;
      return { durationMs: 1, bytes: 2, voice: "one" };
    });
    const result = await run({ chat, speech, recorder });
    expect(result).toHaveProperty("text", sentence.repeat(sentences));
    expect(asked).toBe(1);
    expect(recorder.data()).toEqual([{ speech: { failed: "Speaking fell too far behind the text." } }]);
  });
});

describe("runs that end badly", () => {
  test("an abort ends both halves, and nothing is written afterwards", async () => {
    const recorder = createRecorder();
    const signals: AbortSignal[] = [];
    const chat = chatting(async (write, { signal }) => {
      await write("One. Two. Three. ");
      signals.push(signal);
      await hanging(signal);
    });
    const speech = createTestEngine(async (request, sink) => {
      await sink.audio(spelled(request.text));
      signals.push(request.signal);
      return hanging(request.signal);
    });
    const running = run({ chat, speech, recorder });
    await recorder.seen("audio");
    const entries = recorder.entries.length;
    recorder.abort("canceled");
    expect(await rejectionOf(running)).toBe("canceled");
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
    expect(recorder.entries).toHaveLength(entries);
    expect(recorder.logged).toEqual([]);
  });

  test("a text that fails ends the sound before the run is over", async () => {
    const recorder = createRecorder();
    const broken = new JobError("upstream_error", "cut");
    const chat = chatting(async (write) => {
      await write("One. Two. ");
      await recorder.seen("audio");
      throw broken;
    });
    let speaking = 0;
    const speech = createTestEngine(async (request, sink) => {
      speaking += 1;
      await sink.audio(spelled("a"));
      await rejectionOf(hanging(request.signal));
      speaking -= 1;
      throw request.signal.reason;
    });
    expect(await rejectionOf(run({ chat, speech, recorder }))).toBe(broken);
    expect(speaking).toBe(0);
    expect(recorder.data()).toEqual([]);
  });

  test("sound that cannot be written is the job's failure, and stops the writing of the text", async () => {
    const full = new JobError("output_too_large", "full");
    const recorder = createRecorder({
      commit(entry) {
        if (entry.kind === "audio") throw full;
      },
    });
    const chat = chatting(async (write, { signal }) => {
      await write("One. Two. ");
      await hanging(signal);
    });
    expect(await rejectionOf(run({ chat, speech: createSpellingEngine(), recorder }))).toBe(full);
    expect(recorder.data()).toEqual([]);
  });

  test("sound that cannot be written at the very end fails the run too", async () => {
    const full = new JobError("output_too_large", "full");
    const recorder = createRecorder({
      commit(entry) {
        if (entry.kind === "audio") throw full;
      },
    });
    const running = run({ chat: writing("One."), speech: createSpellingEngine(), recorder });
    expect(await rejectionOf(running)).toBe(full);
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
