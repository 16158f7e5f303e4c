/** What the built-in engine knows of English: how to cut text into words, and how to turn "I" into "you" and back. */

/** A word as it is compared, and as it was written. */
export interface Word {
  readonly lower: string;
  readonly raw: string;
}

/** Words between two marks of punctuation (or a "but"), which are matched as one. */
export type Clause = readonly Word[];

const CONTRACTIONS: Readonly<Record<string, string>> = {
  "can't": "cannot",
  cant: "cannot",
  "won't": "will not",
  wont: "will not",
  "shan't": "shall not",
  "let's": "let us",
  im: "i am",
  ive: "i have",
  dont: "do not",
  doesnt: "does not",
  didnt: "did not",
  isnt: "is not",
  wasnt: "was not",
  youre: "you are",
  thats: "that is",
  whats: "what is",
  wanna: "want to",
  gonna: "going to",
  gotta: "have to",
  u: "you",
  ur: "your",
};

const ENDINGS: readonly (readonly [ending: string, word: string])[] = [
  ["n't", "not"],
  ["'m", "am"],
  ["'re", "are"],
  ["'ve", "have"],
  ["'ll", "will"],
  ["'d", "would"],
];

/** After these "'s" means "is"; after any other word it shows a possessor. */
const TAKES_IS = new Set("it that he she what who where when how there here everything name".split(" "));

/** Words that carry nothing at the head of a clause, where they would hide its pattern. */
const FILLERS = new Set(
  "so and well ok okay please hey oh um uh also then anyway actually honestly just yeah look hm hmm ah".split(
    " ",
  ),
);

/** Words written with a capital only because they begin a sentence: anything else there may be a name. */
const COMMON_FIRST_WORDS = new Set(
  (
    "a an the this that these those my your his her its our their he she it we they you there here what when where " +
    "who why how all everyone everybody everything nobody nothing someone something people some any no not sometimes " +
    "today yesterday tomorrow now being having going getting in on at from with for of to"
  ).split(" "),
);

function expand(word: string): string[] {
  const lower = word.toLowerCase();
  const known = Object.hasOwn(CONTRACTIONS, lower) ? CONTRACTIONS[lower] : undefined;
  if (known !== undefined) return known.split(" ");
  for (const [ending, full] of ENDINGS) {
    if (lower.length > ending.length && lower.endsWith(ending)) return [word.slice(0, -ending.length), full];
  }
  if (lower.endsWith("'s") && TAKES_IS.has(lower.slice(0, -2))) return [word.slice(0, -2), "is"];
  return [word];
}

const ABBREVIATIONS = /\b(dr|mr|mrs|ms|prof|st)\.(?=\s)/gi;
/** A full stop that ends a sentence, unlike the one in "socket.io". */
const FULL_STOP = /\.(?![\p{L}\p{N}])/gu;

/** Someone who writes in capitals throughout is answered in the usual case. */
function settle(text: string): string {
  const straight = text.replaceAll(/[\u2018\u2019\u02BC]/g, "'");
  return straight.length > 3 && straight === straight.toUpperCase() ? straight.toLowerCase() : straight;
}

/** Adverbs that would only stand between the words of a pattern. */
const SKIPPED = new Set("just really actually simply".split(" "));

function withoutFillers(words: readonly Word[]): readonly Word[] {
  const start = words.findIndex(({ lower }) => !FILLERS.has(lower) && !SKIPPED.has(lower));
  if (start < 0 || words.length < 3) return start < 1 ? words : words.slice(start);
  return words.slice(start).filter(({ lower }) => !SKIPPED.has(lower));
}

const SUBJECTS = new Set("i we he she they it you".split(" "));

/** "but" always does, and "and" where a subject follows and enough came before it to be a clause of its own. */
function endsClause(before: readonly Word[], word: string, after = ""): boolean {
  const lower = word.toLowerCase();
  if (lower !== "and") return lower === "but";
  return before.length > 3 && SUBJECTS.has(expand(after)[0]?.toLowerCase() ?? "");
}

/** The clauses of a text, in order, contractions written out; each holds at least one word. */
export function clausesOf(text: string): Clause[] {
  const clauses: Clause[] = [];
  const stopped = settle(text).replace(ABBREVIATIONS, "$1").replace(FULL_STOP, ";");
  for (const part of stopped.split(/[^\p{L}\p{M}\p{N}\s'.-]+|\n+/u)) {
    let words: Word[] = [];
    const close = (): void => {
      if (words.length > 0) clauses.push(withoutFillers(words));
      words = [];
    };
    const found = part.match(/[\p{L}\p{M}\p{N}]+(?:['.-][\p{L}\p{M}\p{N}]+)*/gu) ?? [];
    for (const [index, word] of found.entries()) {
      if (endsClause(words, word, found[index + 1])) close();
      else for (const raw of expand(word)) words.push({ lower: raw.toLowerCase(), raw });
    }
    close();
  }
  return clauses;
}

const REFLECTIONS: Readonly<Record<string, string>> = {
  i: "you",
  me: "you",
  my: "your",
  mine: "yours",
  myself: "yourself",
  we: "you",
  us: "you",
  our: "your",
  ours: "yours",
  ourselves: "yourselves",
  your: "my",
  yours: "mine",
  yourself: "myself",
};

/** A verb that changes with its person, beside a pronoun that is reflected. */
const VERBS_BESIDE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  am: { i: "are" },
  was: { i: "were" },
  are: { you: "am" },
  were: { you: "was" },
};

/** After these a "you" is an object, and comes back as "me". */
const BEFORE_AN_OBJECT = new Set(
  (
    "to with about for from of at on by than like around without between near love loves hate hates need needs want " +
    "wants tell tells told ask asked help helps see saw know knew trust trusts make makes made let lets meet met " +
    "thank miss believe understand use used call called bother annoy hear heard give gave show showed teach"
  ).split(" "),
);
/** Before these a "you" is an object too: no verb follows it. */
const AFTER_AN_OBJECT = new Set(
  "to about for with from and or so because very too now today again at in on as if a the my your this that".split(
    " ",
  ),
);

/** Beside these a "you" is the subject, even where the words end with it. */
const BESIDE_A_SUBJECT = new Set(
  "are were am do did can could will would should shall have may must".split(" "),
);

function reflectYou(before: string | undefined, after: string | undefined): string {
  if (BESIDE_A_SUBJECT.has(before ?? "") || BESIDE_A_SUBJECT.has(after ?? "")) return "I";
  const object =
    after === undefined ||
    AFTER_AN_OBJECT.has(after) ||
    (before !== undefined && BEFORE_AN_OBJECT.has(before));
  return object ? "me" : "I";
}

/** The same words seen from the other side: "my dog loves you" is "your dog loves me". */
export function reflect(words: readonly Word[]): string {
  const reflected = words.map(({ lower, raw }, index) => {
    const before = words[index - 1]?.lower;
    const after = words[index + 1]?.lower;
    if (lower === "you") return reflectYou(before, after);
    const beside = Object.hasOwn(VERBS_BESIDE, lower) ? VERBS_BESIDE[lower] : undefined;
    const verb = beside?.[before ?? ""] ?? beside?.[after ?? ""];
    if (verb !== undefined) return verb;
    if (Object.hasOwn(REFLECTIONS, lower)) return REFLECTIONS[lower] ?? raw;
    return COMMON_FIRST_WORDS.has(lower) ? lower : raw;
  });
  return reflected.join(" ");
}
