/** From the sound that was heard to the text that was heard: what a voice client tells a model after an interruption. */
import type { Json } from "../protocol/events.ts";

/** A sentence of a text that is spoken; `from` and `to` count UTF-16 units of the text, as its `slice` does. */
export interface SpokenSentence {
  readonly from: number;
  readonly to: number;
  /** Where its sound begins in the sound of the job. */
  readonly startMs: number;
}

function sentenceOf(data: Json | Uint8Array): SpokenSentence | null {
  const speech = data instanceof Uint8Array ? undefined : (data as { speech?: Json } | null)?.speech;
  return (speech as Partial<SpokenSentence> | undefined)?.startMs === undefined
    ? null
    : (speech as unknown as SpokenSentence);
}

/**
 * The sentence being spoken after `heardMs` of the sound of a `voice` job, from the job's `data`; null before the first.
 * All text before its `from` has been heard.
 */
export function sentenceAt(data: readonly (Json | Uint8Array)[], heardMs: number): SpokenSentence | null {
  let at: SpokenSentence | null = null;
  for (const value of data) {
    const sentence = sentenceOf(value);
    if (sentence !== null && sentence.startMs <= heardMs) at = sentence;
  }
  return at;
}
