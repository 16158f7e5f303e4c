/** What a handler of this process writes, held to the rules that hold for what a remote worker sends (remote/items.ts). */
import { isDeepStrictEqual } from "node:util";
import type { AudioFormat } from "../protocol/events.ts";
import { LIMITS } from "../protocol/limits.ts";
import { audioFormatSchema } from "../protocol/workers.ts";
import { JobError } from "./handler.ts";
import { sampleBytesOf } from "./sound-chunks.ts";

export function tooLarge(message: string): JobError {
  return new JobError("output_too_large", message, { retryable: false });
}

export function invalidOutput(message: string, cause?: unknown): JobError {
  return new JobError("invalid_output", message, { retryable: false, cause });
}

/** JSON text of a value, or what is wrong with it; `what`: how a sentence about it begins. */
export function jsonText(value: unknown, what: string, mostBytes: number): string | JobError {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    return invalidOutput(`${what} is not JSON.`, error);
  }
  if (text === undefined) return invalidOutput(`${what} is not JSON.`);
  return Buffer.byteLength(text) > mostBytes ? tooLarge(`${what} is over ${mostBytes} bytes.`) : text;
}

/** Says of each output of one run, in their order, what is wrong with it; null: nothing. */
export interface OutputCheck {
  text(delta: string, index: number): JobError | null;
  format(format: AudioFormat): JobError | null;
  audio(bytes: Uint8Array): JobError | null;
  data(bytes: Uint8Array): JobError | null;
  ratio(ratio: number | null): JobError | null;
}

export function createOutputCheck(): OutputCheck {
  let format: AudioFormat | null = null;

  const chunk = (bytes: Uint8Array, what: string): JobError | null => {
    if (!(bytes instanceof Uint8Array)) return invalidOutput(`${what} is no Uint8Array.`);
    return bytes.byteLength > LIMITS.deltaBytes
      ? tooLarge(`${what} is over ${LIMITS.deltaBytes} bytes.`)
      : null;
  };

  return {
    text(delta, index) {
      if (typeof delta !== "string") return invalidOutput("A text is no string.");
      if (!delta.isWellFormed()) return invalidOutput("A text was split inside a code point.");
      if (!Number.isSafeInteger(index) || index < 0)
        return invalidOutput("The index of a text is no whole number from 0.");
      return Buffer.byteLength(delta) > LIMITS.deltaBytes
        ? tooLarge(`A text is over ${LIMITS.deltaBytes} bytes.`)
        : null;
    },

    format(given) {
      const { data, error } = audioFormatSchema.safeParse(given);
      if (data === undefined) {
        const [issue] = error.issues;
        return invalidOutput(`The audio format is wrong: ${issue?.path.join(".")} ${issue?.message}.`);
      }
      if (format !== null && !isDeepStrictEqual(format, data))
        return invalidOutput("The audio format cannot change within a run.");
      format = data;
      return null;
    },

    audio(bytes) {
      const wrong = chunk(bytes, "An audio chunk");
      if (wrong !== null) return wrong;
      if (format === null) return invalidOutput("Audio comes before its format in this run.");
      return bytes.byteLength % sampleBytesOf(format) === 0
        ? null
        : invalidOutput("An audio chunk does not hold whole samples.");
    },

    data: (bytes) => chunk(bytes, "A data chunk"),

    ratio: (ratio) =>
      ratio === null || Number.isFinite(ratio)
        ? null
        : invalidOutput("The ratio of a progress report is no number."),
  };
}
