/** TypeScript source as the architecture rules look at it: without comments, without strings, and what it imports. */

export interface SourceText {
  /** Comments, strings, template text and regular expressions are blanks; every line and column is where it was. */
  readonly code: string;
  /** Only comments are blanks. */
  readonly withStrings: string;
}

/** Characters after which a slash starts a regular expression and does not divide. */
const BEFORE_REGEX = new Set("(,=:[!&|?{};+-*%~^<>\n");
const WORD_BEFORE_REGEX = /\b(?:return|typeof|case|in|of|throw|await|void|delete|else|do)\s*$/;

type Piece = "code" | "comment" | "string";

/** The end of a quoted string, or of a regular expression, that starts at `start`. */
function endOfQuoted(source: string, start: number, quote: string): number {
  let inClass = false;
  for (let at = start + 1; at < source.length; at += 1) {
    const char = source[at];
    if (char === "\\") at += 1;
    else if (quote === "/" && char === "[") inClass = true;
    else if (quote === "/" && char === "]") inClass = false;
    else if (char === "\n" || (char === quote && !inClass)) return at + 1;
  }
  return source.length;
}

/** Where the text of a template ends that starts at `start`: after its closing back-tick or after `${`. */
function endOfTemplateText(source: string, start: number): number {
  for (let at = start; at < source.length; at += 1) {
    if (source[at] === "\\") at += 1;
    else if (source[at] === "`") return at + 1;
    else if (source.startsWith("${", at)) return at + 2;
  }
  return source.length;
}

function endOfComment(source: string, start: number): number {
  const end = source[start + 1] === "/" ? source.indexOf("\n", start) : source.indexOf("*/", start + 2) + 2;
  return end <= 1 ? source.length : end;
}

function startsRegex(source: string, at: number): boolean {
  const before = source.slice(Math.max(0, at - 40), at).replace(/[ \t]+$/, "");
  return before === "" || BEFORE_REGEX.has(before.at(-1) ?? "") || WORD_BEFORE_REGEX.test(before);
}

/** What begins at `at` and where it ends; plain code goes one character at a time. `braces` tells templates apart. */
function pieceAt(source: string, at: number, braces: string[]): { kind: Piece; end: number } {
  const char = source[at] ?? "";
  if (char === "/" && /[/*]/.test(source[at + 1] ?? ""))
    return { kind: "comment", end: endOfComment(source, at) };
  if (char === '"' || char === "'") return { kind: "string", end: endOfQuoted(source, at, char) };
  if (char === "/" && startsRegex(source, at)) return { kind: "string", end: endOfQuoted(source, at, "/") };
  if (char === "`" || (char === "}" && braces.at(-1) === "`")) {
    if (char === "}") braces.pop();
    const end = endOfTemplateText(source, at + 1);
    if (source[end - 1] === "{") braces.push("`");
    return { kind: "string", end };
  }
  if (char === "{") braces.push("{");
  if (char === "}") braces.pop();
  return { kind: "code", end: at + 1 };
}

/** Takes a source apart, far enough for the rules: no parser, but one that is not fooled by strings and comments. */
export function readSource(source: string): SourceText {
  const braces: string[] = [];
  let code = "";
  let withStrings = "";
  for (let at = 0; at < source.length;) {
    const { kind, end } = pieceAt(source, at, braces);
    const piece = source.slice(at, end);
    const blank = piece.replace(/[^\n]/g, " ");
    code += kind === "code" ? piece : blank;
    withStrings += kind === "comment" ? blank : piece;
    at = end;
  }
  return { code, withStrings };
}

const AT_ONCE = [
  /\b(?:import|export)\b[^;"'`()]*?\bfrom\s*["']([^"']+)["']/g,
  /\bimport\s*["']([^"']+)["']/g,
];
const IMPORTS = [...AT_ONCE, /\bimport\s*\(\s*["']([^"']+)["']/g];
/** Files named without being imported: workers, assets. */
const REFERENCES = [
  /\bnew URL\(\s*["']([^"']+)["']/g,
  /\bimport\.meta\.resolve\(\s*["']([^"']+)["']/g,
  /<script\b[^>]*\bsrc="([^"]+)"/g,
];

function matches(text: string, patterns: readonly RegExp[]): string[] {
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ""));
}

/** What the source imports (types too: they are dependencies like any other), as written. */
export function importsOf(source: SourceText): string[] {
  return matches(source.withStrings, IMPORTS);
}

/** As `importsOf`, without what is loaded only when it is needed (`import()`). */
export function importsAtOnceOf(source: SourceText): string[] {
  return matches(source.withStrings, AT_ONCE);
}

/** What it imports or refers to by URL, as written. */
export function referencesOf(source: SourceText): string[] {
  return [...importsOf(source), ...matches(source.withStrings, REFERENCES)];
}

/** Opens a function whose body follows: a declaration, a method, or an arrow with a block. */
const FUNCTION_START =
  /^(?:(?:export|default|async|static|override|public|private|protected|get|set)\s+)*(?:function\b|(?!if\b|for\b|while\b|switch\b|catch\b|with\b|return\b|await\b|throw\b|new\b|else\b|do\b)[#\w]+\s*(?:<[^(]*>)?\()|=>\s*\{$|\bfunction\b/;

export interface FunctionSpan {
  /** 1-based. */
  readonly line: number;
  /** Without the functions inside, which count for themselves: one that returns an object of functions is no long one. */
  readonly ownLines: number;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function ownLinesOf(span: Span, all: readonly Span[]): number {
  const inside = all.filter((other) => other.start > span.start && other.end < span.end);
  const outermost = inside.filter(
    (one) => !inside.some((other) => other.start < one.start && other.end > one.end),
  );
  return outermost.reduce((own, { start, end }) => own - (end - start + 1), span.end - span.start + 1);
}

/**
 * Functions with a body, by the formatter's indentation: one starts on a line that opens it and ends at the next line
 * of the same indentation that begins with `}`. A call that takes a block of a callback counts as well, which is meant.
 */
export function functionSpans(source: SourceText): FunctionSpan[] {
  const lines = source.code.split("\n");
  const spans: Span[] = [];
  lines.forEach((line, index) => {
    const indent = line.length - line.trimStart().length;
    if (!FUNCTION_START.test(line.trim())) return;
    for (let end = index + 1; end < lines.length; end += 1) {
      const text = lines[end] ?? "";
      const depth = text.length - text.trimStart().length;
      if (text.trim() === "" || depth > indent) continue;
      // A signature over several lines comes back to the indentation once, with its closing parenthesis.
      if (depth === indent && text.trimStart().startsWith(")") && text.trimEnd().endsWith("{")) continue;
      if (depth === indent && text.trimStart().startsWith("}"))
        spans.push({ start: index + 1, end: end + 1 });
      return;
    }
  });
  return spans.map((span) => ({ line: span.start, ownLines: ownLinesOf(span, spans) }));
}
