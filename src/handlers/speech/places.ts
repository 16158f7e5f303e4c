/** Where in the text a sentence stands, so that a client can tell from the sound how far its user has heard the text. */

/** UTF-16 units of the text: the first of the sentence, and the one after its last. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

export interface PlaceFinder {
  /** The text goes on with this. */
  push(delta: string): void;
  /**
   * The place of the next sentence. Sentences come in the order of the text and together are all of it, except that
   * blanks between and inside them may have been dropped or replaced; so what is no blank is counted.
   */
  next(sentence: string): Place;
}

const BLANK = /\s/u;

export function createPlaceFinder(): PlaceFinder {
  /** The text from `start` on, no longer than a sentence or two. */
  let rest = "";
  let start = 0;
  return {
    push(delta) {
      rest += delta;
    },
    next(sentence) {
      let left = sentence.replaceAll(/\s+/gu, "").length;
      let from = -1;
      let at = 0;
      for (; left > 0 && at < rest.length; at += 1) {
        if (BLANK.test(rest.charAt(at))) continue;
        if (from === -1) from = at;
        left -= 1;
      }
      const place = { from: start + Math.max(from, 0), to: start + at };
      rest = rest.slice(at);
      start += at;
      return place;
    },
  };
}
