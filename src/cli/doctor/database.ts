/** Checks of what is in the data folder: the database with its schema and times, and the keys that sign session tokens. */
import { Database } from "bun:sqlite";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import type { Clock } from "../../lib/clock.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { createKeyFolder } from "../../sessions/keys/folder.ts";
import { assertSqliteVersion, openSqlite } from "../../sqlite/database.ts";
import { NewerSchemaError, OlderSchemaError } from "../../database/migrations.ts";
import { assertSchema } from "../../sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../sqlite/migrations.ts";
import { sqlitePath } from "../../storage.ts";
import { isPostgres } from "../../postgres/connection.ts";
import { lookIntoPostgres } from "../../storage/postgres.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const DAY_MS = 86_400_000;
const OLD_KEY_DAYS = 365;
/** Before this the clock of the machine was never set: the program is younger. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);
/** The newest time in the database may be ahead of now by this much: clocks are corrected in small steps. */
const AHEAD_MS = 60_000;

export function checkSqlite(): Finding {
  const db = new Database(":memory:");
  try {
    const row = db.query<{ version: string }, []>("SELECT sqlite_version() AS version").get();
    assertSqliteVersion(db);
    return ok("SQLite", row?.version ?? "");
  } catch (error) {
    return fail("SQLite", String(error), "Use the Bun version that package.json names");
  } finally {
    db.close();
  }
}

/** Looks at the schema and at the newest times that are stored. Changes nothing. */
function lookInto(path: string, wallMs: number): Finding[] {
  const connection = openSqlite({ path, durability: "power", readonly: true });
  try {
    assertSchema(connection.raw, SQLITE_MIGRATIONS);
    const counted = connection.raw
      .query<{ jobs: number; newest: number | null }, []>(
        "SELECT count(*) AS jobs, max(created_at) AS newest FROM jobs",
      )
      .get();
    const newest = counted?.newest ?? 0;
    const database = ok(
      "database",
      `${path}: ${counted?.jobs ?? 0} jobs, schema ${SQLITE_MIGRATIONS.length}`,
    );
    if (newest <= wallMs + AHEAD_MS) return [database, ok("clock", new Date(wallMs).toISOString())];
    const text = `it is ${new Date(wallMs).toISOString()}, and the newest job is of ${new Date(newest).toISOString()}`;
    return [database, warn("clock", text, "Set the clock, and keep it set by NTP: tokens are judged by it")];
  } finally {
    connection.close();
  }
}

/** The database and, since it knows the last times, the clock. */
export async function checkDatabase(config: Config, clock: Clock): Promise<Finding[]> {
  const wallMs = clock.wallMs();
  const early = wallMs < EARLIEST_MS;
  const time = early
    ? fail("clock", `it is ${new Date(wallMs).toISOString()} here`, "Set the clock: tokens are judged by it")
    : ok("clock", new Date(wallMs).toISOString());
  if (isPostgres(config.databaseUrl)) return [await checkPostgres(config), time];
  const path = sqlitePath(config.databaseUrl);
  if (path === ":memory:")
    return [warn("database", "in memory: it ends with the process", "Leave --database-url out"), time];
  if (!existsSync(path)) return [ok("database", `${path} is made at the first start`), time];
  try {
    const found = lookInto(path, wallMs);
    const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    const large = wal < LIMITS.walAlarmBytes ? [] : [largeLog(wal)];
    return [...found.filter(({ name }) => name !== "clock" || !early), ...large, ...(early ? [time] : [])];
  } catch (error) {
    return [databaseTrouble(path, error), time];
  }
}

/** Reaches the server, and looks at its version and the schema. Changes nothing. */
async function checkPostgres(config: Config): Promise<Finding> {
  try {
    const { place, version, schema } = await lookIntoPostgres(config);
    const tables = schema === 0 ? "its tables are made at the first start" : `schema ${schema}`;
    return ok("database", `${place}: PostgreSQL ${version}, ${tables}`);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (error instanceof NewerSchemaError) return fail("database", text, "Nothing was changed");
    return fail(
      "database",
      text,
      "Check that the server runs, and address, user and database of HOLDLINE_DATABASE_URL",
    );
  }
}

function largeLog(bytes: number): Finding {
  const text = `the write-ahead log has ${Math.round(bytes / 1e6)} MB`;
  return warn("database", text, "A program holds an old state of the database open: look for it with lsof");
}

function databaseTrouble(path: string, error: unknown): Finding {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof OlderSchemaError) return warn("database", text, "Both do it without losing anything");
  if (error instanceof NewerSchemaError) return fail("database", text, "Nothing was changed");
  return fail("database", `${path}: ${text}`, "Put a backup in its place: holdline restore FILE");
}

export async function checkKeys({ dataDir, databaseUrl }: Config, clock: Clock): Promise<Finding> {
  const name = "signing keys";
  const folder = join(dataDir, "keys");
  if (databaseUrl === "sqlite::memory:") return ok(name, "made anew at each start");
  if (isPostgres(databaseUrl)) return ok(name, "in the database: holdline keys list");
  if (!existsSync(folder)) return ok(name, "the first one is made at the first start");
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));
  const open = files.filter((file) => (statSync(join(folder, file)).mode & 0o077) !== 0);
  if (open.length > 0) {
    const text = `${open.join(", ")} in ${folder} can be read by others`;
    return fail(
      name,
      text,
      `chmod 600 ${folder}/*.json, then holdline keys rotate: who read one can sign tokens`,
    );
  }
  try {
    const keys = await createKeyFolder(dataDir).list();
    const [newest] = keys;
    if (newest === undefined) return ok(name, "the first one is made at the first start");
    const days = Math.floor((clock.wallMs() - newest.createdAt) / DAY_MS);
    const text = `${keys.length}, the newest ${days} days old`;
    return days > OLD_KEY_DAYS ? warn(name, text, "holdline keys rotate") : ok(name, text);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return fail(name, text, "Take the file away, or put it back from a copy");
  }
}
