/** The few things that backup and restore ask of a file system: durable files, and the files that belong to a database. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** What SQLite keeps beside a database file. */
export const COMPANIONS = ["-wal", "-shm", "-journal"] as const;

/** Makes what was written to a file, or into a folder, survive a power loss. */
export function syncToDisk(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The same for the name of a file: renames are made durable by their folder. */
export function syncFolderOf(path: string): void {
  syncToDisk(dirname(path));
}

/** Size in bytes; 0 when there is no such file. */
export function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** A log that a process left beside a database without writing it back, with its size; null when there is none. */
export function leftOverLog(databasePath: string): { readonly path: string; readonly bytes: number } | null {
  for (const suffix of ["-wal", "-journal"]) {
    const path = `${databasePath}${suffix}`;
    const bytes = bytesOf(path);
    if (bytes > 0) return { path, bytes };
  }
  return null;
}

/** Takes away what lies beside a database that was closed: its log was written back, and is empty. */
export function removeCompanions(path: string): void {
  for (const suffix of COMPANIONS) rmSync(`${path}${suffix}`, { force: true });
}

/** Takes a database file away, with all that belongs to it. */
export function removeDatabase(path: string): void {
  rmSync(path, { force: true });
  removeCompanions(path);
}

/** Whether both names lead to one file. */
export function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return false;
  const [left, right] = [statSync(one), statSync(other)];
  return left.dev === right.dev && left.ino === right.ino;
}
