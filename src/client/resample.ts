/**
 * Turns 16-bit PCM of one rate into float samples of another, chunk after chunk without a seam: a browser that
 * resamples each buffer by itself starts anew at every chunk, and that can be heard.
 */

export interface Resampler {
  /** The chunk's samples at the target rate, one array a channel; holds back what the next chunk is needed for. */
  push(bytes: Uint8Array): Float32Array<ArrayBuffer>[];
}

const FULL_SCALE = 32768;

/** A resampler for interleaved little-endian `channels` × s16. Cubic (Hermite) between samples; a whole ratio of 1 copies. */
export function createResampler(channels: number, fromRate: number, toRate: number): Resampler {
  const step = fromRate / toRate;
  const frameBytes = 2 * channels;
  /** Bytes of a frame that was cut by the end of a chunk. */
  let rest = new Uint8Array(0);
  /** The last samples of the chunk before, per channel: the curve needs one behind and two ahead. */
  let history = Array.from({ length: channels }, () => new Float32Array(3));
  /** Where the next output sample lies, in source samples from the start of history + chunk. */
  let position = 1;

  return {
    push(bytes) {
      const joined = rest.length === 0 ? bytes : join(rest, bytes);
      const frames = Math.floor(joined.byteLength / frameBytes);
      rest = joined.slice(frames * frameBytes);
      const view = new DataView(joined.buffer, joined.byteOffset, frames * frameBytes);
      const available = frames + 3;
      const count = Math.max(0, Math.ceil((available - 2 - position) / step));
      const results: Float32Array<ArrayBuffer>[] = [];
      const nextHistory: Float32Array<ArrayBuffer>[] = [];
      for (let channel = 0; channel < channels; channel += 1) {
        const source = new Float32Array(available);
        source.set(history[channel] ?? []);
        for (let frame = 0; frame < frames; frame += 1) {
          source[frame + 3] = view.getInt16(frame * frameBytes + channel * 2, true) / FULL_SCALE;
        }
        results.push(interpolate(source, { position, step, count }));
        nextHistory.push(source.slice(available - 3));
      }
      history = nextHistory;
      position += count * step - frames;
      return results;
    },
  };
}

interface Walk {
  readonly position: number;
  readonly step: number;
  readonly count: number;
}

function interpolate(source: Float32Array, walk: Walk): Float32Array<ArrayBuffer> {
  const result = new Float32Array(walk.count);
  for (let index = 0; index < walk.count; index += 1) {
    const at = walk.position + index * walk.step;
    const whole = Math.floor(at);
    const part = at - whole;
    const before = source[whole - 1] ?? 0;
    const from = source[whole] ?? 0;
    const to = source[whole + 1] ?? 0;
    const after = source[whole + 2] ?? 0;
    const slope = (to - before) / 2;
    const curve = before - 2.5 * from + 2 * to - after / 2;
    const twist = (after - before) / 2 + 1.5 * (from - to);
    result[index] = ((twist * part + curve) * part + slope) * part + from;
  }
  return result;
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(first.byteLength + second.byteLength);
  joined.set(first);
  joined.set(second, first.byteLength);
  return joined;
}
