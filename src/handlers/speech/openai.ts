/**
 * The speech engine behind `HOLDLINE_SPEECH_URL`: any server that speaks OpenAI's audio API.
 *
 * Only its status code ever reaches a user: what an upstream says in words may hold keys, prompts or addresses.
 */
import { isDeepStrictEqual } from "node:util";
import type { AudioFormat } from "../../protocol/events.ts";
import { createSoundChunks, sampleBytesOf } from "../sound-chunks.ts";
import { soundHead, type SoundHead } from "../sound-head.ts";
import { createWavReader, type WavReader } from "../wav.ts";
import { bodyChunks, cutOff, type Fetch, refuse, upstreamFailure, wrongType } from "../upstream.ts";
import {
  SPEECH_FORMATS,
  type SpeechEngine,
  type SpeechFormat,
  type SpeechOutcome,
  type SpeechRequest,
  type SpeechSink,
} from "./engine.ts";
import { cutLong, sentencesOf } from "./sentences.ts";

const WHO = "The speech upstream";

/** The API's own limit of `input`; longer texts are several requests, one after the other. */
const INPUT_CHARS = 4096;

/** Models and voices that every server of this API knows at least as other names of its own. */
const DEFAULT_MODEL = "tts-1";
const DEFAULT_VOICE = "alloy";

/**
 * What the API sends: its PCM is 24 kHz mono s16le by definition. Of the compressed formats these are the usual
 * figures; their own headers count, and a player reads those.
 */
const AUDIO_FORMATS: Readonly<Record<SpeechFormat, AudioFormat>> = {
  pcm: { codec: "pcm_s16le", sampleRate: 24_000, channels: 1 },
  mp3: { codec: "mp3", sampleRate: 24_000, channels: 1 },
  opus: { codec: "opus", sampleRate: 48_000, channels: 1 },
};

export interface OpenAiSpeechOptions {
  /** Base URL, such as `https://api.example.com/v1`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`, and nowhere else. */
  readonly key?: string | undefined;
  readonly model?: string | undefined;
  /** Voice of requests that name none. */
  readonly voice?: string | undefined;
  readonly fetch?: Fetch | undefined;
}

/**
 * A speech engine on an OpenAI-compatible server. Sound is handed on as it comes, in chunks of whole samples.
 *
 * `speak` rejects with JobError of origin `upstream`: `upstream_error` (retryable, with the upstream's own Retry-After)
 * when it cannot be reached, answers 408, 429 or 5xx, answers something that is no sound, or breaks off;
 * `upstream_refused` (not retryable) for every other status. `durationMs` is known for PCM only.
 */
export function createOpenAiSpeech(options: OpenAiSpeechOptions): SpeechEngine {
  const ask = requester(options);
  return {
    upstream: true,
    voices: null,
    formats: SPEECH_FORMATS,
    async speak(request, sink): Promise<SpeechOutcome> {
      const voice = request.voice ?? options.voice ?? DEFAULT_VOICE;
      const asked = AUDIO_FORMATS[request.format];
      let told: AudioFormat | null = null;
      const once: SpeechSink = {
        audio: (chunk) => sink.audio(chunk),
        async format(format) {
          if (told !== null && !isDeepStrictEqual(told, format))
            throw upstreamFailure(`${WHO} changed its format between two parts of a text.`);
          if (told === null) await sink.format(format);
          told = format;
        },
      };
      let bytes = 0;
      for (const input of inputsOf(request.text)) {
        const response = await ask(request, input, voice);
        bytes += await handOn(response, asked, request.signal, once);
      }
      const format = told ?? asked;
      const sampleBytes = sampleBytesOf(format);
      if (sampleBytes === 1) return { bytes, voice };
      const durationMs = Math.round((bytes / sampleBytes / format.sampleRate) * 1000);
      return { durationMs, bytes, voice };
    },
  };
}

/**
 * What is sent, request by request: the text as it is if it fits, else its sentences, as many together as fit. The
 * parts of mp3 and Ogg Opus may be strung together as they are: players go on from one stream to the next.
 */
function inputsOf(text: string): string[] {
  if (text.length <= INPUT_CHARS) return [text];
  const inputs: string[] = [];
  for (const piece of sentencesOf(text).flatMap((sentence) => cutLong(sentence, INPUT_CHARS))) {
    const together = `${inputs.at(-1) ?? ""} ${piece}`;
    if (inputs.length > 0 && together.length <= INPUT_CHARS) inputs[inputs.length - 1] = together;
    else inputs.push(piece);
  }
  return inputs;
}

type Ask = (request: SpeechRequest, input: string, voice: string) => Promise<Response>;

/** Sends one request; resolves with an answer whose status and type say that sound follows. */
function requester(options: OpenAiSpeechOptions): Ask {
  const url = `${options.url.replace(/\/+$/, "")}/audio/speech`;
  const send: Fetch = options.fetch ?? fetch;
  const secrets = options.key ? [options.key] : [];
  return async (request, input, voice) => {
    const headers = new Headers({
      "Content-Type": "application/json",
      traceparent: request.traceparent,
    });
    if (options.key) headers.set("Authorization", `Bearer ${options.key}`);
    const body = JSON.stringify({
      model: options.model ?? DEFAULT_MODEL,
      input,
      voice,
      response_format: request.format,
      ...(request.speed === undefined ? {} : { speed: request.speed }),
    });
    // A redirect is not followed: the text and the key belong to the address the operator wrote.
    const init = { method: "POST", headers, body, signal: request.signal, timeout: false } as const;
    const response = await send(url, { ...init, redirect: "manual" }).catch((error: unknown) => {
      request.signal.throwIfAborted();
      throw upstreamFailure(`${WHO} cannot be reached.`, { cause: error });
    });
    if (!response.ok) return refuse(response, WHO, secrets);
    if (!/^text\/|json/iu.test(response.headers.get("Content-Type") ?? "")) return response;
    throw await wrongType(`${WHO} sent something that is no sound.`, response, secrets);
  };
}

/**
 * Hands the body on and returns the length of its sound in bytes; rejects when there is less of it than there must be.
 * Servers that know no PCM send WAV when they are asked for it: its header is no sound, and says the real rate.
 */
async function handOn(
  response: Response,
  asked: AudioFormat,
  signal: AbortSignal,
  sink: SpeechSink,
): Promise<number> {
  const body = bodyChunks(response, { who: WHO, signal });
  let begin: Uint8Array = new Uint8Array(0);
  const contentType = response.headers.get("Content-Type") ?? "";
  let head: SoundHead | null = asked.codec === "pcm_s16le" ? null : "raw";
  try {
    while (head === null) {
      const { done, value } = await body.next();
      if (done === true) break;
      begin = Buffer.concat([begin, value]);
      head = soundHead(begin, contentType);
    }
    if (head === "compressed")
      throw upstreamFailure(`${WHO} sent compressed sound where PCM was asked for.`, {
        cause: { contentType },
      });
    const sound = head === "wav" ? createWavReader(WHO, sink) : await rawSound(asked, sink);
    if (begin.length > 0) await sound.push(begin);
    for await (const chunk of body) await sound.push(chunk);
    // A body shorter than announced has been rejected by now; half a sample or none at all is for us to notice.
    const end = await sound.end();
    if (end === null) throw cutOff(WHO);
    return end.bytes;
  } finally {
    await body.return(undefined);
  }
}

/** Sound as it was asked for, without a header that this server reads. */
async function rawSound(format: AudioFormat, sink: SpeechSink): Promise<Pick<WavReader, "push" | "end">> {
  let bytes = 0;
  await sink.format(format);
  const chunks = createSoundChunks(format, (chunk) => sink.audio(chunk));
  return {
    async push(chunk) {
      bytes += chunk.length;
      await chunks.push(chunk);
    },
    end: async () => ((await chunks.end()) ? { format, bytes } : null),
  };
}
