/** `holdline migrate`: the schema step on its own, for those who do not want a server to do it at its start. */
import { join } from "node:path";
import { type Config, loadConfig, processInputs } from "../config.ts";
import type { Command } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";

/** Applies what is missing; resolves with the numbers applied. Rejects while a server uses the folder. */
async function migrateDatabase({ dataDir, databaseUrl }: Config): Promise<readonly number[]> {
  const [{ ensureDataDir, sqlitePath }, { lockFolder }, { openSqlite }, steps, { SQLITE_MIGRATIONS }] =
    await Promise.all([
      import("../storage.ts"),
      import("../sqlite/lock.ts"),
      import("../sqlite/database.ts"),
      import("../sqlite/migrate.ts"),
      import("../sqlite/migrations.ts"),
    ]);
  const path = sqlitePath(databaseUrl);
  if (path === ":memory:") return [];
  ensureDataDir(dataDir);
  const unlock = lockFolder(join(dataDir, "holdline.lock"));
  try {
    const connection = openSqlite({ path, durability: "power" });
    try {
      return steps.migrate(connection.raw, SQLITE_MIGRATIONS);
    } finally {
      connection.close();
    }
  } finally {
    unlock();
  }
}

export const migrate: Command = {
  usage: "migrate",
  about: `Brings the database to the schema of this version, while no server uses it. Nothing is done twice,
and a database of a newer version is left alone. "serve" does the same when it starts.`,
  flags: settingsFlags(),
  async run({ flags, json }, host) {
    const { config } = loadConfig(processInputs(flags));
    const applied = await migrateDatabase(config);
    const text =
      applied.length === 0
        ? "The database is up to date."
        : `Applied ${applied.length === 1 ? "migration" : "migrations"} ${applied.join(", ")}.`;
    host.out(json ? `${JSON.stringify({ database: config.databaseUrl, applied })}\n` : `${text}\n`);
    return 0;
  },
};
