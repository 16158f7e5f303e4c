/** `holdline backup FILE`: the database in one file, as it was at one moment. */
import { resolve } from "node:path";
import { loadConfig, processInputs } from "../config.ts";
import type { Command } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";

/** `12.4 MB`, in decimal units as disks are sold. */
export function megabytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export const backup: Command = {
  usage: "backup FILE",
  takes: "FILE",
  about: `Copies the database to FILE, even while the server is running: jobs, logs, sessions, hashes of
tokens. The copy is verified before it gets its name, so FILE is never half a backup. It has mode
0600, because it holds what users wrote. The signing keys (the folder keys in the data folder) are
not in it: back them up separately. Without them a restored server opens new sessions, and loses
nothing else. Back up PostgreSQL with its own tools, such as pg_dump.`,
  flags: [
    { name: "force", value: "", description: "Replace FILE if it is there already" },
    ...settingsFlags(),
  ],
  async run({ words: [word = ""], flags: { force, ...flags }, json }, host) {
    const { config } = loadConfig(processInputs(flags));
    const { backUp } = await import("../storage/backup.ts");
    const made = backUp(config, resolve(word), { force: force !== undefined });
    const size = megabytes(made.bytes);
    const jobs = `jobs: ${made.jobs}, not ended: ${made.unfinishedJobs}`;
    host.out(
      json
        ? `${JSON.stringify(made)}\n`
        : `${made.file}: ${size}; ${jobs}; schema ${made.schema}. Checked: ok.\n`,
    );
    return 0;
  },
};
