/**
 * One server per data folder, held by a lock of the operating system: it ends with the process, however that dies.
 *
 * The lock is SQLite's own on a file apart from the database: opening and closing the database's files inside one
 * process would drop its locks, and a lock file with a process id in it outlives a crash.
 */
import { Database } from "bun:sqlite";
import { Obstacle } from "../lib/mistakes.ts";
import { isBusy } from "./errors.ts";

/** Another process holds the folder. */
export class FolderInUseError extends Obstacle {
  override readonly name = "FolderInUseError";
  constructor(path: string) {
    super(
      `another holdline server is using this data folder (${path} is locked): stop it first, or use another folder`,
    );
  }
}

function take(path: string, statements: readonly string[]): () => void {
  const db = new Database(path, { create: true, readwrite: true });
  try {
    db.run("PRAGMA busy_timeout = 0");
    for (const statement of statements) db.query(statement).all();
  } catch (error) {
    db.close();
    if (isBusy(error)) throw new FolderInUseError(path);
    throw error;
  }
  return () => db.close();
}

/** Takes the lock or throws FolderInUseError; the returned function lets go of it. */
export function lockFolder(path: string): () => void {
  return take(path, ["BEGIN EXCLUSIVE"]);
}

/**
 * Takes the lock for a process and its children, who join with `joinFolder`; throws FolderInUseError as above, also
 * while children of a process that is gone are still there.
 */
export function lockFolderForChildren(path: string): () => void {
  // Nobody is there; then a lock that lets others read, and nobody else have the same.
  return take(path, ["BEGIN EXCLUSIVE", "COMMIT", "BEGIN IMMEDIATE"]);
}

/** For a child of whoever holds the lock: as long as it lives, nobody but its parent can have the folder. */
export function joinFolder(path: string): () => void {
  return take(path, ["BEGIN", "SELECT count(*) FROM sqlite_schema"]);
}
