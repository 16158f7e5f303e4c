/**
 * JSON from strangers: parsed with the bounds and the strictness that JSON.parse lacks, and written canonically.
 *
 * Refused beside bad syntax: nesting past a bound, a member given twice (which of the two counts differs between
 * parsers, RFC 8259 section 4), numbers beyond a double, lone surrogates and NUL (neither survives every store).
 */

export interface JsonFault {
  /** JSON Pointer (RFC 6901) of the place, "" for the whole text. */
  readonly pointer: string;
  readonly detail: string;
}

export type JsonResult =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly fault: JsonFault };

/** One token of a JSON Pointer, escaped. */
export function pointerToken(name: string | number): string {
  return `/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** Deepest nesting of brackets outside strings, and how many members (colons outside strings) the text has. */
function survey(text: string): { depth: number; members: number } {
  let depth = 0;
  let deepest = 0;
  let members = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case 34: // a string: jump to its end
        i = endOfString(text, i);
        break;
      case 123:
      case 91:
        depth += 1;
        if (depth > deepest) deepest = depth;
        break;
      case 125:
      case 93:
        depth -= 1;
        break;
      case 58:
        members += 1;
        break;
      default:
    }
  }
  return { depth: deepest, members };
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 92) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

interface Walk {
  members: number;
  fault: JsonFault | null;
}

function stringFault(text: string): string | null {
  if (!text.isWellFormed()) return "holds a lone surrogate";
  return text.includes("\u0000") ? "holds a NUL character" : null;
}

function walk(value: unknown, pointer: () => string, state: Walk): void {
  if (state.fault !== null) return;
  if (typeof value === "string") {
    const detail = stringFault(value);
    if (detail !== null) state.fault = { pointer: pointer(), detail };
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) state.fault = { pointer: pointer(), detail: "is a number out of range" };
  } else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) walk(value[i], () => pointer() + pointerToken(i), state);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      state.members += 1;
      // An own member of this name vanishes in the next copy of the object, or changes what the copy inherits.
      if (name === "__proto__")
        state.fault ??= { pointer: pointer() + pointerToken(name), detail: "is not allowed" };
      const detail = stringFault(name);
      if (detail !== null) state.fault ??= { pointer: pointer(), detail: `has a name that ${detail}` };
      walk(member, () => pointer() + pointerToken(name), state);
    }
  }
}

/** Parses `text`; a fault names the place and what is wrong there, never the content. */
export function parseJson(text: string, bounds: { readonly depth: number }): JsonResult {
  const fault = (detail: string): JsonResult => ({ ok: false, fault: { pointer: "", detail } });
  const { depth, members } = survey(text);
  if (depth > bounds.depth) return fault(`is nested deeper than ${bounds.depth} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fault("is not valid JSON");
  }
  const state: Walk = { members: 0, fault: null };
  walk(value, () => "", state);
  if (state.fault !== null) return { ok: false, fault: state.fault };
  // JSON.parse keeps the last of two equal names; then the text has more members than the value.
  if (state.members !== members) return fault("names a member twice");
  return { ok: true, value };
}

/** JSON text with the members of every object sorted by name: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}
