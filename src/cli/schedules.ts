/** `holdline schedules`: when the server submits jobs by itself, and which it did last. */
import { type Action, runAction } from "./actions.ts";
import type { Command } from "./command.ts";
import { withReads } from "./operate.ts";
import { settingsFlags } from "./settings-flags.ts";
import { table } from "./table.ts";

const list: Action = {
  takes: null,
  flags: [],
  async run({ config, json }, host) {
    const items = await withReads(config, (reads) => reads.schedules());
    if (json) {
      host.out(`${JSON.stringify({ items })}\n`);
      return;
    }
    if (items.length === 0) {
      host.out("There are no schedules: tables [schedules.NAME] of holdline.toml make them.\n");
      return;
    }
    const rows = items.map(({ name, cron, timeZone, type, next, last }) => {
      return [name, cron, timeZone, type, next ?? "never", last?.tick ?? "never", last?.job ?? ""];
    });
    host.out(table([["NAME", "CRON", "ZONE", "TYPE", "NEXT", "LAST", "JOB"], ...rows]));
  },
};

const ACTIONS = { list };

export const schedules: Command = {
  usage: "schedules list",
  about: `list    shows the schedules of the configuration: the next tick of each, and its latest job
What they have done comes from the database.`,
  words: Object.keys(ACTIONS),
  flags: settingsFlags(),
  run: runAction("schedules", ACTIONS, []),
};
