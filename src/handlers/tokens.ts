/**
 * The built-in type `tokens`: output whose amount, pace and failures the submitter chooses, and whose content can be
 * foretold. It is what load tests, fault tests and `selftest` run against a real server.
 */
import { z } from "zod";
import { sleep, type Clock } from "../lib/clock.ts";
import { invalidField } from "../protocol/error.ts";
import type { AudioFormat } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { createWriteWindow } from "./write-window.ts";
import { defineHandler, type Handler } from "./handler.ts";

export const TOKENS_AUDIO: AudioFormat = { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 };

/** Writes that may wait for their commit: enough to fill a group commit, small beside a job's memory. */
const WRITES_IN_FLIGHT = 256;

const tokenNumber = z.int().min(1).max(100_000);
const runs = z.int().min(1).max(LIMITS.attempts);

export const tokensInputSchema = z.strictObject({
  tokens: tokenNumber.describe("How many texts to write."),
  size: z.int().min(1).max(4096).describe("Characters of each text, all of them ASCII."),
  intervalMs: z.int().min(0).describe("Wait between two texts; 0: as fast as they can be committed."),
  audioBytes: z
    .int()
    .min(0)
    .max(LIMITS.deltaBytes)
    .multipleOf(2)
    .optional()
    .describe("Bytes of the audio chunk after each text (pcm_s16le, 16 kHz, mono)."),
  failAt: tokenNumber.optional().describe("Throws before this text (from 1)."),
  failTimes: runs.optional().describe("In how many of the first runs failAt counts (1)."),
  crashAt: tokenNumber
    .optional()
    .describe("Kills the server's process before this text; only where chaos is allowed."),
  crashTimes: runs.optional().describe("In how many of the first runs crashAt counts (1)."),
});

export type TokensInput = z.infer<typeof tokensInputSchema>;

const FILLER = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/**
 * The `n`-th text (from 1) of exactly `size` ASCII characters: the number, a blank, and letters from a place that
 * depends on the number; where the number does not fit, its last digits.
 */
export function tokenText(n: number, size: number): string {
  const digits = String(n);
  if (digits.length >= size) return digits.slice(-size);
  const offset = n % FILLER.length;
  const letters = FILLER.slice(offset) + FILLER.slice(0, offset);
  return `${digits} ${letters.repeat(Math.ceil(size / letters.length))}`.slice(0, size);
}

/** The chunk after the `n`-th text: a quiet 250 Hz sawtooth, its first four bytes the number, little endian. */
export function tokenAudio(n: number, bytes: number): Uint8Array {
  const chunk = new Uint8Array(bytes);
  const view = new DataView(chunk.buffer);
  for (let at = 0; at < bytes; at += 2) view.setInt16(at, ((at >> 1) % 64) * 32 - 1024, true);
  if (bytes >= 4) view.setUint32(0, n, true);
  return chunk;
}

export interface TokensOptions {
  /** Whether `crashAt` is allowed (HOLDLINE_TOKENS=chaos). */
  readonly chaos: boolean;
  readonly clock: Clock;
  /** Ends the process at once, without any cleaning up. */
  readonly kill: () => never;
}

/**
 * The handler of type `tokens`.
 *
 * `failTimes` and `crashTimes` are compared with `job.attempt`, and that numbers every run: after a lost lease or a
 * release one of them is used up without a failure. So they count runs, not failures.
 */
export function createTokensHandler(options: TokensOptions): Handler<TokensInput> {
  return defineHandler<TokensInput>({
    type: "tokens",
    input: tokensInputSchema,
    output: ["text", "audio"],
    // Each text is an entry of its own, or the number of events could not be foretold.
    rollupMs: 0,
    check(input) {
      if (input.crashAt === undefined || options.chaos) return;
      throw invalidField("/input/crashAt", "is allowed only where the operator set HOLDLINE_TOKENS=chaos");
    },
    async run(job, input) {
      const audioBytes = input.audioBytes ?? 0;
      const failAt = job.attempt <= (input.failTimes ?? 1) ? input.failAt : undefined;
      const crashAt = options.chaos && job.attempt <= (input.crashTimes ?? 1) ? input.crashAt : undefined;
      const writes = createWriteWindow(WRITES_IN_FLIGHT);
      if (audioBytes > 0) await writes.add(job.audioFormat(TOKENS_AUDIO));
      for (let n = 1; n <= input.tokens; n += 1) {
        if (n > 1 && input.intervalMs > 0) await sleep(options.clock, input.intervalMs, job.signal);
        if (n === crashAt || n === failAt) await writes.drain();
        if (n === crashAt) options.kill();
        if (n === failAt) throw new Error(`failAt: no text ${n} in run ${job.attempt}`);
        await writes.add(job.text(tokenText(n, input.size)));
        if (audioBytes > 0) await writes.add(job.audio(tokenAudio(n, audioBytes)));
      }
      await writes.drain();
      return { tokens: input.tokens };
    },
  });
}
