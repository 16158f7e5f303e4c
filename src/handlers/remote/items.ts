/** One item of a worker's output turned into entries of a log: checked, and cut where an entry would be too large. */
import type { Item } from "../../jobs/job.ts";
import { parseJson } from "../../lib/json.ts";
import { invalidField, Refusal } from "../../protocol/error.ts";
import type { AudioFormat } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { WorkerItem } from "../../protocol/workers.ts";
import { sampleBytesOf } from "../sound-chunks.ts";

export interface ItemReader {
  /** The entries of an item that was parsed. Rejects with the refusal that fits. */
  entries(item: WorkerItem): Promise<readonly Item[]>;
  /** The same for a chunk of audio that came as bytes. */
  audio(bytes: Uint8Array): Promise<readonly Item[]>;
}

export interface ItemReaderOptions {
  readonly eventBytes: number;
  /** The format this run announced before, in this process or another; null: none yet. */
  readonly formatBefore: () => Promise<AudioFormat | null>;
}

function tooLarge(pointer: string, limit: string, limitBytes: number): Refusal {
  return new Refusal("payload_too_large", `${pointer}: is over ${limit} (${limitBytes} bytes).`, {
    extra: { limit, limitBytes },
  });
}

/** A line of NDJSON as a JSON value. Throws `invalid_request` with the place that is wrong. */
export function parseLine(text: string): unknown {
  const parsed = parseJson(text, { depth: LIMITS.jsonDepth });
  if (parsed.ok) return parsed.value;
  throw invalidField(parsed.fault.pointer, parsed.fault.detail);
}

/** Reads the items of one run in their order. */
export function createItemReader({ eventBytes, formatBefore }: ItemReaderOptions): ItemReader {
  let format: AudioFormat | null = null;

  const knownFormat = async (): Promise<AudioFormat | null> => (format ??= await formatBefore());

  const audio = async (bytes: Uint8Array, pointer: string): Promise<readonly Item[]> => {
    if (bytes.byteLength > LIMITS.audioChunkBytes)
      throw tooLarge(pointer, "audioChunkBytes", LIMITS.audioChunkBytes);
    const known = await knownFormat();
    if (known === null) throw invalidField(pointer, "comes before output.audio.format in this run");
    const unit = sampleBytesOf(known);
    if (bytes.byteLength === 0 || bytes.byteLength % unit !== 0) {
      throw invalidField(pointer, `must hold whole samples: a multiple of ${unit} bytes, and more than none`);
    }
    const most = Math.floor(LIMITS.deltaBytes / unit) * unit;
    const chunks: Item[] = [];
    for (let start = 0; start < bytes.byteLength; start += most) {
      // A copy: the bytes may be a part of what the runtime uses again.
      chunks.push({ kind: "output.audio", data: bytes.slice(start, start + most) });
    }
    return chunks;
  };

  return {
    audio: (bytes) => audio(bytes, ""),
    async entries(item) {
      switch (item.kind) {
        case "output.text": {
          const { delta, index } = item.data;
          if (Buffer.byteLength(delta) > LIMITS.deltaBytes)
            throw tooLarge("/data/delta", "deltaBytes", LIMITS.deltaBytes);
          return delta === "" ? [] : [{ kind: item.kind, data: JSON.stringify({ delta, index }) }];
        }
        case "output.audio.format": {
          const known = await knownFormat();
          if (known !== null && JSON.stringify(known) !== JSON.stringify(item.data))
            throw invalidField("/data", "differs from the format that this run announced before");
          format = item.data;
          return [{ kind: item.kind, data: JSON.stringify(item.data) }];
        }
        case "output.audio":
          return audio(Uint8Array.fromBase64(item.data.bytes), "/data/bytes");
        case "output.data": {
          const data = JSON.stringify(item.data ?? null);
          if (Buffer.byteLength(data) > eventBytes) throw tooLarge("/data", "eventBytes", eventBytes);
          return [{ kind: item.kind, data }];
        }
        case "job.progress":
          return [{ kind: item.kind, data: JSON.stringify(item.data) }];
      }
    },
  };
}
