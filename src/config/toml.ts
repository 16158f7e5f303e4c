/** TOML with the two things the runtime's parser leaves out: the line of an error, and a message without values in it. */

export type Parsed =
  | { readonly ok: true; readonly table: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problem: string; readonly line: number | null };

/** Above this many lines the search for the bad one would take long; no configuration is that large. */
const SEARCHED_LINES = 2000;

function parses(text: string): boolean {
  try {
    Bun.TOML.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * 1-based line where the statement begins that cannot be parsed. The parser reports no position, but everything
 * before that line is a document of its own, and nothing longer is.
 */
function badLine(text: string): number | null {
  const lines = text.split("\n");
  if (lines.length > SEARCHED_LINES) return null;
  for (let kept = lines.length - 1; kept >= 0; kept -= 1) {
    if (parses(lines.slice(0, kept).join("\n"))) return kept + 1;
  }
  return null;
}

/** The document as an object, or what is wrong with it and where. */
export function parseToml(text: string): Parsed {
  try {
    return { ok: true, table: Bun.TOML.parse(text) as Record<string, unknown> };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The parser quotes the value it stumbled over, and that may be a key that nobody should see.
    const problem = message
      .replace(/^TOML Parse error: /, "")
      .replace(/"[\s\S]*$/, "(a value not shown here)");
    return { ok: false, problem, line: badLine(text) };
  }
}

/** 1-based line on which a top-level key or table is set; null when it is written in an unusual way. */
export function lineOfKey(text: string, key: string): number | null {
  const name = key.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const start = new RegExp(String.raw`^\s*\[{0,2}\s*["']?${name}["']?\s*[=.\]]`);
  const index = text.split("\n").findIndex((line) => start.test(line));
  return index === -1 ? null : index + 1;
}

/** `[types.render]` as `types.render`, quotes and blanks aside; null for a line that begins no table. */
function headerOf(line: string): string | null {
  const name = /^\s*\[\[?([^[\]]+)\]\]?\s*(#.*)?$/.exec(line)?.[1];
  return name?.replaceAll(/["'\s]/g, "") ?? null;
}

/**
 * 1-based line on which the value at `path` is set: the key below the header of its table, else that header, else
 * that of a table around it. null when it is written in an unusual way.
 */
export function lineOfPath(text: string, path: readonly string[]): number | null {
  const lines = text.split("\n");
  const headers = lines.map(headerOf);
  const whole = headers.indexOf(path.join("."));
  if (whole !== -1) return whole + 1;
  for (let depth = path.length - 1; depth > 0; depth -= 1) {
    const begin = headers.indexOf(path.slice(0, depth).join("."));
    if (begin === -1) continue;
    const next = headers.findIndex((header, index) => index > begin && header !== null);
    const body = lines.slice(begin + 1, next === -1 ? undefined : next).join("\n");
    const line = lineOfKey(body, path[depth] ?? "");
    return begin + 1 + (line ?? 0);
  }
  return lineOfKey(text, path[0] ?? "");
}
