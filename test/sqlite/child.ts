/** What the tests of locks and migrations have another process do: `migrate <file>`, or `hold <folder>` until it is killed. */
import { Database } from "bun:sqlite";
import { openThreaded } from "../conformance/storages.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";

const [what, path = ""] = process.argv.slice(2);

if (what === "migrate") {
  const db = new Database(path, { create: true });
  db.run("PRAGMA busy_timeout = 5000");
  db.run("PRAGMA journal_mode = WAL");
  process.stdout.write(JSON.stringify(migrate(db, SQLITE_MIGRATIONS)));
  db.close();
} else if (what === "hold") {
  await openThreaded({ path, remove: () => Promise.resolve() });
  process.stdout.write("held\n");
  // Held until somebody ends this process.
  await new Promise(() => {});
}
