/**
 * The built-in type `voice`: an answer that is written and spoken at once. Every sentence is spoken as soon as it
 * stands in the text, while the next one is being written.
 */
import type { z } from "zod";
import type { Clock } from "../lib/clock.ts";
import { chatInputSchema, checkConversation, conversation } from "./chat/chat.ts";
import type { ChatEngine } from "./chat/engine.ts";
import { createWriteWindow } from "./write-window.ts";
import { defineHandler, type Handler } from "./handler.ts";
import type { SpeechEngine } from "./speech/engine.ts";
import { createPlaceFinder } from "./speech/places.ts";
import { createSentenceStream } from "./speech/sentences.ts";
import { createSpeaker } from "./speech/speaker.ts";
import { checkVoice, LOCAL_CONCURRENCY, voiceSchemaOf } from "./speech/speech.ts";

const FIRST_OUTPUT_MS = 60_000;
const IDLE_MS = 30_000;
const WRITES_IN_FLIGHT = 64;

/** A voice job speaks a part of its time only, so more of them than of speech jobs share an engine in this process. */
const LOCAL_VOICES = 4 * LOCAL_CONCURRENCY;

export const voiceInputSchema = chatInputSchema.extend({ voice: voiceSchemaOf({ voices: null }) });

export type VoiceInput = z.infer<typeof voiceInputSchema>;

export interface VoiceParts {
  readonly chat: ChatEngine;
  readonly speech: SpeechEngine;
  readonly clock: Clock;
}

/**
 * The handler of type `voice`. Before the sound of each sentence `output.data` `{speech: {from, to, startMs}}` says which
 * part of the text it is, and where in the sound it begins. A sentence that cannot be spoken is told as `output.data`
 * `{speech: {skipped, reason}}`, speech that fails once as `{speech: {failed}}`; the text goes on either way.
 */
export function createVoiceHandler({ chat, speech, clock }: VoiceParts): Handler<VoiceInput> {
  return defineHandler<VoiceInput>({
    type: "voice",
    input: voiceInputSchema.extend({ voice: voiceSchemaOf(speech) }),
    output: ["text", "audio", "data"],
    // The watchdogs watch the text; speech from an upstream has one of its own, which spares the text.
    ...(chat.upstream ? { firstOutputMs: FIRST_OUTPUT_MS, idleMs: IDLE_MS } : {}),
    ...(speech.upstream ? {} : { concurrency: LOCAL_VOICES }),
    async check(input, context) {
      checkVoice(speech, input.voice);
      await checkConversation(input, context);
    },
    async run(job, { messages, previousJobId, voice, ...options }) {
      const whole = await conversation({ messages, previousJobId }, (jobId) => job.previous(jobId));
      // Either half that cannot go on ends the other: nothing is written once the run has settled.
      const over = new AbortController();
      const signal = AbortSignal.any([job.signal, over.signal]);
      const onWriteError = (error: unknown): void => over.abort(error);
      const speaker = createSpeaker({ engine: speech, job, voice, signal, clock, onWriteError });
      const sentences = createSentenceStream();
      const places = createPlaceFinder();
      const say = (sentence: string): void => speaker.say(sentence, places.next(sentence));
      const writes = createWriteWindow(WRITES_IN_FLIGHT);
      let text = "";
      try {
        const outcome = await chat.generate(
          { ...options, messages: whole, signal, traceparent: job.traceparent },
          (delta) => {
            text += delta;
            places.push(delta);
            sentences.push(delta).forEach(say);
            return writes.add(job.text(delta));
          },
        );
        sentences.end().forEach(say);
        await writes.drain();
        return { text, ...outcome, ...(await speaker.finish()) };
      } catch (error) {
        over.abort(error);
        await speaker.finish().catch(() => undefined);
        throw error;
      }
    },
  });
}
