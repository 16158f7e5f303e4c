/**
 * Plays PCM chunks without gaps through the Web Audio API, and forgets them all when a job's output is void.
 * Only `pcm_s16le`: opus and mp3 chunks need a decoder and are refused, so that the caller can say so.
 */
import type { AudioFormat } from "../protocol/events.ts";
import { createResampler, type Resampler } from "./resample.ts";

export interface PcmPlayer {
  /** Schedules a chunk after what is scheduled already; false for a codec this player does not know. */
  play(bytes: Uint8Array, format: AudioFormat): boolean;
  /** Drops what was not heard yet: after a reset or a cancel. */
  drop(): void;
  setMuted(muted: boolean): void;
  /** Sample frames of the source scheduled since the player was made. */
  readonly framesScheduled: number;
  /** Seconds that were heard of what was scheduled and not dropped: what tells where in a text its listener is. */
  readonly heardSeconds: number;
  /** Seconds of sound still to come. */
  readonly aheadSeconds: number;
  /** How often the sound ran dry before more came. */
  readonly underruns: number;
}

/** What is scheduled first waits this long, so that the second chunk arrives before the first one ends. */
const LEAD_SECONDS = 0.12;

/** A player into `destination` (the context's own by default). Starting the context after a click is the caller's part. */
export function createPcmPlayer(context: AudioContext, destination?: AudioNode): PcmPlayer {
  const gain = context.createGain();
  gain.connect(destination ?? context.destination);
  const playing = new Set<AudioBufferSourceNode>();
  let resampler: Resampler | null = null;
  let format: AudioFormat | null = null;
  /** When the next chunk begins, on the context's clock. */
  let nextAt = 0;
  let framesScheduled = 0;
  let scheduledSeconds = 0;
  let underruns = 0;

  const aheadSeconds = (): number => Math.max(0, nextAt - context.currentTime);

  function useFormat(next: AudioFormat): void {
    const same =
      format !== null && format.sampleRate === next.sampleRate && format.channels === next.channels;
    if (same) return;
    format = next;
    resampler = createResampler(next.channels, next.sampleRate, context.sampleRate);
  }

  return {
    get framesScheduled() {
      return framesScheduled;
    },
    get aheadSeconds() {
      return aheadSeconds();
    },
    get heardSeconds() {
      return Math.max(0, scheduledSeconds - aheadSeconds());
    },
    get underruns() {
      return underruns;
    },
    play(bytes, next) {
      if (next.codec !== "pcm_s16le") return false;
      useFormat(next);
      const channels = resampler?.push(bytes) ?? [];
      const length = channels[0]?.length ?? 0;
      if (length === 0) return true;
      const buffer = context.createBuffer(next.channels, length, context.sampleRate);
      for (const [index, samples] of channels.entries()) buffer.copyToChannel(samples, index);
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(gain);
      if (nextAt < context.currentTime) {
        if (nextAt > 0) underruns += 1;
        nextAt = context.currentTime + LEAD_SECONDS;
      }
      source.start(nextAt);
      // Counted in whole samples of the context, so that neighbours meet exactly.
      nextAt += length / context.sampleRate;
      scheduledSeconds += length / context.sampleRate;
      framesScheduled += Math.floor(bytes.byteLength / (2 * next.channels));
      playing.add(source);
      source.onended = () => {
        playing.delete(source);
        source.disconnect();
      };
      return true;
    },
    drop() {
      scheduledSeconds = Math.max(0, scheduledSeconds - aheadSeconds());
      for (const source of playing) {
        source.onended = null;
        source.stop();
        source.disconnect();
      }
      playing.clear();
      resampler = null;
      format = null;
      nextAt = 0;
    },
    setMuted(muted) {
      // A short ramp instead of a step, which would click.
      gain.gain.setTargetAtTime(muted ? 0 : 1, context.currentTime, 0.015);
    },
  };
}
