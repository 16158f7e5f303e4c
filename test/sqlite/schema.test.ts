/** The tables as drizzle knows them are the tables that the migrations make: columns, types, what may be NULL, keys. */
import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { Glob } from "bun";
import { nodes } from "../../src/nodes/sqlite/schema.ts";
import { getTableName, is } from "drizzle-orm";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { eventRow, seqOfRow } from "../../src/jobs/event-row.ts";
import { resolve } from "node:path";
import { LIMITS } from "../../src/protocol/limits.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";

const db = new Database(":memory:");
migrate(db, SQLITE_MIGRATIONS);

/** The tables that any module of src declares. */
async function declaredTables(): Promise<SQLiteTable[]> {
  const source = resolve(import.meta.dir, "../../src");
  const found = new Set<SQLiteTable>();
  for (const path of new Glob("**/*.ts").scanSync({ cwd: source, absolute: true })) {
    if (!(await Bun.file(path).text()).includes("sqliteTable(")) continue;
    const module = (await import(path)) as Record<string, unknown>;
    for (const value of Object.values(module)) if (is(value, SQLiteTable)) found.add(value);
  }
  return [...found];
}

const TABLES = await declaredTables();

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly key: boolean;
}

function made(table: string): Column[] {
  return db
    .query<{ name: string; type: string; notnull: number; pk: number }, []>(`PRAGMA table_info(${table})`)
    .all()
    .map(({ name, type, notnull, pk }) => ({
      name,
      type: type.toLowerCase(),
      // SQLite's own row number is never NULL, though the pragma does not say so.
      notNull: notnull === 1 || (pk > 0 && type === "INTEGER"),
      key: pk > 0,
    }));
}

function declared(table: SQLiteTable): Column[] {
  const { columns, primaryKeys } = getTableConfig(table);
  const keys = new Set(primaryKeys.flatMap((key) => key.columns.map(({ name }) => name)));
  return columns.map((column) => ({
    name: column.name,
    type: column.getSQLType(),
    notNull: column.notNull,
    key: column.primary || keys.has(column.name),
  }));
}

test.each(TABLES.map((table) => [getTableName(table), table] as const))("%s", (name, table) => {
  expect(made(name)).not.toEqual([]);
  expect(declared(table)).toEqual(made(name));
});

test("no table is unknown to drizzle, and all are strict", () => {
  const found = db
    .query<{ name: string; strict: number }, []>(
      "SELECT name, strict FROM pragma_table_list WHERE schema = 'main'",
    )
    .all()
    .filter(({ name }) => !name.startsWith("sqlite_"));
  const names = found.map(({ name }) => name).filter((name) => name !== "schema_migrations");
  expect(TABLES).toContain(nodes);
  expect(names.toSorted()).toEqual(TABLES.map(getTableName).toSorted());
  expect(found.filter(({ strict }) => strict !== 1)).toEqual([]);
});

test("the row of an entry holds its job and its seq, for the longest log and very many jobs", () => {
  for (const num of [1, 2, 2 ** 31 - 1]) {
    // Past the last entry that a run may write, a log still grows by a start and a retry for each run.
    for (const seq of [1, LIMITS.jobEvents, LIMITS.jobEvents + 2 * LIMITS.attempts]) {
      const row = eventRow(num, seq);
      expect(Number.isSafeInteger(row)).toBe(true);
      expect(row).toBeLessThan(eventRow(num + 1, 0));
      expect(seqOfRow(row)).toBe(seq);
    }
  }
});
