/** The one switch from a database URL to the drivers behind it: opens, locks, migrates, and gives the stores. */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { JobStore } from "./jobs/store.ts";
import { createSqliteJobReads } from "./jobs/sqlite/reads.ts";
import { createJobParticipant, createSqliteJobStore, JOBS } from "./jobs/sqlite/store.ts";
import { createSqliteJobTables } from "./jobs/sqlite/tables.ts";
import { createSessionParticipant, createSqliteSessionStore, SESSIONS } from "./sessions/sqlite.ts";
import type { SessionStore } from "./sessions/store.ts";
import { openSqlite, type SqliteConnection } from "./sqlite/database.ts";
import { lockFolder } from "./sqlite/lock.ts";
import { migrate } from "./sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "./sqlite/migrations.ts";
import { startWriterThread } from "./sqlite/thread.ts";
import { createInlineWriter, type Participant, type Writer } from "./sqlite/writer.ts";

export interface Storage {
  readonly jobs: JobStore;
  readonly sessions: SessionStore;
  /** Resolves when the storage can no longer tell what it holds: the process has to stop. */
  readonly failed: Promise<Error>;
  /** Commits what was given, then closes. */
  stop(): Promise<void>;
}

export interface StorageOptions {
  /** `sqlite:<path>` or `sqlite::memory:`. */
  readonly databaseUrl: string;
  /** Made with mode 0700 when it is missing; holds the lock. Unused by a database in memory. */
  readonly dataDir: string;
  readonly durability: "power" | "process";
}

/** Everybody who takes write commands, on the writer's connection. */
export function createParticipants(connection: SqliteConnection): Readonly<Record<string, Participant>> {
  return {
    [JOBS]: createJobParticipant(createSqliteJobTables(connection)),
    [SESSIONS]: createSessionParticipant(connection),
  };
}

/** The file of a `sqlite:` URL; throws for any other scheme, naming the known ones. */
function sqlitePath(databaseUrl: string): string {
  if (!databaseUrl.startsWith("sqlite:")) {
    throw new Error(
      `the database URL must start with sqlite: (it starts with ${databaseUrl.split(":", 1)[0]}:)`,
    );
  }
  return databaseUrl.slice("sqlite:".length);
}

/** Makes the folder if it is missing; nobody but its owner can look inside. */
function ensureDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
}

function assemble(writer: Writer, reader: SqliteConnection, close: () => void): Storage {
  return {
    jobs: createSqliteJobStore(writer, createSqliteJobReads(reader)),
    sessions: createSqliteSessionStore(writer, reader),
    failed: writer.failed,
    async stop() {
      await writer.stop();
      close();
    },
  };
}

function lockDataDir(dataDir: string): () => void {
  ensureDataDir(dataDir);
  return lockFolder(join(dataDir, "holdline.lock"));
}

/** Brings the file to the newest schema; the folder's lock is held. Returns the numbers of the migrations applied. */
function migrateFile(path: string, durability: StorageOptions["durability"]): readonly number[] {
  const connection = openSqlite({ path, durability });
  try {
    return migrate(connection.raw, SQLITE_MIGRATIONS);
  } finally {
    connection.close();
  }
}

/** The schema step on its own, for an installation that is not running. Throws FolderInUseError, NewerSchemaError. */
export function migrateStorage({ databaseUrl, dataDir, durability }: StorageOptions): readonly number[] {
  const path = sqlitePath(databaseUrl);
  if (path === ":memory:") return [];
  const unlock = lockDataDir(dataDir);
  try {
    return migrateFile(path, durability);
  } finally {
    unlock();
  }
}

/** Opens the storage. Rejects with FolderInUseError, NewerSchemaError, or whatever the file system says. */
export async function openStorage({ databaseUrl, dataDir, durability }: StorageOptions): Promise<Storage> {
  const path = sqlitePath(databaseUrl);
  if (path === ":memory:") {
    const connection = openSqlite({ path, durability });
    migrate(connection.raw, SQLITE_MIGRATIONS);
    const writer = createInlineWriter(connection.raw, createParticipants(connection));
    return assemble(writer, connection, () => connection.close());
  }

  const unlock = lockDataDir(dataDir);
  try {
    // Here, before the thread opens the file: a refusal is then an ordinary error of this function.
    migrateFile(path, durability);
    const thread = new Worker(new URL("./writer.ts", import.meta.url).href);
    const writer = await startWriterThread(thread, { path, durability });
    const reader = openSqlite({ path, durability, readonly: true });
    return assemble(writer, reader, () => {
      reader.close();
      unlock();
    });
  } catch (error) {
    unlock();
    throw error;
  }
}
