/** Lines of a body that may go on for as long as a job runs: bounded each, never held longer than they take to arrive. */
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface Lines {
  /** The lines that are whole by now, blank ones left out; null at the end. Rejects when one is too long. */
  next(): Promise<readonly string[] | null>;
  /** Nothing more is read. */
  cancel(): void;
}

const NEWLINE = 10;

/** Splits at LF; a last line without one counts. A line that is no UTF-8 is given as one that no JSON reader takes. */
export function readLines(stream: ReadableStream<Uint8Array>): Lines {
  const reader = stream.getReader();
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  let ended = false;

  const take = (bytes: Uint8Array): string => {
    const line = Buffer.concat([...rest, bytes]);
    rest = [];
    restBytes = 0;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(line).trim();
    } catch {
      // What is no UTF-8 is no JSON either, and refused as such by whoever parses the line.
      return "\u0000";
    }
  };

  const keep = (bytes: Uint8Array): void => {
    if (bytes.byteLength === 0) return;
    restBytes += bytes.byteLength;
    if (restBytes <= LIMITS.lineBytes) rest.push(bytes.slice());
  };

  return {
    async next() {
      if (ended) return null;
      // Told after the lines before it were given.
      if (restBytes > LIMITS.lineBytes) {
        throw new Refusal("payload_too_large", `A line is over lineBytes (${LIMITS.lineBytes} bytes).`, {
          extra: { limit: "lineBytes", limitBytes: LIMITS.lineBytes },
        });
      }
      const { done, value } = await reader.read();
      if (done) {
        ended = true;
        const last = take(new Uint8Array(0));
        return last === "" ? null : [last];
      }
      const lines: string[] = [];
      let start = 0;
      for (let end = value.indexOf(NEWLINE); end !== -1; end = value.indexOf(NEWLINE, start)) {
        const line = take(value.subarray(start, end));
        if (line !== "") lines.push(line);
        start = end + 1;
      }
      keep(value.subarray(start));
      return lines;
    },
    cancel() {
      reader.cancel().catch(() => undefined);
    },
  };
}
