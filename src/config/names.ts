/** How one key is spelled in each place it may be set, and which known name an unknown one was probably meant to be. */

/** The few keys whose variable is not ours to name. */
const BORROWED_VARIABLES: Readonly<Record<string, string>> = {
  otlpEndpoint: "OTEL_EXPORTER_OTLP_ENDPOINT",
};

export const VARIABLE_PREFIX = "HOLDLINE_";

/** `dataDir` → `data_dir`: the spelling in holdline.toml. */
export function fileKeyOf(key: string): string {
  return key.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
}

/** `dataDir` → `HOLDLINE_DATA_DIR`. */
export function variableOf(key: string): string {
  return BORROWED_VARIABLES[key] ?? VARIABLE_PREFIX + fileKeyOf(key).toUpperCase();
}

/** `dataDir` → `data-dir`: the flag without its dashes. */
export function flagOf(key: string): string {
  return fileKeyOf(key).replaceAll("_", "-");
}

/**
 * An unknown name in the spelling of the file, whatever place it was written for: `--dataDri`, `HOLDLINE_DATA_DRI` and
 * `data-dri` are the same slip of the same key.
 */
export function asFileKey(written: string): string {
  const bare = written.replace(/^holdline[_-]/i, "");
  const snake = /[a-z]/.test(bare) ? fileKeyOf(bare) : bare.toLowerCase();
  return snake.replaceAll("-", "_").replace(/^_+/, "");
}

/** Insertions, deletions and substitutions that turn `from` into `to` (Levenshtein 1965), one row at a time. */
export function editDistance({ from, to }: { from: string; to: string }): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const substituted = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** Names longer than any known one need no exact distance; this bounds the work on hostile input. */
const COMPARED_CHARS = 64;

/** The known name with the fewest edits; the first one of several, null only when nothing is known. */
export function nearestOf(unknown: string, known: Iterable<string>): string | null {
  const from = unknown.slice(0, COMPARED_CHARS);
  let nearest: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const edits = editDistance({ from, to: name });
    if (edits < fewest) [nearest, fewest] = [name, edits];
  }
  return nearest;
}
