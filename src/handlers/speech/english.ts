/**
 * From what people and models write to what an English voice with an ASCII alphabet can read aloud: accents folded,
 * signs named, marks and emoji dropped, and a plain answer where nothing of a sentence is left because it is not in
 * Latin script.
 */

/** Latin letters that Unicode does not decompose into a base letter and an accent. */
const LETTERS: Readonly<Record<string, string>> = {
  ß: "ss",
  æ: "ae",
  Æ: "Ae",
  œ: "oe",
  Œ: "Oe",
  ø: "o",
  Ø: "O",
  ł: "l",
  Ł: "L",
  đ: "d",
  Đ: "D",
  ð: "d",
  Ð: "D",
  þ: "th",
  Þ: "Th",
  ı: "i",
};

/**
 * In this order; before compatibility decomposition, which would turn `1½` into `11/2` and `x²` into `x2`. No pattern
 * here or below may walk a run of blanks from each of its places: the text is as long as a stranger likes.
 */
const SIGNS: readonly (readonly [RegExp, string])[] = [
  [/(?<=\d)(?=[¼-¾⅐-⅞])/gu, " and "],
  [/²/gu, " squared "],
  [/³/gu, " cubed "],
  [/£ ?(\d[\d,.]*\d|\d)/gu, "$1 pounds"],
  [/€ ?(\d[\d,.]*\d|\d)/gu, "$1 euros"],
  [/°/gu, " degrees "],
  [/×/gu, " times "],
  [/÷/gu, " divided by "],
  [/−(?=\d)/gu, " minus "],
  [/(?<=\d)[‒–](?=\d)/gu, " to "],
  [/ ?[–—―] ?/gu, ", "],
  [/[‘’‛′ʼ]/gu, "'"],
  [/[“”„‟″«»]/gu, '"'],
  [/[‐‑]/gu, "-"],
];

/** Marks of markup, which a voice would spell out: emphasis, code, headings, tables. A `#` in `C#` or `#1` stays. */
const MARKUP = /[*_`~|\\^{}[\]]|(?<![A-Za-z0-9])#(?![A-Za-z0-9])/gu;

export interface Reading {
  /** ASCII, one line; empty: nothing to say. */
  readonly text: string;
  /** true: nothing is left to say, and what was there were letters or digits of another script. */
  readonly foreign: boolean;
}

/** How a piece of text is read aloud in English. Pure; any string is allowed, also a malformed one. */
export function readInEnglish(text: string): Reading {
  let plain = text;
  for (const [sign, words] of SIGNS) plain = plain.replace(sign, words);
  plain = plain
    .replaceAll(/[ßæÆœŒøØłŁđĐðÐþÞı]/gu, (letter) => LETTERS[letter] ?? " ")
    .normalize("NFKD")
    // The marks that decomposition split off, and what has no width: joiners, direction marks, soft hyphens.
    .replaceAll(/[\p{M}\p{Cf}]/gu, "")
    .replaceAll("\u2044", "/");
  const foreign = /(?!\p{Script=Latin})[\p{L}\p{Nd}]/u.test(plain.replaceAll(/\p{ASCII}/gu, ""));
  const spoken = plain
    .replaceAll(/[^\x20-\x7e]/gu, " ")
    .replaceAll(MARKUP, " ")
    .replaceAll(/ {2,}/gu, " ")
    .replaceAll(/ (?=[,.;:!?](?: |$))/gu, "")
    .trim();
  const speakable = /[A-Za-z0-9]/u.test(spoken);
  return { text: speakable ? spoken : "", foreign: foreign && !speakable };
}
