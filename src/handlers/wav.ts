/** WAV off a wire: its header is read, its samples are handed on, and what follows them is no sound. */
import type { AudioFormat } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { createSoundChunks, type SoundChunks } from "./sound-chunks.ts";
import { upstreamFailure } from "./upstream.ts";

/** A header with this much in front of its samples is none. */
const HEADER_MOST = 64 * 1024;
const FORMAT_PCM = 1;
const FORMAT_EXTENSIBLE = 0xfffe;

interface WavHeader {
  readonly format: AudioFormat;
  /** Where the samples begin, and how many bytes of them follow; null: until the end. */
  readonly begin: number;
  readonly dataBytes: number | null;
}

/** The header at the beginning of `bytes` (RIFF chunks until `data`); null while it is not whole. Throws for any other file. */
function readWavHeader(bytes: Uint8Array, who: string): WavHeader | null {
  const isNoWav = () => upstreamFailure(`${who} sent a WAV that is none, or not of 16-bit PCM.`);
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

export interface WavSink {
  /** Told once, before the first samples. */
  format(format: AudioFormat): Promise<void>;
  /** Whole samples, at most 64 KiB. */
  audio(chunk: Uint8Array): Promise<void>;
}

export interface WavReader {
  /** Takes bytes as they come. Rejects with `upstream_error` when they are no WAV of 16-bit PCM. */
  push(bytes: Uint8Array): Promise<void>;
  /** Whether everything that the header announced has come. */
  readonly isWhole: () => boolean;
  /** Hands on what is left; null: the file broke off. `bytes` are those of its samples. */
  end(): Promise<{ readonly format: AudioFormat; readonly bytes: number } | null>;
}

/** Reads one file; `who` begins the sentence of an error. */
export function createWavReader(who: string, sink: WavSink): WavReader {
  let head: Uint8Array = new Uint8Array(0);
  let header: WavHeader | null = null;
  let chunks: SoundChunks | null = null;
  let received = 0;
  return {
    async push(bytes) {
      let samples = bytes;
      if (header === null) {
        head = Buffer.concat([head, bytes]);
        header = readWavHeader(head, who);
        if (header === null) return;
        samples = head.subarray(header.begin);
        await sink.format(header.format);
        chunks = createSoundChunks(header.format, (one) => sink.audio(one));
      }
      // What follows the samples (a list of titles) is no sound.
      const left = (header.dataBytes ?? Number.POSITIVE_INFINITY) - received;
      const own = samples.length > left ? samples.subarray(0, left) : samples;
      received += own.length;
      await chunks?.push(own);
    },
    isWhole: () => header !== null && header.dataBytes !== null && received >= header.dataBytes,
    async end() {
      if (header === null || chunks === null || !(await chunks.end())) return null;
      if (header.dataBytes !== null && received < header.dataBytes) return null;
      return { format: header.format, bytes: received };
    },
  };
}
