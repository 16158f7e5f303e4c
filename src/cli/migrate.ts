/** `holdline migrate`: the schema step on its own, for those who do not want a server to do it at its start. */
import { loadConfig, processInputs } from "../config.ts";
import { displayed } from "../config/display.ts";
import type { Command } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";

export const migrate: Command = {
  usage: "migrate",
  about: `Brings the database to the schema of this version, while no server uses it. Nothing is done twice,
and a database of a newer version is left alone. "serve" does the same when it starts.`,
  flags: settingsFlags(),
  async run({ flags, json }, host) {
    const { config } = loadConfig(processInputs(flags));
    const { migrateStorage } = await import("../storage.ts");
    const applied = await migrateStorage(config);
    const text =
      applied.length === 0
        ? "The database is up to date."
        : `Applied ${applied.length === 1 ? "migration" : "migrations"} ${applied.join(", ")}.`;
    host.out(
      json
        ? `${JSON.stringify({ database: displayed({ secret: false }, config.databaseUrl), applied })}\n`
        : `${text}\n`,
    );
    return 0;
  },
};
