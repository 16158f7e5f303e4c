/** `holdline migrate` on a new folder, a second time, and where it must not touch anything. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder } from "../../src/sqlite/lock.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { holdline, temporaryFolder } from "./holdline.ts";

test("makes the folder and the schema, and has nothing to do afterwards", async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, "new", "data");
  const database = `sqlite:${join(dataDir, "holdline.db")}`;
  const first = await holdline(["migrate", "--json", "--data-dir", dataDir]);
  expect(first).toMatchObject({ code: 0, err: "" });
  const numbers = SQLITE_MIGRATIONS.map(({ number }) => number);
  expect(JSON.parse(first.out)).toEqual({ database, applied: numbers });
  expect(((await stat(dataDir)).mode & 0o777).toString(8)).toBe("700");

  const second = await holdline(["migrate", "--json", "--data-dir", dataDir]);
  expect(JSON.parse(second.out)).toEqual({ database, applied: [] });
  expect((await holdline(["migrate", "--data-dir", dataDir])).out).toBe("The database is up to date.\n");
});

test("leaves a database alone that a server uses, or that is newer", async () => {
  await using folder = await temporaryFolder();
  await holdline(["migrate", "--data-dir", folder.path]);
  const unlock = lockFolder(join(folder.path, "holdline.lock"));
  const inUse = await holdline(["migrate", "--data-dir", folder.path]);
  unlock();
  expect(inUse).toMatchObject({ code: 1, out: "" });
  expect(inUse.err).toContain("another holdline server is using this data folder");

  const db = new Database(join(folder.path, "holdline.db"));
  db.run("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'later', '')");
  db.close();
  const newer = await holdline(["migrate", "--data-dir", folder.path]);
  expect(newer).toMatchObject({ code: 1, out: "" });
  expect(newer.err).toContain("the database has schema 9999");
});
