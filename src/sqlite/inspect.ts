/** Looking into a database file without changing it: whether it is sound, and what schema it has. */
import { openSqlite } from "./database.ts";

/** What SQLite finds wrong with the file; empty when nothing is. Reads all of it. */
export function integrityFaults(path: string): string[] {
  const connection = openSqlite({ path, durability: "power", readonly: true });
  try {
    const rows = connection.raw
      .query<{ integrity_check: string }, []>("PRAGMA integrity_check")
      .all()
      .map((row) => row.integrity_check);
    return rows.length === 1 && rows[0] === "ok" ? [] : rows;
  } finally {
    connection.close();
  }
}
