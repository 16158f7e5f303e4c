/** The type `voice` when a half of it fails: the text never suffers from the sound, and a run ends as a whole. */
import { describe, expect, test } from "bun:test";
import { JobError } from "../../src/handlers/handler.ts";
import type { SpeechEngine } from "../../src/handlers/speech/engine.ts";
import { SILENCE_MS, WAITING_CHARS } from "../../src/handlers/speech/speaker.ts";
import { createRecorder } from "./recorder.ts";
import {
  createManualClock,
  createSpellingEngine,
  createTestEngine,
  spelled,
  unspelled,
} from "./speech-doubles.ts";
import { chatting, complaints, hanging, rejectionOf, run, turnOfTheLoop, writing } from "./voice-run.ts";

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
      usage: { tokens: 1 },
      durationMs: 7,
      spokenTo: 4,
    });
    expect(recorder.text()).toBe(text);
    expect(complaints(recorder)).toEqual([{ speech: { failed: "The speech upstream answered 500." } }]);
    expect(unspelled(recorder.audio())).toBe("One.");
    expect(asked).toBe(2);
    expect(recorder.logged).toHaveLength(1);
  });

  test("and changes its format is told so, since the log of a run has one", async () => {
    const recorder = createRecorder();
    let sampleRate = 8000;
    const speech = createTestEngine(async (request, sink) => {
      await sink.format({ codec: "pcm_s16le", sampleRate, channels: 1 });
      sampleRate = 16_000;
      await sink.audio(spelled(request.text));
      return { durationMs: 7, bytes: 8, voice: "one" };
    });
    const ended = await run({ chat: writing("One. Two. Three."), speech, recorder });
    expect(ended).toMatchObject({ text: "One. Two. Three.", spokenTo: 4 });
    expect(complaints(recorder)).toEqual([{ speech: { failed: "The format of the speech changed." } }]);
    expect(recorder.formats()).toHaveLength(1);
  });

  test("an error that is not meant for users is not shown to them", async () => {
    const recorder = createRecorder();
    const speech = createTestEngine(() => Promise.reject(new TypeError("secret of the house")));
    await run({ chat: writing("One."), speech, recorder });
    expect(complaints(recorder)).toEqual([{ speech: { failed: "The speech engine failed." } }]);
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
    expect(complaints(recorder)).toEqual([{ speech: { skipped: "No way.", reason: "for a reason" } }]);
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
    expect(complaints(recorder)).toEqual([{ speech: { failed: "The speech upstream fell silent." } }]);
    expect(clock.timers).toBe(0);
  });

  test.each([true, false])(
    "speech gives up before the idle limit of its job (upstream: %p)",
    async (upstream) => {
      const [recorder, clock] = [createRecorder({ idleMs: 3000 }), createManualClock()];
      const asked = Promise.withResolvers<void>();
      const speech = createTestEngine(
        (request) => {
          asked.resolve();
          return hanging(request.signal);
        },
        { upstream },
      );
      const running = run({ chat: writing("One. Two."), speech, recorder, clock });
      await asked.promise;
      clock.advance(2000);
      expect(await running).toHaveProperty("text", "One. Two.");
      const who = upstream ? "upstream" : "engine";
      expect(complaints(recorder)).toEqual([{ speech: { failed: `The speech ${who} fell silent.` } }]);
      expect(clock.timers).toBe(0);
    },
  );

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
    expect(complaints(recorder)).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test("that keeps up is never given up, however long the text", async () => {
    const recorder = createRecorder();
    const speech = createSpellingEngine();
    const sentence = `The ${"word ".repeat(50)}ends. `;
    const sentences = Math.ceil((2 * WAITING_CHARS) / sentence.length);
    const chat = chatting(async (write) => {
      for (let n = 0; n < sentences; n += 1) {
        await write(sentence);
        await turnOfTheLoop();
      }
    });
    await run({ chat, speech, recorder });
    expect(complaints(recorder)).toEqual([]);
    expect(speech.said).toHaveLength(sentences);
  });

  test("that falls too far behind is given up, so that what waits stays bounded", async () => {
    const recorder = createRecorder();
    const written = Promise.withResolvers<void>();
    const sentence = `The ${"word ".repeat(50)}ends. `;
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
    expect(complaints(recorder)).toEqual([{ speech: { failed: "Speaking fell too far behind the text." } }]);
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
      await turnOfTheLoop();
      speaking -= 1;
      throw request.signal.reason;
    });
    expect(await rejectionOf(run({ chat, speech, recorder }))).toBe(broken);
    expect(speaking).toBe(0);
    expect(complaints(recorder)).toEqual([]);
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
    expect(complaints(recorder)).toEqual([]);
  });

  test("text that cannot be written at the very end fails the run", async () => {
    const full = new JobError("output_too_large", "full");
    const recorder = createRecorder({
      commit(entry) {
        if (entry.kind === "text") throw full;
      },
    });
    const chat = chatting(async (write) => {
      void write("One.");
      await turnOfTheLoop();
    });
    expect(await rejectionOf(run({ chat, speech: createSpellingEngine(), recorder }))).toBe(full);
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
