/**
 * Puts a backup in the place of the database of an installation that is not running. The copy is checked, brought to this
 * version's schema and made safe (see endUnfinished) before it takes the place in one rename; what was there stays beside.
 */
import { chmodSync, copyFileSync, existsSync, linkSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { markAsCopy, settleCopy } from "../jobs/sqlite/restored.ts";
import type { Instant } from "../lib/clock.ts";
import { openSqlite } from "../sqlite/database.ts";
import { isDamage } from "../sqlite/errors.ts";
import { integrityFaults } from "../sqlite/inspect.ts";
import { assertKnownSchema, migrate, schemaOf } from "../sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../sqlite/migrations.ts";
import { isPostgres } from "../postgres/connection.ts";
import { lockDataDir, sqlitePath } from "../storage.ts";
import type { StorageOptions } from "./contract.ts";
import { contentsOf } from "./backup.ts";
import {
  COMPANIONS,
  isSameFile,
  leftOverLog,
  removeCompanions,
  removeDatabase,
  syncFolderOf,
  syncToDisk,
} from "./files.ts";

export interface Restored {
  readonly file: string;
  readonly database: string;
  readonly jobs: number;
  /** Jobs that had not ended in the backup, and have now. */
  readonly endedJobs: number;
  /** Migrations that the backup lacked. */
  readonly applied: readonly number[];
  /** Where the database that was replaced is; null when there was none. */
  readonly replaced: string | null;
}

export interface RestoreOptions {
  readonly at: Instant;
  /** Put a left-over log aside together with the database. */
  readonly force: boolean;
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Throws unless `file` is a backup as far as can be told without opening it. */
function assertWholeFile(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new Error(`there is no file ${file}`);
  if (!found.isFile()) throw new Error(`${file} is not a file`);
  const log = leftOverLog(file);
  if (log !== null) {
    throw new Error(
      `${log.path} (${inMegabytes(log.bytes)}) lies beside it: the file was copied from a running server and is not whole. Make backups with holdline backup`,
    );
  }
}

/** A log that the old database still needs would be read into the new one. */
function assertNoLeftOverLog(database: string, force: boolean): void {
  const log = leftOverLog(database);
  if (log === null || force) return;
  throw new Error(
    `${log.path} (${inMegabytes(log.bytes)}) was left over by a process that did not end orderly, and belongs to the database that would be replaced. ` +
      "Start the server and stop it, so that it is written back, or say --force to put both aside",
  );
}

/** Checks the copy and makes it ready to be used. Throws when it is not sound, or is of a newer version. */
function prepare(copy: string, file: string): Pick<Restored, "endedJobs" | "applied"> {
  const connection = openSqlite({ path: copy, durability: "power" });
  try {
    if (schemaOf(connection.raw) === 0) throw new Error(`${file} is a database, and not one of Holdline`);
    assertKnownSchema(connection.raw, SQLITE_MIGRATIONS);
    const faults = integrityFaults(copy);
    if (faults.length > 0) throw new Error(`${file} is damaged: ${faults.slice(0, 3).join("; ")}`);
    const applied = migrate(connection.raw, SQLITE_MIGRATIONS);
    // Also a file that somebody copied while no server ran is a copy.
    markAsCopy(connection.raw);
    return { applied, endedJobs: settleCopy(connection) ?? 0 };
  } finally {
    connection.close();
  }
}

/** The same, with a sentence for what SQLite has only a word for. */
function prepareOrExplain(copy: string, file: string): Pick<Restored, "endedJobs" | "applied"> {
  try {
    return prepare(copy, file);
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    throw new Error(`${file} is no backup of Holdline, or is damaged`, { cause });
  }
}

/** A second name for the old database, so that the first is never missing: an empty folder would be filled anew. */
function keepAside(database: string, at: Instant): string | null {
  if (!existsSync(database)) return null;
  const stamp = new Date(at.wallMs).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const aside = `${database}.replaced-${stamp}`;
  try {
    linkSync(database, aside);
  } catch {
    // A file system without hard links.
    copyFileSync(database, aside);
  }
  for (const suffix of COMPANIONS) {
    if (existsSync(`${database}${suffix}`)) renameSync(`${database}${suffix}`, `${aside}${suffix}`);
  }
  return aside;
}

/** Throws a sentence for the operator, or FolderInUseError; the database that is there is then as it was. */
export function restore(options: StorageOptions, file: string, { at, force }: RestoreOptions): Restored {
  if (isPostgres(options.databaseUrl))
    throw new Error("the database is PostgreSQL's: restore it with its own means, such as pg_restore");
  const database = sqlitePath(options.databaseUrl);
  if (database === ":memory:") throw new Error("the database is in memory: there is nothing to restore into");
  assertWholeFile(file);
  if (isSameFile(database, file)) throw new Error(`${file} is the database itself`);
  const unlock = lockDataDir(options.dataDir);
  const copy = `${database}.restoring`;
  try {
    if (!existsSync(dirname(database))) throw new Error(`there is no folder ${dirname(database)}`);
    assertNoLeftOverLog(database, force);
    removeDatabase(copy);
    copyFileSync(file, copy);
    chmodSync(copy, 0o600);
    const prepared = prepareOrExplain(copy, file);
    const { jobs } = contentsOf(copy);
    if (leftOverLog(copy) !== null) throw new Error(`${copy}-wal was not written back`);
    removeCompanions(copy);
    syncToDisk(copy);
    const replaced = keepAside(database, at);
    renameSync(copy, database);
    syncFolderOf(database);
    return { file, database, jobs, replaced, ...prepared };
  } finally {
    removeDatabase(copy);
    unlock();
  }
}
