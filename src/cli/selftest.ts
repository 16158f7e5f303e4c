/** `holdline selftest`: kills a server on this machine's own disk again and again, and tells whether anything was lost. */
import { loadConfig, processInputs } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { makeWorkplace } from "./child/workplace.ts";
import { liveLine } from "./child/live-line.ts";
import type { Command } from "./command.ts";
import { wholeNumber } from "./arguments.ts";
import { isPostgres } from "../postgres/connection.ts";
import { makeTestDatabase, type TestDatabase } from "./selftest/database.ts";
import { progressLine, reportText, summaryOf } from "./selftest/report.ts";
import { runSelftest } from "./selftest/run.ts";
import type { Progress, Report } from "./selftest/scene.ts";
import { settingsFlags } from "./settings-flags.ts";

const SECONDS = { preset: 30, most: 86_400 };
const CLIENTS = { preset: 24, most: 1000 };

interface Numbers {
  readonly seconds: number;
  readonly clients: number;
  readonly kills: boolean;
}

function announcement(where: string, { seconds, clients, kills }: Numbers): string {
  return `Loading a server on ${where} with ${clients} clients${kills ? " and killing it" : ""}, for ${seconds} s.\n`;
}

export const selftest: Command = {
  usage: "selftest",
  about: `Tries on this machine and its disk what the server promises: that nothing accepted is lost. A server
of its own (in a temporary folder inside the data folder, on a port of its own) is loaded by many
clients, killed with SIGKILL at random moments and started again; a running server is not touched.
At the end every accepted job has to have ended once, and every event that arrived has to be the one
in the log. Exit code 0 when nothing was lost, doubled or contradicted, 1 when something was.
It tries SQLite on this disk, also where the configuration names PostgreSQL. With the flag
--database-url postgres://… it tries that server, in a database that it creates and drops.`,
  flags: [
    { name: "seconds", value: "NUMBER", description: `How long to load and kill [${SECONDS.preset}]` },
    {
      name: "clients",
      value: "NUMBER",
      description: `How many clients, each with its own session [${CLIENTS.preset}]`,
    },
    { name: "no-kills", value: "", description: "Only load it, to see what its memory does" },
    ...settingsFlags(),
  ],
  async run({ flags: { seconds, clients, "no-kills": calm, ...flags }, json }, host) {
    const numbers = {
      seconds: wholeNumber("seconds", seconds, SECONDS),
      clients: wholeNumber("clients", clients, CLIENTS),
      kills: calm === undefined,
    };
    const { config } = loadConfig(processInputs(flags));
    const asked = flags["database-url"] ?? "";
    const place = makeWorkplace(config.dataDir, "selftest");
    let database: TestDatabase | null = null;
    const line = liveLine(host);
    const stop = new AbortController();
    void host.untilSignal().then((signal) => stop.abort(new Error(signal)));
    let report: Report | null = null;
    try {
      if (isPostgres(asked)) database = await makeTestDatabase(asked);
      if (!json)
        host.out(announcement(database === null ? place.folder : `database ${database.name}`, numbers));
      report = await runSelftest({
        ...numbers,
        folder: place.folder,
        databaseUrl: database?.url ?? null,
        durability: config.durability,
        maxLostLeases: config.maxLostLeases,
        clock: createSystemClock(),
        random: Math.random,
        signal: stop.signal,
        onProgress: (progress: Progress) => line.show(progressLine(progress, numbers.seconds)),
      });
    } finally {
      line.clear();
      // What went wrong is to be looked at.
      if (report === null || report.flaws.length === 0) {
        place.remove();
        await database?.remove();
      }
    }
    const where = database === null ? place.folder : `${place.folder}, the database ${database.name}`;
    const kept = report.flaws.length === 0 ? null : where;
    host.out(json ? `${JSON.stringify({ ...summaryOf(report), kept })}\n` : reportText(report, kept));
    return report.flaws.length === 0 ? 0 : 1;
  },
};
