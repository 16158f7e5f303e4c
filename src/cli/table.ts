/** Text for people: columns that line up, and nothing in them that a terminal would obey. */

const GAP = "  ";

/** What users wrote may hold escape sequences; a terminal of an operator must not carry them out. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "�");
}

/** Rows in columns, the first row being the headings; every line ends with a newline. */
export function table(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(printable));
  const widths = (shown[0] ?? []).map((_, column) =>
    Math.max(...shown.map((row) => (row[column] ?? "").length)),
  );
  return shown
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join("");
}

/** One line a member: text as it is, everything else as JSON. */
export function fields(object: object): string {
  return table(
    Object.entries(object).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}
