/** The audio of a job's latest attempt as one file that can be read from anywhere (PROTOCOL section 3, `GET …/audio`). */
import type { AudioFormat } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { JobRecord } from "./job.ts";
import type { JobStore } from "./store.ts";

export interface AudioFile {
  readonly contentType: string;
  /** Bytes of the whole file as it is now. */
  readonly size: number;
  /** Bytes `start` to `end` (exclusive), chunk by chunk. */
  read(start: number, end: number): AsyncGenerator<Uint8Array>;
}

const WAV_HEADER_BYTES = 44;
const CONTENT_TYPES = { pcm_s16le: "audio/wav", mp3: "audio/mpeg", opus: "audio/ogg" } as const;

/** The 44 bytes in front of PCM samples (RIFF, `fmt ` chunk of format 1, `data` chunk), all little endian. */
function wavHeader(format: AudioFormat, dataBytes: number): Uint8Array {
  const bytes = new Uint8Array(WAV_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const ascii = (offset: number, text: string): void => {
    for (let i = 0; i < text.length; i += 1) bytes[offset + i] = text.charCodeAt(i);
  };
  const frameBytes = format.channels * 2;
  ascii(0, "RIFF");
  view.setUint32(4, 36 + dataBytes, true);
  ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, format.channels, true);
  view.setUint32(24, format.sampleRate, true);
  view.setUint32(28, format.sampleRate * frameBytes, true);
  view.setUint16(32, frameBytes, true);
  view.setUint16(34, 16, true);
  ascii(36, "data");
  view.setUint32(40, dataBytes, true);
  return bytes;
}

/** The format that the latest run announced before this entry; null when it did not. */
export async function findFormat(
  store: JobStore,
  job: JobRecord,
  before: number,
): Promise<AudioFormat | null> {
  for (let after = job.outputAfter; after < before;) {
    const page = await store.events(job.id, {
      after,
      limit: LIMITS.replayPageEvents,
      bytes: LIMITS.replayPageBytes,
    });
    const format = page.find((event) => event.kind === "output.audio.format");
    if (format !== undefined) return JSON.parse(format.data as string) as AudioFormat;
    const last = page.at(-1);
    if (last === undefined) return null;
    after = last.seq;
  }
  return null;
}

/** The file as of this moment; null when the latest attempt has no audio (yet), or its log was trimmed. */
export async function openAudio(store: JobStore, job: JobRecord): Promise<AudioFile | null> {
  if (job.oldest > job.outputAfter + 1) return null;
  const chunks = await store.audioChunks(job.id, job.outputAfter);
  const first = chunks[0];
  if (first === undefined) return null;
  const format = await findFormat(store, job, first.seq);
  if (format === null) return null;
  const dataBytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  const header = format.codec === "pcm_s16le" ? wavHeader(format, dataBytes) : new Uint8Array(0);

  async function* read(start: number, end: number): AsyncGenerator<Uint8Array> {
    if (start < header.byteLength) yield header.subarray(start, Math.min(end, header.byteLength));
    let offset = header.byteLength;
    for (const { seq, bytes } of chunks) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, bytes);
      offset += bytes;
      if (from >= bytes) continue;
      if (to <= 0) return;
      const [event] = await store.events(job.id, { after: seq - 1, limit: 1, bytes: 1 });
      if (event?.seq !== seq || typeof event.data === "string")
        throw new Error("the audio was deleted while it was read");
      yield event.data.subarray(from, to);
    }
  }

  return { contentType: CONTENT_TYPES[format.codec], size: header.byteLength + dataBytes, read };
}
