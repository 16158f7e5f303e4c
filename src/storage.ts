/** The one switch from a database URL to the drivers behind it: opens, locks, migrates, and gives the stores. */
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pacedLogs } from "./jobs/paced.ts";
import { createSqliteJobReads, type JobReads } from "./jobs/sqlite/reads.ts";
import { withinRoom } from "./jobs/sqlite/room.ts";
import { createSqliteJobStore } from "./jobs/sqlite/store.ts";
import { settleCopy } from "./jobs/sqlite/restored.ts";
import { beginCommonTime, followCommonTime } from "./jobs/sqlite/time.ts";
import { createSystemClock, type Clock } from "./lib/clock.ts";
import { Obstacle } from "./lib/mistakes.ts";
import { findInstallation } from "./nodes/installation.ts";
import { createNodeParticipant, createSqliteNodeStore, NODES } from "./nodes/sqlite/store.ts";
import type { NodeStore } from "./nodes/store.ts";
import { createSqliteRoomHistory } from "./sessions/history/sqlite.ts";
import {
  createMachineTokenParticipant,
  createSqliteMachineTokenStore,
  MACHINE_TOKENS,
} from "./sessions/machine-tokens-sqlite.ts";
import {
  createRevocationParticipant,
  createSqliteRevocationStore,
  REVOCATIONS,
} from "./sessions/revocations/sqlite.ts";
import { createKeyFolder } from "./sessions/keys/folder.ts";
import { createMemoryKeyStore } from "./sessions/keys/memory.ts";
import type { KeyStore } from "./sessions/keys/store.ts";
import { createSqliteSessionStore } from "./sessions/sqlite.ts";
import { NO_SESSION_OUTAGE } from "./sessions/outage.ts";
import type { SessionStore } from "./sessions/store.ts";
import { entryPoint } from "./lib/entry-point.ts";
import { openSqlite, type SqliteConnection } from "./sqlite/database.ts";
import { createDisk, createNoDisk, makeRoomToStart, type Disk } from "./sqlite/disk.ts";
import { joinFolder, lockFolder, lockFolderForChildren } from "./sqlite/lock.ts";
import { assertSchema, migrate } from "./sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "./sqlite/migrations.ts";
import { startWriterThread } from "./sqlite/thread.ts";
import { DatabaseDamaged, type Writer } from "./database/writer.ts";
import { createInlineWriter } from "./sqlite/writer.ts";
import { isDamage } from "./sqlite/errors.ts";
import { isPostgres } from "./postgres/connection.ts";
import { createParticipants } from "./storage/participants.ts";
import type { OpenOptions, Storage, StorageOptions } from "./storage/contract.ts";
import { withSessionsPlace } from "./storage/redis-sessions.ts";

const IN_MEMORY = ":memory:";

/** The file of a `sqlite:` URL; throws for any other scheme. */
export function sqlitePath(databaseUrl: string): string {
  if (!databaseUrl.startsWith("sqlite:")) {
    throw new Error(
      `this needs a database in a file: the URL has to start with sqlite: (it starts with ${databaseUrl.split(":", 1)[0]}:)`,
    );
  }
  return databaseUrl.slice("sqlite:".length);
}

/** Makes the folder if it is missing; nobody but its owner can look inside. */
function ensureDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
}

interface Assembling {
  readonly signingKeys: KeyStore;
  readonly close: () => void;
  readonly disk?: Disk;
}

/** The stores of one database: what they write goes to the writer, what they read comes from the reader. */
export function assembleStorage(
  writer: Writer,
  reader: SqliteConnection,
  { signingKeys, close, disk = createNoDisk() }: Assembling,
): Storage {
  writer.onBatch(({ full }) => (full ? disk.ranOut() : disk.wrote()));
  const nodes = createSqliteNodeStore(writer, reader);
  return {
    jobs: withinRoom(createSqliteJobStore(writer, createSqliteJobReads(reader)), disk),
    sessions: createSqliteSessionStore(writer, reader),
    sessionOutage: NO_SESSION_OUTAGE,
    revocations: createSqliteRevocationStore(writer, reader),
    machineTokens: createSqliteMachineTokenStore(writer, reader),
    roomHistory: createSqliteRoomHistory(writer, reader),
    signingKeys,
    nodes,
    installation: () => findInstallation(nodes),
    disk,
    onBatch: (listener) => writer.onBatch(listener),
    failed: writer.failed,
    async stop() {
      await disk.stop();
      await writer.stop();
      close();
    },
  };
}

/** Bytes in pages of the file that hold nothing. */
function reusableBytes({ raw }: SqliteConnection): () => number {
  const pages = raw.query<{ freelist_count: number }, []>("PRAGMA freelist_count");
  const size = raw.query<{ page_size: number }, []>("PRAGMA page_size").get()?.page_size ?? 0;
  return () => (pages.get()?.freelist_count ?? 0) * size;
}

const lockOf = (dataDir: string): string => join(dataDir, "holdline.lock");

/** Takes the folder for this process; throws FolderInUseError when a server has it. The returned function lets go. */
export function lockDataDir(dataDir: string): () => void {
  ensureDataDir(dataDir);
  return lockFolder(lockOf(dataDir));
}

/** As `lockDataDir`, for a server. */
function lockForServer({ dataDir, shared = false }: OpenOptions): () => void {
  return shared ? joinFolder(lockOf(dataDir)) : lockDataDir(dataDir);
}

/**
 * For the parent of several processes that share one data folder, before they open it: takes the folder, and brings the
 * file to the newest schema. The returned function lets go. Throws as `openStorage`.
 */
export function prepareShared(
  { databaseUrl, dataDir, durability }: StorageOptions,
  clock: Clock,
): () => void {
  ensureDataDir(dataDir);
  const unlock = lockFolderForChildren(lockOf(dataDir));
  try {
    if (!isPostgres(databaseUrl)) {
      const path = sqlitePath(databaseUrl);
      makeRoomToStart(path);
      migrateFile(path, durability);
      const connection = openSqlite({ path, durability });
      beginCommonTime(connection, clock.wallMs());
      connection.close();
    }
    return unlock;
  } catch (error) {
    unlock();
    throw isDamage(error) ? new DatabaseDamaged(error) : error;
  }
}

/** Brings the file to the newest schema; the folder's lock is held. Returns the numbers of the migrations applied. */
function migrateFile(path: string, durability: StorageOptions["durability"]): readonly number[] {
  const connection = openSqlite({ path, durability });
  try {
    const applied = migrate(connection.raw, SQLITE_MIGRATIONS);
    // A backup that was put here by hand, and not by holdline restore, is as safe as one that was.
    settleCopy(connection);
    return applied;
  } finally {
    connection.close();
  }
}

/** The schema step on its own, for an installation that is not running. Throws FolderInUseError, NewerSchemaError. */
export async function migrateStorage(options: StorageOptions): Promise<readonly number[]> {
  const { databaseUrl, dataDir, durability } = options;
  if (isPostgres(databaseUrl)) return (await postgres()).migratePostgres(options);
  const path = sqlitePath(databaseUrl);
  if (path === IN_MEMORY) return [];
  const unlock = lockDataDir(dataDir);
  try {
    return migrateFile(path, durability);
  } finally {
    unlock();
  }
}

/** There is nothing to look into: no server has made it yet, or only the server itself can see it. */
export class NoDatabaseError extends Obstacle {
  override readonly name = "NoDatabaseError";
}

/** Loaded by who needs it: a start waits for every module. */
const postgres = () => import("./storage/postgres.ts");

/** What a program may do while a server runs on the same database: read, and keep the tokens of machines. */
export interface StorageBeside extends Pick<Storage, "machineTokens" | "stop"> {
  readonly jobs: JobReads;
  readonly sessions: Pick<SessionStore, "find" | "page">;
  readonly nodes: Pick<NodeStore, "list">;
}

/** The file of an installation that exists, at the schema of this version. Throws a sentence for the operator. */
function existingFile({ databaseUrl, durability }: StorageOptions): string {
  const path = sqlitePath(databaseUrl);
  if (path === IN_MEMORY)
    throw new NoDatabaseError("the database is in the memory of the server: nobody else can see it");
  if (!existsSync(path)) {
    throw new NoDatabaseError(
      `there is no database at ${path} yet: start the server once, or run holdline migrate`,
    );
  }
  const connection = openSqlite({ path, durability, readonly: true });
  try {
    assertSchema(connection.raw, SQLITE_MIGRATIONS);
  } finally {
    connection.close();
  }
  return path;
}

/**
 * Opens the database of an installation whether or not a server runs on it. The folder's lock is not taken, so only
 * what no server keeps in its memory can be written. Throws NoDatabaseError, OlderSchemaError or NewerSchemaError.
 */
export async function openStorageBeside(options: StorageOptions): Promise<StorageBeside> {
  const storage = isPostgres(options.databaseUrl)
    ? await (await postgres()).openPostgresBeside(options)
    : openFileBeside(options);
  try {
    return await withSessionsPlace(storage, options);
  } catch (error) {
    await storage.stop();
    throw error;
  }
}

function openFileBeside(options: StorageOptions) {
  const path = existingFile(options);
  const connection = openSqlite({ path, durability: options.durability });
  const writer = createInlineWriter(connection.raw, {
    [MACHINE_TOKENS]: createMachineTokenParticipant(connection),
    [NODES]: createNodeParticipant(connection),
    [REVOCATIONS]: createRevocationParticipant(connection),
  });
  const nodes = createSqliteNodeStore(writer, connection);
  return {
    jobs: createSqliteJobReads(connection),
    sessions: createSqliteSessionStore(writer, connection),
    revocations: createSqliteRevocationStore(writer, connection),
    machineTokens: createSqliteMachineTokenStore(writer, connection),
    nodes,
    installation: () => findInstallation(nodes),
    async stop() {
      await writer.stop();
      connection.close();
    },
  };
}

/** The keys of an installation, whether or not a server runs on it; `close` when done. Rejects as `openStorageBeside`. */
export async function openKeyStore(
  options: StorageOptions,
): Promise<{ readonly store: KeyStore; close(): Promise<void> }> {
  if (!isPostgres(options.databaseUrl))
    return { store: createKeyFolder(options.dataDir), close: () => Promise.resolve() };
  const storage = await (await postgres()).openPostgresBeside(options);
  return { store: storage.signingKeys, close: () => storage.stop() };
}

/** Opens the storage, for a server: reads of logs take turns. Rejects as `openWhole` does. */
export async function openStorage(options: OpenOptions): Promise<Storage> {
  const storage = await openWhole(options);
  const jobs = pacedLogs(storage.jobs, options.watch?.clock ?? createSystemClock());
  try {
    return await withSessionsPlace({ ...storage, jobs }, options);
  } catch (error) {
    await storage.stop();
    throw error;
  }
}

/** The database is elsewhere; the folder holds the keys and the name of the node, which no two servers may share. */
async function openElsewhere(options: OpenOptions): Promise<Storage> {
  const unlock = lockForServer(options);
  try {
    const storage = await (await postgres()).openPostgres(options);
    return { ...storage, stop: () => storage.stop().finally(unlock) };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** All of it in the memory of this process. */
function openInMemory({ durability }: OpenOptions): Storage {
  const connection = openSqlite({ path: IN_MEMORY, durability });
  migrate(connection.raw, SQLITE_MIGRATIONS);
  const writer = createInlineWriter(connection.raw, createParticipants(connection));
  return assembleStorage(writer, connection, {
    signingKeys: createMemoryKeyStore(),
    close: () => connection.close(),
  });
}

/** The reading side of a file whose writer is there, and what watches both. */
function besideWriter(writer: Writer, path: string, options: OpenOptions, unlock: () => void): Storage {
  const { dataDir, durability, watch, node, shared = false } = options;
  const reader = openSqlite({ path, durability, readonly: true });
  const disk =
    watch === undefined
      ? createNoDisk()
      : createDisk({ path, reusableBytes: reusableBytes(reader), ...watch });
  disk.start();
  const stopFollowing = shared && node !== undefined ? followCommonTime(reader, node.clock) : null;
  const signingKeys = createKeyFolder(dataDir);
  const storage = assembleStorage(writer, reader, { signingKeys, close: unlock, disk });
  return {
    ...storage,
    async stop() {
      await disk.stop();
      stopFollowing?.();
      // The writer is the last to close: it writes the log back then, and no file is left over.
      reader.close();
      await storage.stop();
    },
  };
}

async function openFile(path: string, options: OpenOptions): Promise<Storage> {
  const { durability, watch, shared = false } = options;
  const unlock = lockForServer(options);
  let writer: Writer | null = null;
  try {
    makeRoomToStart(path);
    // Here, before the thread opens the file: a refusal is then an ordinary error of this function.
    if (!shared) migrateFile(path, durability);
    const spawn = (): Worker => new Worker(entryPoint("writer.ts"));
    writer = await startWriterThread(spawn, { path, durability, shared }, watch?.clock);
    return besideWriter(writer, path, options, unlock);
  } catch (error) {
    await writer?.stop();
    unlock();
    throw isDamage(error) ? new DatabaseDamaged(error) : error;
  }
}

/** Rejects with FolderInUseError, DatabaseInUseError, NewerSchemaError, or whatever the file system or the network says. */
async function openWhole(options: OpenOptions): Promise<Storage> {
  if (isPostgres(options.databaseUrl)) return openElsewhere(options);
  const path = sqlitePath(options.databaseUrl);
  return path === IN_MEMORY ? openInMemory(options) : openFile(path, options);
}
