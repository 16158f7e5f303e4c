/** `holdline restore FILE`: a backup in the place of the database, while no server runs. */
import { resolve } from "node:path";
import { loadConfig, processInputs } from "../config.ts";
import { createSystemClock, instant } from "../lib/clock.ts";
import type { Command } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";

export const restore: Command = {
  usage: "restore FILE",
  takes: "FILE",
  about: `Puts FILE, which "backup" made, in the place of the database. The server must not run. The
database that was there is kept beside it. Jobs that had not ended in the backup end as failed
(restored): they may have gone on after it, and what clients saw of that must not come back as
something else. Jobs, log-outs and revocations made after the backup are gone: repeat those.`,
  flags: [
    {
      name: "force",
      value: "",
      description: "Put a write-ahead log that a killed server left over aside, with its database",
    },
    ...settingsFlags(),
  ],
  async run({ words: [word = ""], flags: { force, ...flags }, json }, host) {
    const { config } = loadConfig(processInputs(flags));
    const { restore: put } = await import("../storage/restore.ts");
    const done = put(config, resolve(word), { at: instant(createSystemClock()), force: force !== undefined });
    if (json) {
      host.out(`${JSON.stringify(done)}\n`);
      return 0;
    }
    const applied = done.applied.length === 0 ? "" : ` Applied migrations ${done.applied.join(", ")}.`;
    const kept = done.replaced === null ? "" : `The database before is kept as ${done.replaced}\n`;
    host.out(
      `${done.database} is restored. Jobs: ${done.jobs}; not ended, and now failed (restored): ${done.endedJobs}.${applied}\n${kept}`,
    );
    return 0;
  },
};
