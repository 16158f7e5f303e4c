/** The schema on PostgreSQL: made by the twins of the SQLite migrations, the same tables and columns, as drizzle knows them. */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { resolve } from "node:path";
import { Glob } from "bun";
import { getTableName, is } from "drizzle-orm";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { nodes } from "../../src/nodes/postgres/schema.ts";
import { POSTGRES_MIGRATIONS } from "../../src/postgres/migrations.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { NewerSchemaError } from "../../src/database/migrations.ts";
import { migrate as migrateSqlite } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { openStorageBeside } from "../../src/storage.ts";
import { failureOf } from "../conformance/failure.ts";
import { program } from "../support/program.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";

let server: PostgresServer;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
  await migrate(url, POSTGRES_MIGRATIONS);
});
afterAll(() => server.remove());

/**
 * SQLite has no row that tells of lost answers: its commits are confirmed or the process ends. Its signing keys are files
 * beside the database, so that no backup holds them.
 */
const POSTGRES_ONLY: ReadonlySet<string> = new Set(["writers", "signing_keys"]);
/** Only there a writer knows the queue by heart. */
const SQLITE_ONLY: ReadonlySet<string> = new Set(["queue_moves"]);
const OF_THE_RUNNER = "schema_migrations";

async function tablesOfPostgres(): Promise<Map<string, Map<string, { type: string; notNull: boolean }>>> {
  const rows = await server.query(
    url,
    `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name <> '${OF_THE_RUNNER}'`,
  );
  const tables = new Map<string, Map<string, { type: string; notNull: boolean }>>();
  for (const row of rows) {
    const name = String(row["table_name"]);
    const columns = tables.get(name) ?? new Map<string, { type: string; notNull: boolean }>();
    columns.set(String(row["column_name"]), {
      type: String(row["data_type"]),
      notNull: row["is_nullable"] === "NO",
    });
    tables.set(name, columns);
  }
  return tables;
}

test("every migration has its twin, of the same number and name", () => {
  const named = (all: typeof SQLITE_MIGRATIONS) => all.map(({ number, name }) => [number, name]);
  expect(named(POSTGRES_MIGRATIONS)).toEqual(named(SQLITE_MIGRATIONS));
});

test("they make the same tables with the same columns", async () => {
  const db = new Database(":memory:");
  migrateSqlite(db, SQLITE_MIGRATIONS);
  const names = db
    .query<{ name: string }, []>("SELECT name FROM pragma_table_list WHERE schema = 'main'")
    .all()
    .map(({ name }) => name)
    .filter((name) => !name.startsWith("sqlite_") && name !== OF_THE_RUNNER && !SQLITE_ONLY.has(name));
  const tables = await tablesOfPostgres();
  expect([...tables.keys()].filter((name) => !POSTGRES_ONLY.has(name)).toSorted()).toEqual(names.toSorted());
  for (const name of names) {
    const columns = db
      .query<{ name: string; notnull: number; pk: number }, []>(`PRAGMA table_info(${name})`)
      .all()
      .map((column) => `${column.name} ${column.notnull === 1 || column.pk > 0}`);
    const twins = [...(tables.get(name) ?? [])].map(([column, { notNull }]) => `${column} ${notNull}`);
    expect([name, twins.toSorted()]).toEqual([name, columns.toSorted()]);
  }
});

test("drizzle knows each of them as it is", async () => {
  const source = resolve(import.meta.dir, "../../src");
  const declared = new Set<PgTable>();
  for (const path of new Glob("**/*.ts").scanSync({ cwd: source, absolute: true })) {
    if (!(await Bun.file(path).text()).includes("pgTable(")) continue;
    const module = (await import(path)) as Record<string, unknown>;
    for (const value of Object.values(module)) if (is(value, PgTable)) declared.add(value);
  }
  expect(declared).toContain(nodes);
  const tables = await tablesOfPostgres();
  expect([...declared].map(getTableName).toSorted()).toEqual([...tables.keys()].toSorted());
  for (const table of declared) {
    const known = getTableConfig(table).columns.map((column) => [
      column.name,
      { type: column.getSQLType(), notNull: column.notNull },
    ]);
    expect([getTableName(table), Object.fromEntries(known)]).toEqual([
      getTableName(table),
      Object.fromEntries(tables.get(getTableName(table)) ?? []),
    ]);
  }
});

test("four processes that start at once on an empty database make it once", async () => {
  const empty = await server.database();
  const children = [1, 2, 3, 4].map(() =>
    Bun.spawn(program("migrate", "--json", "--database-url", empty), {
      stdout: "pipe",
      stderr: "pipe",
    }),
  );
  const answers = await Promise.all(
    children.map(async (child) => ({
      code: await child.exited,
      applied: (JSON.parse(await new Response(child.stdout).text()) as { applied: number[] }).applied,
    })),
  );
  expect(answers.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(answers.flatMap(({ applied }) => applied).toSorted((a, b) => a - b)).toEqual(
    POSTGRES_MIGRATIONS.map(({ number }) => number),
  );
});

test("a step that fails leaves nothing of itself, and the next start goes on", async () => {
  const empty = await server.database();
  const [first, second, ...rest] = POSTGRES_MIGRATIONS;
  if (first === undefined || second === undefined) throw new Error("no migrations");
  const broken = { ...second, sql: `${second.sql}; SELECT 1 / 0` };
  await failureOf(migrate(empty, [first, broken, ...rest]));
  expect(await server.query(empty, "SELECT to_regclass('clock') AS there")).toEqual([{ there: null }]);
  expect(await migrate(empty, POSTGRES_MIGRATIONS)).toEqual(
    POSTGRES_MIGRATIONS.slice(1).map(({ number }) => number),
  );
});

test("a newer schema is left alone, and an older one is not looked into", async () => {
  const newer = await server.database();
  await migrate(newer, POSTGRES_MIGRATIONS);
  const number = POSTGRES_MIGRATIONS.length + 1;
  await server.query(newer, `INSERT INTO schema_migrations VALUES (${number}, 'next', 'now')`);
  expect(await failureOf(migrate(newer, POSTGRES_MIGRATIONS))).toBeInstanceOf(NewerSchemaError);
  const options = { dataDir: "/unused", durability: "process" } as const;
  expect((await failureOf(openStorageBeside({ ...options, databaseUrl: newer }))).message).toContain(
    "newer version",
  );
  const failure = await failureOf(openStorageBeside({ ...options, databaseUrl: await server.database() }));
  expect(failure.message).toContain("run holdline migrate");
});
