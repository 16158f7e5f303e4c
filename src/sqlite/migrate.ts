/**
 * Brings a database to the newest schema: numbered SQL files, each in one transaction with the row that records it, so
 * that a kill at any point leaves whole steps only and the next start goes on.
 */
import type { Database } from "bun:sqlite";

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** Files `NNNN_name.sql` of one folder, by number. Throws on a gap or a file that is named otherwise. */
export function orderMigrations(files: Readonly<Record<string, string>>): readonly Migration[] {
  const migrations = Object.entries(files).map(([file, sql]) => {
    const match = /^(\d{4})_(\w+)\.sql$/.exec(file);
    if (match === null) throw new Error(`${file} is not named NNNN_name.sql`);
    return { number: Number(match[1]), name: match[2] ?? "", sql };
  });
  migrations.sort((a, b) => a.number - b.number);
  for (const [index, { number }] of migrations.entries()) {
    if (number !== index + 1) throw new Error(`migration ${index + 1} is missing`);
  }
  return migrations;
}

/** Somebody has to bring the schema up first; who only looks in beside a server does not. */
export class OlderSchemaError extends Error {
  override readonly name = "OlderSchemaError";
  constructor(found: number, known: number) {
    super(
      `the database has schema ${found}, this version needs ${known}: run holdline migrate, or start the server of this version`,
    );
  }
}

/** The number of the newest migration that was applied; 0 when none ever was. Throws when the file is no database. */
export function schemaOf(db: Database): number {
  const table = db.query("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").get();
  return table === null ? 0 : newestNumber(db);
}

/** Throws when a newer version made the schema; an older one is as good. */
export function assertKnownSchema(db: Database, migrations: readonly Migration[]): void {
  const found = schemaOf(db);
  if (found > migrations.length) throw new NewerSchemaError(found, migrations.length);
}

/** Throws unless the schema is exactly the one that these migrations make. */
export function assertSchema(db: Database, migrations: readonly Migration[]): void {
  assertKnownSchema(db, migrations);
  const found = schemaOf(db);
  if (found < migrations.length) throw new OlderSchemaError(found, migrations.length);
}

/** The schema was made by a newer version of this program: running on it could lose data, so nothing is touched. */
export class NewerSchemaError extends Error {
  override readonly name = "NewerSchemaError";
  constructor(found: number, known: number) {
    super(
      `the database has schema ${found}, this version knows ${known}: start a newer version, or restore a backup`,
    );
  }
}

/** Applies what is missing and returns the numbers applied. Safe when several processes start at once. */
export function migrate(db: Database, migrations: readonly Migration[]): readonly number[] {
  db.run(
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT",
  );
  const applied: number[] = [];
  for (const { number, name, sql } of migrations) {
    // IMMEDIATE: the look and the step are one, also beside another process that starts.
    db.transaction(() => {
      const newest = newestNumber(db);
      if (newest > migrations.length) throw new NewerSchemaError(newest, migrations.length);
      if (newest >= number) return;
      db.run(sql);
      db.run("INSERT INTO schema_migrations (number, name, applied_at) VALUES (?, ?, datetime('now'))", [
        number,
        name,
      ]);
      applied.push(number);
    }).immediate();
  }
  return applied;
}

function newestNumber(db: Database): number {
  const row = db
    .query<{ newest: number | null }, []>("SELECT max(number) AS newest FROM schema_migrations")
    .get();
  return row?.newest ?? 0;
}
