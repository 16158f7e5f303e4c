/**
 * Where one sentence ends and the next begins, in a whole text and in one that is still being written: the unit that
 * speech is made in, so that the first one can be heard while the last one does not exist yet.
 */

/** Longest piece, in UTF-16 units: what bounds the time until its sound is made. */
export const PIECE_CHARS = 300;

/** A full stop after these ends no sentence; single letters are initials. The segmenter does not know them. */
const ABBREVIATION =
  /(?:^|[\s("'“])(?:Mr|Mrs|Ms|Dr|Prof|Rev|Gen|Sen|St|Mt|vs|e\.g|i\.e|approx|\p{Lu})\.\s+$/u;

/** A line that was only wrapped goes on in lower case; its end is a blank, not the end of a sentence. */
const WRAPPED = /(?<=[\p{L}\p{N},;])[ \t]*\r?\n[ \t]*(?=\p{Ll})/gu;

/**
 * Pieces of at most `most` UTF-16 units, in order, which together are the whole: cut behind a comma, semicolon, colon
 * or bracket if there is one past a third of the length, else at a blank, else in the middle of the word (never inside
 * a code point).
 */
export function cutLong(text: string, most = PIECE_CHARS): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest.length > most) {
    const at = cutPlace(rest, most);
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  pieces.push(rest);
  return pieces;
}

function cutPlace(text: string, most: number): number {
  const head = text.slice(0, most);
  for (const place of [/[,;:)\]—](?=\s)/gu, /\s(?=\S)/gu]) {
    const last = [...head.matchAll(place)].at(-1)?.index ?? 0;
    if (last >= most / 3) return last + 1;
  }
  const splitsPair = /[\uD800-\uDBFF]$/.test(head) && /^[\uDC00-\uDFFF]/.test(text.slice(most));
  return splitsPair ? most - 1 : most;
}

function segment(text: string, segmenter: Intl.Segmenter): string[] {
  const sentences: string[] = [];
  let open = "";
  for (const { segment: part } of segmenter.segment(text.replaceAll(WRAPPED, " "))) {
    open += part;
    if (ABBREVIATION.test(part)) continue;
    sentences.push(open);
    open = "";
  }
  if (open !== "") sentences.push(open);
  return sentences;
}

function createSegmenter(): Intl.Segmenter {
  return new Intl.Segmenter("en", { granularity: "sentence" });
}

function trimmed(parts: readonly string[]): string[] {
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** The sentences of a whole text, trimmed, none of them empty; a long one is not cut. */
export function sentencesOf(text: string): string[] {
  return trimmed(segment(text, createSegmenter()));
}

export interface SentenceStream {
  /** Takes the next part of the text; returns what became complete by it, trimmed, none empty, none too long. */
  push(delta: string): string[];
  /** The text is over: what was still open. */
  end(): string[];
}

/**
 * Finds sentences while they are written. A sentence is complete when the next one has begun, or when it is longer
 * than a piece may be; so no more than PIECE_CHARS and one delta are ever held.
 */
export function createSentenceStream(): SentenceStream {
  const segmenter = createSegmenter();
  let open = "";

  return {
    push(delta) {
      const sentences = segment(open + delta, segmenter);
      const last = cutLong(sentences.pop() ?? "");
      open = last.pop() ?? "";
      return trimmed([...sentences.flatMap((sentence) => cutLong(sentence)), ...last]);
    },
    end() {
      const rest = open;
      open = "";
      return trimmed([rest]);
    },
  };
}
