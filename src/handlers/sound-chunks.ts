/** Sound off a wire, cut into chunks that may be logged: whole samples, neither a drop nor more than an entry holds. */
import type { AudioFormat } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";

/** An upstream that drips makes no entry of the log for every drop: a tenth of a second of PCM, less of the others. */
const LEAST_PCM_BYTES = 4800;
const LEAST_COMPRESSED_BYTES = 1024;

/** Bytes of one sample of all channels; 1 where only a decoder knows. */
export function sampleBytesOf({ codec, channels }: AudioFormat): number {
  return codec === "pcm_s16le" ? 2 * channels : 1;
}

export interface SoundChunks {
  /** Takes bytes as they come; resolves when the next ones may. */
  push(bytes: Uint8Array): Promise<void>;
  /** Hands on what is left; false: the sound ended within a sample, or there was none. */
  end(): Promise<boolean>;
}

export function createSoundChunks(
  format: AudioFormat,
  write: (chunk: Uint8Array) => Promise<void>,
): SoundChunks {
  const sampleBytes = sampleBytesOf(format);
  const leastBytes = sampleBytes === 1 ? LEAST_COMPRESSED_BYTES : LEAST_PCM_BYTES;
  const mostBytes = LIMITS.deltaBytes - (LIMITS.deltaBytes % sampleBytes);
  let received = 0;
  /** What waits for more of it: few bytes, or the beginning of a sample. */
  let kept = new Uint8Array(0);
  const handOnWholeSamples = async (): Promise<void> => {
    const end = kept.length - (kept.length % sampleBytes);
    for (let at = 0; at < end; at += mostBytes) await write(kept.subarray(at, Math.min(at + mostBytes, end)));
    kept = kept.slice(end);
  };
  return {
    async push(bytes) {
      received += bytes.length;
      kept = kept.length === 0 ? new Uint8Array(bytes) : Buffer.concat([kept, bytes]);
      if (kept.length >= leastBytes) await handOnWholeSamples();
    },
    async end() {
      await handOnWholeSamples();
      return kept.length === 0 && received > 0;
    },
  };
}
