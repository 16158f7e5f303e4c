/** Resampling chunk by chunk gives the very samples that one long chunk would: no seam to be heard. */
import { expect, test } from "bun:test";
import { array, assert, constantFrom, integer, property } from "fast-check";
import { createResampler } from "../../src/client/resample.ts";

function sine(frames: number, channels = 1): Uint8Array {
  const samples = new Int16Array(frames * channels);
  for (let index = 0; index < samples.length; index += 1) samples[index] = 12_000 * Math.sin(index / 7);
  return new Uint8Array(samples.buffer);
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  chunks.push(bytes.slice(at));
  return chunks;
}

test("however the bytes are cut, the samples are the same", () => {
  assert(
    property(
      array(integer({ min: 0, max: 301 }), { maxLength: 12 }),
      constantFrom([16_000, 48_000], [22_050, 48_000], [48_000, 44_100], [16_000, 16_000]),
      integer({ min: 1, max: 2 }),
      (sizes, [from = 0, to = 0], channels) => {
        const bytes = sine(700, channels);
        const whole = createResampler(channels, from, to).push(bytes);
        const parts = createResampler(channels, from, to);
        const joined = cut(bytes, sizes).map((chunk) => parts.push(chunk));
        for (let channel = 0; channel < channels; channel += 1) {
          const samples = joined.flatMap((chunk) => Array.from(chunk[channel] ?? []));
          expect(samples.length).toBe(whole[channel]?.length ?? -1);
          for (const [index, sample] of samples.entries()) {
            expect(Math.abs(sample - (whole[channel]?.[index] ?? 9))).toBeLessThan(1e-4);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a slow sine keeps its shape at three times the rate", () => {
  const [samples = new Float32Array()] = createResampler(1, 16_000, 48_000).push(sine(1600));
  // Two source samples wait for what follows them, and the curve begins two samples of silence early.
  expect(samples.length).toBe(4800);
  let worst = 0;
  for (let index = 300; index < 4500; index += 1) {
    const expected = (12_000 / 32_768) * Math.sin((index / 3 - 2) / 7);
    worst = Math.max(worst, Math.abs((samples[index] ?? 9) - expected));
  }
  expect(worst).toBeLessThan(0.001);
});
