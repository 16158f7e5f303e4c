/** An answer that is sound: WAV with its header read, raw PCM, MP3 or Ogg Opus. */
import type { AudioFormat, Json } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { createSoundChunks, sampleBytesOf, type SoundChunks } from "../sound-chunks.ts";
import { cutOff, upstreamFailure } from "../upstream.ts";
import type { Answer, Reading } from "./answer.ts";
import { mediaTypeOf } from "./media-type.ts";
import { refused, WHO } from "./words.ts";

/** Usual figures of the compressed formats; their own headers count, and a player reads those. */
const USUAL_RATES = { mp3: 24_000, opus: 48_000 } as const;
/** A header with this much in front of its samples is none. */
const HEADER_MOST = 64 * 1024;
const FORMAT_PCM = 1;
const FORMAT_EXTENSIBLE = 0xfffe;

function positive(text: string | undefined, most: number): number | null {
  const value = Number(text);
  return text !== undefined && Number.isInteger(value) && value >= 1 && value <= most ? value : null;
}

interface WavHeader {
  readonly format: AudioFormat;
  /** Where the samples begin, and how many bytes of them follow; null: until the end. */
  readonly begin: number;
  readonly dataBytes: number | null;
}

const isNoWav = () => upstreamFailure(`${WHO} sent a WAV that is none, or not of 16-bit PCM.`);

/** The header at the beginning of `bytes` (RIFF chunks until `data`); null while it is not whole. Throws for any other file. */
function readWavHeader(bytes: Uint8Array): WavHeader | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12) return null;
  if (name(0) !== "RIFF" || name(8) !== "WAVE") throw isNoWav();
  let format: AudioFormat | null = null;
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true);
    if (name(at) === "data") {
      if (format === null) throw isNoWav();
      // Who writes a WAV as a stream does not know its length yet, and writes none or the largest.
      return { format, begin: at + 8, dataBytes: size === 0 || size >= 0xffffff00 ? null : size };
    }
    if (name(at) === "fmt ") {
      if (at + 24 > bytes.length) return null;
      const tag = view.getUint16(at + 8, true);
      const isPcm =
        tag === FORMAT_PCM ||
        (tag === FORMAT_EXTENSIBLE &&
          at + 34 <= bytes.length &&
          view.getUint16(at + 32, true) === FORMAT_PCM);
      const channels = view.getUint16(at + 10, true);
      const sampleRate = view.getUint32(at + 12, true);
      const isKnown =
        channels >= 1 && channels <= LIMITS.channels && sampleRate >= 1 && sampleRate <= LIMITS.sampleRate;
      if (!isPcm || !isKnown || view.getUint16(at + 22, true) !== 16) throw isNoWav();
      format = { codec: "pcm_s16le", sampleRate, channels };
    }
    at += 8 + size + (size % 2);
  }
  if (bytes.length > HEADER_MOST) throw isNoWav();
  return null;
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
  let head: Uint8Array | null = new Uint8Array(0);
  let header: WavHeader | null = null;
  let chunks: SoundChunks | null = null;
  let received = 0;
  const isWhole = (): boolean => header !== null && header.dataBytes !== null && received >= header.dataBytes;
  for await (const chunk of answer.bytes(isWhole)) {
    let samples: Uint8Array = chunk;
    if (head !== null) {
      head = Buffer.concat([head, chunk]);
      header = readWavHeader(head);
      if (header === null) continue;
      samples = head.subarray(header.begin);
      head = null;
      await sink.audioFormat(header.format);
      chunks = createSoundChunks(header.format, (one) => sink.audio(one));
    }
    // What follows the samples (a list of titles) is no sound.
    const left = (header?.dataBytes ?? Number.POSITIVE_INFINITY) - received;
    const own = samples.length > left ? samples.subarray(0, left) : samples;
    received += own.length;
    await chunks?.push(own);
  }
  if (header === null || chunks === null || !(await chunks.end())) throw cutOff(WHO);
  if (header.dataBytes !== null && received < header.dataBytes) throw cutOff(WHO);
  return resultOf(header.format, received);
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
