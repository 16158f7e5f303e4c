/**
 * Brings a database to the newest schema: numbered SQL files, each in one transaction with the row that records it, so
 * that a kill at any point leaves whole steps only and the next start goes on.
 */
import type { Database } from "bun:sqlite";
import { NewerSchemaError, OlderSchemaError, type Migration } from "../database/migrations.ts";

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
