/**
 * One server per data folder, held by a lock of the operating system: it ends with the process, however that dies.
 *
 * The lock is SQLite's own on a file apart from the database: opening and closing the database's files inside one
 * process would drop its locks, and a lock file with a process id in it outlives a crash.
 */
import { Database } from "bun:sqlite";

/** Another process holds the folder. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  constructor(path: string) {
    super(
      `another holdline server is using this data folder (${path} is locked): stop it first, or use another folder`,
    );
  }
}

/** Takes the lock or throws FolderInUseError; the returned function lets go of it. */
export function lockFolder(path: string): () => void {
  const db = new Database(path, { create: true, readwrite: true });
  try {
    db.run("PRAGMA busy_timeout = 0");
    db.run("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (String((error as { code?: unknown }).code).startsWith("SQLITE_BUSY"))
      throw new FolderInUseError(path);
    throw error;
  }
  return () => db.close();
}
