/** `holdline bench`: what a server on this machine and its disk takes, for comparing one machine or setting with another. */
import { loadConfig, processInputs } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { wholeNumber } from "./arguments.ts";
import { type BenchReport, runBench } from "./bench/run.ts";
import { liveLine } from "./child/live-line.ts";
import { inMs, spreadText } from "./child/spread-text.ts";
import { makeWorkplace } from "./child/workplace.ts";
import type { Command } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";

const SECONDS = { preset: 10, most: 3600 };

const count = (value: number): string => Math.round(value).toLocaleString("en-US");

function inWords(report: BenchReport): string {
  const { acceptedPerSecond, acceptMs, inFlight, firstTextMs, eventsPerSecond, streams } = report;
  const disk = report.durability === "power" ? "each on the disk before its 202" : "not waiting for the disk";
  const memory = report.residentBytes === null ? "–" : `${count(report.residentBytes / 1e6)} MB`;
  return `
  jobs accepted      ${count(acceptedPerSecond)} a second, ${disk}
  accepting one      ${spreadText(acceptMs)}   (${inFlight} at a time)
  to the first word  ${spreadText(firstTextMs)}   (from the request, one at a time; ${inMs(firstTextMs.p50)} is what a user waits at best)
  events delivered   ${count(eventsPerSecond)} a second, committed first, over ${streams} streams of one client
  memory after it    ${memory}

Load and server share this machine. Compare only with figures of the same command.
`;
}

export const bench: Command = {
  usage: "bench",
  about: `Measures a server of its own, in a temporary folder inside the data folder: jobs accepted, the time
to the first word, events delivered. Load and server share the machine, so the figures are for
comparing disks, machines and settings with each other, and promise nothing.`,
  flags: [
    { name: "seconds", value: "NUMBER", description: `How long, all together [${SECONDS.preset}]` },
    ...settingsFlags(),
  ],
  async run({ flags: { seconds: written, ...flags }, json }, host) {
    const seconds = wholeNumber("seconds", written, SECONDS);
    const { config } = loadConfig(processInputs(flags));
    const place = makeWorkplace(config.dataDir, "bench");
    const line = liveLine(host);
    const stop = new AbortController();
    void host.untilSignal().then((signal) => stop.abort(new Error(signal)));
    try {
      const report = await runBench({
        folder: place.folder,
        durability: config.durability,
        seconds,
        clock: createSystemClock(),
        random: Math.random,
        signal: stop.signal,
        onPhase: (phase) => line.show(`${phase} …`),
      });
      line.clear();
      host.out(json ? `${JSON.stringify(report)}\n` : inWords(report));
      return 0;
    } finally {
      line.clear();
      place.remove();
    }
  },
};
