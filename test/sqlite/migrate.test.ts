/** Migrations: whole steps only, whatever happened before; never onto a schema that is newer or has a hole. */
import { afterEach, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import {
  NewerSchemaError,
  OlderSchemaError,
  orderMigrations,
  type Migration,
} from "../../src/database/migrations.ts";
import { assertSchema, migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { openInline, openThreaded, temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { drive } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";

const folders: TemporaryFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

async function newFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  folders.push(folder);
  return folder;
}

const STEPS = orderMigrations({
  "0002_second.sql": "CREATE TABLE second (id INTEGER PRIMARY KEY); CREATE TABLE more (id INTEGER) STRICT;",
  "0001_first.sql": "CREATE TABLE first (id INTEGER PRIMARY KEY); INSERT INTO first VALUES (7);",
});

function tables(db: Database): string[] {
  return db
    .query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => name);
}

function recorded(db: Database): unknown[] {
  return db.query("SELECT number, name FROM schema_migrations ORDER BY number").all();
}

const BOTH = [
  { number: 1, name: "first" },
  { number: 2, name: "second" },
];

describe("the order of migrations", () => {
  test("is that of their numbers", () => {
    expect(STEPS.map(({ number, name }) => ({ number, name }))).toEqual(BOTH);
  });

  test("has no gap, no start but 1, and no number twice", () => {
    expect(() => orderMigrations({ "0001_a.sql": "", "0003_c.sql": "" })).toThrow("migration 2 is missing");
    expect(() => orderMigrations({ "0002_b.sql": "" })).toThrow("migration 1 is missing");
    expect(() => orderMigrations({ "0001_a.sql": "", "0001_b.sql": "" })).toThrow("migration 2 is missing");
  });

  test("is not guessed from other names", () => {
    for (const name of ["1_a.sql", "0001-a.sql", "0001_a.SQL", "0001_a.sql.bak", "x0001_a.sql"]) {
      expect(() => orderMigrations({ [name]: "" })).toThrow(`${name} is not named NNNN_name.sql`);
    }
  });

  test("of the program itself is whole", () => {
    expect(SQLITE_MIGRATIONS.map(({ number }) => number)).toEqual(
      SQLITE_MIGRATIONS.map((_migration, index) => index + 1),
    );
  });
});

describe("migrating", () => {
  test("a fresh database applies everything, and again nothing", () => {
    const db = new Database(":memory:");
    expect(migrate(db, STEPS)).toEqual([1, 2]);
    expect(tables(db)).toEqual(["first", "more", "schema_migrations", "second"]);
    expect(recorded(db)).toEqual(BOTH);
    expect(migrate(db, STEPS)).toEqual([]);
    expect(db.query("SELECT id FROM first").all()).toEqual([{ id: 7 }]);
  });

  test("goes on where an older version stopped", () => {
    const db = new Database(":memory:");
    expect(migrate(db, STEPS.slice(0, 1))).toEqual([1]);
    expect(migrate(db, STEPS)).toEqual([2]);
    expect(recorded(db)).toEqual(BOTH);
  });

  test("leaves nothing of a step that fails in its middle, and succeeds once it is mended", () => {
    const db = new Database(":memory:");
    const [first, second] = STEPS as [Migration, Migration];
    const broken = { ...second, sql: `${second.sql} CREATE TABLE first (id INTEGER);` };
    expect(() => migrate(db, [first, broken])).toThrow("already exists");
    expect(db.inTransaction).toBe(false);
    expect(tables(db)).toEqual(["first", "schema_migrations"]);
    expect(recorded(db)).toEqual(BOTH.slice(0, 1));
    expect(migrate(db, STEPS)).toEqual([2]);
  });

  test("after a kill in the middle of a step finds the step undone and does it", async () => {
    const path = join((await newFolder()).path, "test.db");
    const killed = new Database(path, { create: true });
    killed.run("PRAGMA journal_mode = WAL");
    migrate(killed, STEPS.slice(0, 1));
    // The second step was under way: its tables are made, its row is not, and nothing is committed.
    killed.run("BEGIN IMMEDIATE");
    killed.run(STEPS[1]?.sql ?? "");
    expect(tables(killed)).toContain("second");
    killed.close(); // what the operating system does with the files of a process that died

    const db = new Database(path);
    expect(tables(db)).toEqual(["first", "schema_migrations"]);
    expect(migrate(db, STEPS)).toEqual([2]);
    expect(recorded(db)).toEqual(BOTH);
    db.close();
  });

  test("by several processes at once does each step once, and fails in none", async () => {
    const path = join((await newFolder()).path, "test.db");
    const children = [1, 2, 3].map(() =>
      Bun.spawn([process.execPath, join(import.meta.dir, "child.ts"), "migrate", path], {
        stderr: "inherit",
      }),
    );
    const applied = await Promise.all(children.map((child) => new Response(child.stdout).json()));
    const steps = applied.flat() as number[];
    expect(steps.toSorted((a, b) => a - b)).toEqual(SQLITE_MIGRATIONS.map(({ number }) => number));
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0]);
  });

  test("refuses a schema that a newer version made, and touches nothing", () => {
    const db = new Database(":memory:");
    migrate(db, STEPS);
    const before = tables(db);
    expect(() => migrate(db, STEPS.slice(0, 1))).toThrow(NewerSchemaError);
    expect(() => migrate(db, STEPS.slice(0, 1))).toThrow("the database has schema 2, this version knows 1");
    expect(tables(db)).toEqual(before);
    expect(db.inTransaction).toBe(false);
  });
});

describe("who only looks in", () => {
  test("finds the schema it knows, or is told which of the two is behind; nothing is touched", () => {
    const db = new Database(":memory:");
    expect(() => assertSchema(db, STEPS)).toThrow(OlderSchemaError);
    expect(() => assertSchema(db, STEPS)).toThrow("the database has schema 0, this version needs 2");
    expect(tables(db)).toEqual([]);
    migrate(db, STEPS);
    assertSchema(db, STEPS);
    expect(() => assertSchema(db, STEPS.slice(0, 1))).toThrow(NewerSchemaError);
    expect(() => assertSchema(db, [...STEPS, { number: 3, name: "third", sql: "" }])).toThrow(
      "the database has schema 2, this version needs 3",
    );
  });
});

describe("a storage", () => {
  test("whose schema is newer is not opened, and its folder is free again", async () => {
    const folder = await newFolder();
    const storage = await openThreaded(folder);
    const id = await drive(storage.jobs).submit();
    await storage.stop();
    const db = new Database(join(folder.path, "data", "holdline.db"));
    db.run("INSERT INTO schema_migrations VALUES (9999, 'future', 'now')");
    expect(await failureOf(openThreaded(folder))).toBeInstanceOf(NewerSchemaError);
    expect(await failureOf(openThreaded(folder))).toBeInstanceOf(NewerSchemaError);
    db.run("DELETE FROM schema_migrations WHERE number = 9999");
    db.close();
    const again = await openThreaded(folder);
    expect(await again.jobs.find(id)).toMatchObject({ status: "queued" });
    await again.stop();
  });

  test("was migrated as a whole", async () => {
    const folder = await newFolder();
    await openInline(folder).stop();
    const db = new Database(join(folder.path, "holdline.db"), { readonly: true });
    expect(recorded(db)).toEqual(SQLITE_MIGRATIONS.map(({ number, name }) => ({ number, name })));
    expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    db.close();
  });
});
