/** One run of the type `voice` with engines that the tests script. */
import type { ChatEngine, ChatRequest } from "../../src/handlers/chat/engine.ts";
import type { SpeechEngine } from "../../src/handlers/speech/engine.ts";
import { createVoiceHandler, type VoiceInput } from "../../src/handlers/voice.ts";
import type { Json } from "../../src/protocol/events.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { createManualClock, type ManualClock } from "./speech-doubles.ts";

export const INPUT: VoiceInput = { messages: [{ role: "user", content: "Tell me." }] };

/** A chat engine whose answer the test writes. */
export function chatting(
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
export function writing(text: string): ChatEngine {
  return chatting(async (write) => {
    for (const delta of text.match(/[^]{1,4}/gu) ?? []) await write(delta);
  });
}

export interface Parts {
  readonly chat: ChatEngine;
  readonly speech: SpeechEngine;
  readonly recorder?: Recorder;
  readonly clock?: ManualClock;
  readonly input?: VoiceInput;
}

export function run({ chat, speech, recorder, clock, input }: Parts): Promise<Json | void> {
  const handler = createVoiceHandler({ chat, speech, clock: clock ?? createManualClock() });
  return handler.run((recorder ?? createRecorder()).job, input ?? INPUT);
}

/** What was told beside the sentences that are spoken. */
export function complaints(recorder: Recorder): readonly unknown[] {
  return recorder.data().filter((value) => !("startMs" in (value as { speech: object }).speech));
}

export function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (reason: unknown) => reason,
  );
}

/** What hangs until it is aborted. */
export function hanging(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
}

export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
