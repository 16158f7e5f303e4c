/** Stand-ins for what speech depends on: time that a test moves, a sink that remembers, engines that do as told. */
import type { Clock } from "../../src/lib/clock.ts";
import type { AudioFormat } from "../../src/protocol/events.ts";
import type { SpeechEngine, SpeechRequest, SpeechSink } from "../../src/handlers/speech/engine.ts";
import { TRACEPARENT } from "./recorder.ts";

export interface ManualClock extends Clock {
  /** Lets time pass; timers that fall due run in their order. */
  advance(byMs: number): void;
  /** Timers that are set. */
  readonly timers: number;
}

export function createManualClock(): ManualClock {
  let nowMs = 1_800_000_000_000;
  const timers = new Set<{ dueMs: number; everyMs: number | null; run: () => void }>();
  const set = (delayMs: number, everyMs: number | null, run: () => void) => {
    const timer = { dueMs: nowMs + delayMs, everyMs, run };
    timers.add(timer);
    return { cancel: () => void timers.delete(timer) };
  };
  return {
    wallMs: () => nowMs,
    steadyMs: () => nowMs,
    elapsedMs: () => nowMs,
    after: (delayMs, run) => set(delayMs, null, run),
    every: (intervalMs, run) => set(intervalMs, intervalMs, run),
    advance(byMs) {
      const untilMs = nowMs + byMs;
      for (;;) {
        const due = [...timers]
          .filter((timer) => timer.dueMs <= untilMs)
          .toSorted((a, b) => a.dueMs - b.dueMs)[0];
        if (due === undefined) break;
        nowMs = due.dueMs;
        if (due.everyMs === null) timers.delete(due);
        else due.dueMs += due.everyMs;
        due.run();
      }
      nowMs = untilMs;
    },
    get timers() {
      return timers.size;
    },
  };
}

export interface RecordingSink extends SpeechSink {
  readonly formats: AudioFormat[];
  readonly chunks: Uint8Array[];
  /** All of it in one piece. */
  whole(): Uint8Array;
}

/** `onAudio` is awaited before each chunk counts as taken. */
export function createSink(
  onAudio: (bytes: Uint8Array) => Promise<void> | void = () => undefined,
): RecordingSink {
  const formats: AudioFormat[] = [];
  const chunks: Uint8Array[] = [];
  return {
    formats,
    chunks,
    whole: () => Buffer.concat(chunks),
    format(format) {
      formats.push(format);
      return Promise.resolve();
    },
    async audio(bytes) {
      chunks.push(bytes.slice());
      await onAudio(bytes);
    },
  };
}

/** A request with everything it needs. */
export function speechRequest(text: string, more: Partial<SpeechRequest> = {}): SpeechRequest {
  return { text, format: "pcm", signal: new AbortController().signal, traceparent: TRACEPARENT, ...more };
}

/** Root mean square of s16le samples: 0 is silence, 1 the loudest there is. */
export function loudness(pcm: Uint8Array): number {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  let sum = 0;
  for (let at = 0; at < pcm.length; at += 2) sum += (view.getInt16(at, true) / 32_768) ** 2;
  return Math.sqrt(sum / (pcm.length / 2));
}

export const TEST_FORMAT: AudioFormat = { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 };

/** An engine whose `speak` is the test's; voices `one` and `two`, PCM only. */
export function createTestEngine(
  speak: SpeechEngine["speak"],
  more: Partial<SpeechEngine> = {},
): SpeechEngine {
  return { upstream: false, voices: ["one", "two"], formats: ["pcm"], speak, ...more };
}

/** An engine that speaks every character as one sample, the character's code, after announcing its format. */
export function createSpellingEngine(
  more: Partial<SpeechEngine> = {},
): SpeechEngine & { readonly said: string[] } {
  const said: string[] = [];
  const engine = createTestEngine(async (request, sink) => {
    said.push(request.text);
    await sink.format(TEST_FORMAT);
    await sink.audio(spelled(request.text));
    return { durationMs: request.text.length, bytes: request.text.length * 2, voice: request.voice ?? "one" };
  }, more);
  return { ...engine, said };
}

export function spelled(text: string): Uint8Array<ArrayBuffer> {
  const samples = Uint16Array.from(text, (char) => char.charCodeAt(0));
  return new Uint8Array(samples.buffer);
}

/** What was spelled, back as text. */
export function unspelled(pcm: Uint8Array): string {
  return new TextDecoder("utf-16le").decode(pcm);
}
