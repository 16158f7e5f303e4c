/** The output of a job as it stands: what the deltas add up to, and void again after a reset. */
import type { AudioFormat, Json } from "../protocol/events.ts";
import type { OutputObject } from "../protocol/jobs.ts";
import type { LogEvent } from "./job-events.ts";

export interface Output {
  /** Text number 0, which is all of it unless a handler writes several in parallel. */
  readonly text: string;
  texts(): ReadonlyMap<number, string>;
  readonly data: readonly (Json | Uint8Array)[];
  readonly format: AudioFormat | null;
  apply(event: LogEvent): void;
  replace(output: OutputObject): void;
}

export function createOutput(): Output {
  const texts = new Map<number, string>();
  let data: (Json | Uint8Array)[] = [];
  let format: AudioFormat | null = null;

  function clear(): void {
    texts.clear();
    data = [];
    format = null;
  }
  return {
    get text() {
      return texts.get(0) ?? "";
    },
    texts: () => texts,
    get data() {
      return data;
    },
    get format() {
      return format;
    },
    apply(event) {
      if (event.kind === "output.reset") clear();
      else if (event.kind === "output.text") {
        const { index, delta } = event.data;
        texts.set(index, (texts.get(index) ?? "") + delta);
      } else if (event.kind === "output.audio.format") format = event.data;
      else if (event.kind === "output.data") data.push(event.data);
    },
    replace(output) {
      clear();
      for (const { index, text } of output.texts ?? [{ index: 0, text: output.text }]) texts.set(index, text);
      data = [...output.data];
      // The server repeats the format entry of the log here.
      format = (output.audio?.format ?? null) as AudioFormat | null;
    },
  };
}
