/** An answer that is sound: WAV with its header read, raw PCM, MP3 or Ogg Opus. */
import type { AudioFormat, Json } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { createSoundChunks, sampleBytesOf } from "../sound-chunks.ts";
import { cutOff } from "../upstream.ts";
import { createWavReader } from "../wav.ts";
import { mediaTypeOf } from "./media-type.ts";
import type { Answer, Reading } from "./reading.ts";
import { refused, WHO } from "./words.ts";

/** Usual figures of the compressed formats; their own headers count, and a player reads those. */
const USUAL_RATES = { mp3: 24_000, opus: 48_000 } as const;

function positive(text: string | undefined, most: number): number | null {
  const value = Number(text);
  return text !== undefined && Number.isInteger(value) && value >= 1 && value <= most ? value : null;
}

/** Big-endian samples (`audio/L16`, RFC 3190 section 4.1) become ours; half a sample waits for its other half. */
function createSwap(): (bytes: Uint8Array) => Uint8Array {
  let half: number | null = null;
  return (bytes) => {
    const whole = half === null ? Buffer.from(bytes) : Buffer.concat([Uint8Array.of(half), bytes]);
    const end = whole.length - (whole.length % 2);
    half = end < whole.length ? (whole[end] ?? null) : null;
    return whole.subarray(0, end).swap16();
  };
}

function formatOf({ parameters, options }: Answer, reading: Reading): AudioFormat {
  const channels = positive(parameters.get("channels"), LIMITS.channels) ?? options.channels;
  const said = positive(parameters.get("rate") ?? parameters.get("samplerate"), LIMITS.sampleRate);
  const sampleRate = said ?? options.sampleRate;
  if (reading === "mp3" || reading === "opus")
    return { codec: reading, sampleRate: sampleRate ?? USUAL_RATES[reading], channels };
  if (sampleRate === null) throw refused("sent PCM and did not say its sample rate.");
  return { codec: "pcm_s16le", sampleRate, channels };
}

function resultOf(format: AudioFormat, bytes: number): Json {
  const sampleBytes = sampleBytesOf(format);
  if (sampleBytes === 1) return { bytes };
  return { bytes, durationMs: Math.round((bytes / sampleBytes / format.sampleRate) * 1000) };
}

async function readWav(answer: Answer): Promise<Json> {
  const { sink } = answer;
  const wav = createWavReader(WHO, {
    format: (format) => sink.audioFormat(format),
    audio: (chunk) => sink.audio(chunk),
  });
  for await (const chunk of answer.bytes(wav.isWhole)) await wav.push(chunk);
  const end = await wav.end();
  if (end === null) throw cutOff(WHO);
  return resultOf(end.format, end.bytes);
}

/** Tells the sound of an answer as it comes, in chunks of whole samples. */
export async function readSound(answer: Answer, reading: Reading): Promise<Json> {
  if (reading === "wav") return readWav(answer);
  const { sink } = answer;
  const format = formatOf(answer, reading);
  const isBigEndian = mediaTypeOf(answer.response.headers.get("Content-Type")).type === "audio/l16";
  const swap = isBigEndian && reading === "pcm" ? createSwap() : null;
  let received = 0;
  await sink.audioFormat(format);
  const chunks = createSoundChunks(format, (chunk) => sink.audio(chunk));
  for await (const chunk of answer.bytes()) {
    received += chunk.length;
    await chunks.push(swap === null ? chunk : swap(chunk));
  }
  if (!(await chunks.end()) || received % sampleBytesOf(format) !== 0) throw cutOff(WHO);
  return resultOf(format, received);
}
