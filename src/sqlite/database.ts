/** Opening a SQLite file the way this server needs it; the only place that knows the pragmas. */
import { Database } from "bun:sqlite";
import { drizzle, type BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { LIMITS } from "../protocol/limits.ts";

export interface SqliteOptions {
  /** File path, or ":memory:". */
  readonly path: string;
  /** `power`: a commit survives power loss (fsync); `process`: it survives the process. */
  readonly durability: "power" | "process";
  readonly readonly?: boolean;
}

export interface SqliteConnection {
  /** For transactions and pragmas. */
  readonly raw: Database;
  /** For everything else: typed queries, prepared where they are hot. */
  readonly orm: BunSQLiteDatabase;
  close(): void;
}

/** SQLite before 3.51.3 can corrupt a WAL that is reset while another connection checkpoints. */
const OLDEST_VERSION = [3, 51, 3] as const;

/**
 * How long a statement waits for another process's write lock; it blocks the thread, so the writer's own. What arrived
 * behind it waits for its own turn as long, so a caller is answered within twice that.
 */
const BUSY_MS = 2000;

/** Throws when the SQLite linked into the runtime is older than what is known to be sound. */
export function assertSqliteVersion(raw: Database): void {
  const row = raw.query<{ version: string }, []>("SELECT sqlite_version() AS version").get();
  const version = (row?.version ?? "0").split(".").map(Number);
  for (const [index, least] of OLDEST_VERSION.entries()) {
    const part = version[index] ?? 0;
    if (part > least) return;
    if (part < least)
      throw new Error(`SQLite ${row?.version} is too old; ${OLDEST_VERSION.join(".")} is needed`);
  }
}

export function openSqlite(options: SqliteOptions): SqliteConnection {
  const raw = new Database(
    options.path,
    options.readonly ? { readonly: true } : { create: true, readwrite: true },
  );
  assertSqliteVersion(raw);
  raw.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  if (!options.readonly) {
    raw.run("PRAGMA journal_mode = WAL");
    raw.run(`PRAGMA synchronous = ${options.durability === "power" ? "FULL" : "NORMAL"}`);
    // For short visits; the server's writer has a plan of its own (checkpoint.ts).
    raw.run("PRAGMA wal_autocheckpoint = 2000");
    raw.run(`PRAGMA journal_size_limit = ${LIMITS.walKeptBytes}`);
  }
  raw.run("PRAGMA cache_size = -16000");
  raw.run("PRAGMA temp_store = MEMORY");
  return { raw, orm: drizzle({ client: raw }), close: () => raw.close(true) };
}
