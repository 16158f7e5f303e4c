/**
 * How the script is written down and how a rule is found for a clause: keywords with ranks, and patterns of words.
 *
 * A pattern is words with a blank between: a plain word stands for itself, `a|b` for either, `@name` (or `@a|@b`) for
 * a word of that synonym group, `*` for any number of words and `+` for at least one. Groups, `*` and `+` are captured
 * and numbered from 1. There is no backtracking: a wildcard takes as little as it can and keeps it, so a match costs at
 * most words × pattern, whatever the input.
 */
import type { Clause, Word } from "./words.ts";

export interface Rule {
  readonly when: string;
  /** Used in turn. `{1}` is the first capture, seen from the other side; `{1^}` begins it with a capital. */
  readonly say: readonly string[];
  /** What to come back to when nothing matches later on, written like `say`. */
  readonly remember?: string;
}

export interface Keyword {
  /** One of these must occur; `@name` stands for the words of that group. */
  readonly words: readonly string[];
  /** The highest one found decides what is answered. */
  readonly rank: number;
  /** The first that matches is used; when none does, the keyword is passed over. */
  readonly rules: readonly Rule[];
}

export interface Script {
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly keywords: readonly Keyword[];
  /** When no rule matches; `{1}` in `recall` is what was remembered. */
  readonly recall: readonly string[];
  readonly nothing: readonly string[];
  /** When a message says exactly what the one before said, and when it has no words. */
  readonly repeated: readonly string[];
  readonly wordless: readonly string[];
}

type Captures = readonly (readonly Word[])[];

interface Token {
  readonly wildcard: boolean;
  /** Words a wildcard takes at least. */
  readonly least: number;
  readonly words: ReadonlySet<string>;
  readonly captured: boolean;
}

/** A rule made ready; the same object each time it matches, so that its turns can be counted by identity. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly rank: number;
  match(clause: Clause): Captures | null;
}

export interface CompiledScript {
  readonly script: Script;
  /** The best rule that matches the clause, with what it captured. */
  find(clause: Clause): { readonly rule: CompiledRule; readonly captures: Captures } | null;
}

function wordsOf(script: Script, word: string): readonly string[] {
  if (!word.startsWith("@")) return [word];
  const group = script.groups[word.slice(1)];
  if (group === undefined) throw new Error(`the script has no group ${word}`);
  return group;
}

function tokensOf(script: Script, pattern: string): Token[] {
  return pattern.split(" ").map((text) => {
    if (text === "*" || text === "+")
      return { wildcard: true, least: text === "+" ? 1 : 0, words: new Set(), captured: true };
    const words = text.split("|").flatMap((word) => wordsOf(script, word));
    return { wildcard: false, least: 0, words: new Set(words), captured: text.startsWith("@") };
  });
}

/** Whether the fixed tokens from `from` to `to` (not included) stand at `at` in the clause. */
function standsAt(tokens: readonly Token[], from: number, to: number, clause: Clause, at: number): boolean {
  if (at + to - from > clause.length) return false;
  for (let index = from; index < to; index += 1) {
    if (tokens[index]?.words.has(clause[at + index - from]?.lower ?? "") !== true) return false;
  }
  return true;
}

function matchTokens(tokens: readonly Token[], clause: Clause): Captures | null {
  const captures: Clause[] = [];
  let at = 0;
  let index = 0;
  while (index < tokens.length) {
    const wildcard = tokens[index]?.wildcard === true ? tokens[index] : undefined;
    const from = wildcard === undefined ? index : index + 1;
    let to = from;
    while (to < tokens.length && tokens[to]?.wildcard === false) to += 1;
    // Words before the fixed ones: none without a wildcard; all that is left where the pattern ends here.
    const least = at + (wildcard?.least ?? 0);
    const last = clause.length - (to - from);
    const most = wildcard === undefined ? at : last;
    let place = to === tokens.length ? last : least;
    if (place < least) return null;
    while (place <= most && !standsAt(tokens, from, to, clause, place)) place += 1;
    if (place > most) return null;
    if (wildcard !== undefined) captures.push(clause.slice(at, place));
    for (let fixed = from; fixed < to; fixed += 1) {
      const word = clause[place + fixed - from];
      // A word of the script's own, so it has no capital that could mean anything.
      if (tokens[fixed]?.captured === true && word !== undefined)
        captures.push([{ lower: word.lower, raw: word.lower }]);
    }
    at = place + to - from;
    index = to;
  }
  return at === clause.length ? captures : null;
}

/** Makes a script ready. Throws when a pattern names a group that is not there. */
export function compileScript(script: Script): CompiledScript {
  const byWord = new Map<string, CompiledRule[]>();
  for (const keyword of script.keywords) {
    const rules = keyword.rules.map((rule): CompiledRule => {
      const tokens = tokensOf(script, rule.when);
      return { rule, rank: keyword.rank, match: (clause) => matchTokens(tokens, clause) };
    });
    for (const word of keyword.words.flatMap((name) => wordsOf(script, name)))
      byWord.set(word, [...(byWord.get(word) ?? []), ...rules]);
  }
  return {
    script,
    find(clause) {
      const candidates = new Set<CompiledRule>();
      for (const word of clause) for (const rule of byWord.get(word.lower) ?? []) candidates.add(rule);
      // The sort is stable: of one rank, the keyword that stands first in the clause, and its rules in their order.
      for (const rule of [...candidates].toSorted((one, other) => other.rank - one.rank)) {
        const captures = rule.match(clause);
        if (captures !== null) return { rule, captures };
      }
      return null;
    },
  };
}
