/** Another program that has the database open: `write` holds its write lock, `read` a snapshot, until stdin is closed. */
import { Database } from "bun:sqlite";

const [path = "", what = ""] = process.argv.slice(2);

const db = new Database(path, what === "read" ? { readonly: true } : { readwrite: true });
db.run("PRAGMA busy_timeout = 5000");
db.run(what === "read" ? "BEGIN" : "BEGIN IMMEDIATE");
// A read transaction begins with its first read.
db.query("SELECT count(*) FROM jobs").get();
process.stdout.write("held\n");
await Bun.stdin.text();
db.run("ROLLBACK");
db.close();
