/**
 * Copies the database of an installation into one file, also while a server runs on it: SQLite makes the copy inside a
 * read transaction (VACUUM INTO), so it is the database as it was at one moment. Signing keys are not part of it.
 */
import { Database } from "bun:sqlite";
import { chmodSync, existsSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { markAsCopy } from "../jobs/sqlite/restored.ts";
import { isPostgres } from "../postgres/connection.ts";
import { openSqlite } from "../sqlite/database.ts";
import { isDamage } from "../sqlite/errors.ts";
import { integrityFaults } from "../sqlite/inspect.ts";
import { assertKnownSchema, schemaOf } from "../sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../sqlite/migrations.ts";
import { NoDatabaseError, sqlitePath } from "../storage.ts";
import type { StorageOptions } from "./contract.ts";
import { bytesOf, isSameFile, removeDatabase, syncFolderOf, syncToDisk } from "./files.ts";

export interface Contents {
  readonly schema: number;
  readonly jobs: number;
  readonly unfinishedJobs: number;
}

export interface Backup extends Contents {
  readonly file: string;
  readonly bytes: number;
}

/** Counts what is in a database file; it need not have the newest schema. */
export function contentsOf(path: string): Contents {
  const connection = openSqlite({ path, durability: "power", readonly: true });
  try {
    const counted = connection.raw
      .query<{ jobs: number; unfinished: number }, []>(
        "SELECT count(*) AS jobs, count(*) FILTER (WHERE finished_at IS NULL) AS unfinished FROM jobs",
      )
      .get();
    return {
      schema: schemaOf(connection.raw),
      jobs: counted?.jobs ?? 0,
      unfinishedJobs: counted?.unfinished ?? 0,
    };
  } finally {
    connection.close();
  }
}

/** Where the database is. Throws NoDatabaseError when there is none to copy. */
function sourceOf(options: StorageOptions): string {
  if (isPostgres(options.databaseUrl))
    throw new Error(
      "the database is PostgreSQL's: back it up with its own means, such as pg_dump --format=custom",
    );
  const path = sqlitePath(options.databaseUrl);
  if (path === ":memory:")
    throw new NoDatabaseError("the database is in the memory of the server: nobody else can see it");
  if (!existsSync(path)) throw new NoDatabaseError(`there is no database at ${path}`);
  return path;
}

function copyInto(source: string, target: string, durability: StorageOptions["durability"]): void {
  const connection = openSqlite({ path: source, durability, readonly: true });
  try {
    assertKnownSchema(connection.raw, SQLITE_MIGRATIONS);
    connection.raw.run("VACUUM INTO ?", [target]);
  } finally {
    connection.close();
  }
}

/** So that a server that finds it in the place of its database knows what it is. */
function mark(copy: string): void {
  // Not by openSqlite: that would give it a write-ahead log, and a backup is one file.
  const db = new Database(copy, { readwrite: true });
  markAsCopy(db);
  db.close(true);
}

/**
 * Writes the copy beside `file` and renames it when it is whole, checked and on the disk: `file` never is half a backup.
 * Throws a sentence for the operator; nothing is left behind then, and a file that was there is as it was.
 */
export function backUp(options: StorageOptions, file: string, { force }: { force: boolean }): Backup {
  const source = sourceOf(options);
  if (isSameFile(source, file)) throw new Error(`${file} is the database itself`);
  if (existsSync(file) && !force) throw new Error(`${file} is there already: say --force to replace it`);
  if (!existsSync(dirname(file))) throw new Error(`there is no folder ${dirname(file)}`);
  const partial = join(dirname(file), `.${basename(file)}.${process.pid}.partial`);
  removeDatabase(partial);
  try {
    copyInto(source, partial, options.durability);
    chmodSync(partial, 0o600);
    const faults = integrityFaults(partial);
    if (faults.length > 0) throw new Error(`${source} is damaged: ${faults.slice(0, 3).join("; ")}`);
    const contents = contentsOf(partial);
    mark(partial);
    syncToDisk(partial);
    renameSync(partial, file);
    syncFolderOf(file);
    return { file, bytes: bytesOf(file), ...contents };
  } catch (error) {
    removeDatabase(partial);
    if (!isDamage(error)) throw error;
    throw new Error(`${source} is damaged: restore an older backup`, { cause: error });
  }
}
