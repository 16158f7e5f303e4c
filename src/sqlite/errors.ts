/** What the errors of SQLite say, by their codes. */

export function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}

/** It found bytes where none of its own can be: the file is broken, or never was a database. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(?:CORRUPT|NOTADB)/.test(codeOf(error));
}

/** Another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith("SQLITE_BUSY");
}
