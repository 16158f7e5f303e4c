/** The built-in type `speech`: a text goes in, sound comes out sentence by sentence (PROTOCOL section 7). */
import { z } from "zod";
import { invalidField } from "../../protocol/error.ts";
import { createWriteWindow } from "../write-window.ts";
import { defineHandler, type Handler } from "../handler.ts";
import { SPEECH_FORMATS, type SpeechEngine } from "./engine.ts";

const TEXT_CHARS = 20_000;
const FIRST_OUTPUT_MS = 60_000;
const IDLE_MS = 30_000;
/** Chunks that may wait for their commit; past it the engine waits too. */
const WRITES_IN_FLIGHT = 64;

/**
 * Runs at a time with an engine in this process: enough to keep its one thread busy, few enough that everybody's turn
 * comes within seconds. The others wait in the queue, where they cost nothing.
 */
export const LOCAL_CONCURRENCY = 64;

/** How much of a sentence that is refused is shown. */
const EXCERPT_CHARS = 40;

const voiceSchema = z.string().min(1).max(64).exactOptional();

/** The schema of `voice` in a speech and in a voice job, which names the voices where they are known. */
export function voiceSchemaOf(engine: Pick<SpeechEngine, "voices">): typeof voiceSchema {
  const names = engine.voices?.join(", ");
  return voiceSchema.describe(
    names === undefined
      ? "Who speaks: a voice of the upstream."
      : `Who speaks: ${names}; the first by default.`,
  );
}

export const speechInputSchema = z.strictObject({
  text: z.string().min(1).max(TEXT_CHARS).describe("What is spoken, as plain text."),
  voice: voiceSchemaOf({ voices: null }),
  speed: z.number().min(0.5).max(2).exactOptional().describe("1 is the voice's own; 2 is twice as fast."),
  format: z
    .enum(SPEECH_FORMATS)
    .exactOptional()
    .describe("pcm (default) is raw samples; the built-in engine has no other."),
});

export type SpeechInput = z.infer<typeof speechInputSchema>;

/** Refuses a voice that the engine does not have: `invalid_request` at /input/voice, which lists those it has. */
export function checkVoice(engine: SpeechEngine, voice: string | undefined): void {
  if (voice === undefined || engine.voices === null || engine.voices.includes(voice)) return;
  throw invalidField("/input/voice", `must be one of ${engine.voices.join(", ")}`);
}

function checkFormat(engine: SpeechEngine, format: SpeechInput["format"]): void {
  if (format === undefined || engine.formats.includes(format)) return;
  throw invalidField("/input/format", `this server's engine makes ${engine.formats.join(", ")} only`);
}

function checkText(engine: SpeechEngine, text: string): void {
  const findings = engine.examine?.(text);
  const refused = findings?.refused[0];
  if (refused !== undefined)
    throw invalidField("/input/text", `${refused.reason}: "${excerpt(refused.sentence)}"`);
  if (findings?.speakable === false || text.trim() === "")
    throw invalidField("/input/text", "holds nothing that can be spoken: no letters and no digits");
}

function excerpt(sentence: string): string {
  if (sentence.length <= EXCERPT_CHARS) return sentence;
  // Cutting may split a code point; half of one becomes U+FFFD.
  return `${sentence.slice(0, EXCERPT_CHARS).toWellFormed()}…`;
}

/** The handler of type `speech`, speaking with `engine`. What cannot be spoken is refused before it is stored. */
export function createSpeechHandler(engine: SpeechEngine): Handler<SpeechInput> {
  return defineHandler<SpeechInput>({
    type: "speech",
    input: speechInputSchema.extend({ voice: voiceSchemaOf(engine) }),
    output: ["audio"],
    ...(engine.upstream
      ? { firstOutputMs: FIRST_OUTPUT_MS, idleMs: IDLE_MS }
      : { concurrency: LOCAL_CONCURRENCY }),
    check(input) {
      checkVoice(engine, input.voice);
      checkFormat(engine, input.format);
      checkText(engine, input.text);
    },
    async run(job, { format, ...input }) {
      const writes = createWriteWindow(WRITES_IN_FLIGHT);
      const outcome = await engine.speak(
        { ...input, format: format ?? "pcm", signal: job.signal, traceparent: job.traceparent },
        {
          format: (audioFormat) => writes.add(job.audioFormat(audioFormat)),
          audio: (bytes) => writes.add(job.audio(bytes)),
        },
      );
      await writes.drain();
      return { ...outcome };
    },
  });
}
