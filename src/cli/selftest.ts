/** `holdline selftest`: kills a server on this machine's own disk again and again, and tells whether anything was lost. */
import { loadConfig, processInputs } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { makeWorkplace } from "./child/workplace.ts";
import { liveLine } from "./child/live-line.ts";
import type { Command } from "./command.ts";
import { wholeNumber } from "./arguments.ts";
import { progressLine, reportText, summaryOf } from "./selftest/report.ts";
import { runSelftest } from "./selftest/run.ts";
import type { Progress, Report } from "./selftest/scene.ts";
import { settingsFlags } from "./settings-flags.ts";

const SECONDS = { preset: 30, most: 86_400 };
const CLIENTS = { preset: 24, most: 1000 };

export const selftest: Command = {
  usage: "selftest",
  about: `Tries on this machine and its disk what the server promises: that nothing accepted is lost. A server
of its own (in a temporary folder inside the data folder, on a port of its own) is loaded by many
clients, killed with SIGKILL at random moments and started again; a running server is not touched.
At the end every accepted job has to have ended once, and every event that arrived has to be the one
in the log. Exit code 0 when nothing was lost, doubled or contradicted, 1 when something was.
It tries SQLite on this disk, also where the configuration names PostgreSQL.`,
  flags: [
    { name: "seconds", value: "NUMBER", description: `How long to load and kill [${SECONDS.preset}]` },
    {
      name: "clients",
      value: "NUMBER",
      description: `How many clients, each with its own session [${CLIENTS.preset}]`,
    },
    ...settingsFlags(),
  ],
  async run({ flags: { seconds, clients, ...flags }, json }, host) {
    const numbers = {
      seconds: wholeNumber("seconds", seconds, SECONDS),
      clients: wholeNumber("clients", clients, CLIENTS),
    };
    const { config } = loadConfig(processInputs(flags));
    const place = makeWorkplace(config.dataDir, "selftest");
    const line = liveLine(host);
    const stop = new AbortController();
    void host.untilSignal().then((signal) => stop.abort(new Error(signal)));
    if (!json) {
      host.out(
        `Loading a server in ${place.folder} with ${numbers.clients} clients and killing it, for ${numbers.seconds} s.\n`,
      );
    }
    let report: Report | null = null;
    try {
      report = await runSelftest({
        ...numbers,
        folder: place.folder,
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
      if (report === null || report.flaws.length === 0) place.remove();
    }
    const kept = report.flaws.length === 0 ? null : place.folder;
    host.out(json ? `${JSON.stringify({ ...summaryOf(report), kept })}\n` : reportText(report, kept));
    return report.flaws.length === 0 ? 0 : 1;
  },
};
