/** `holdline doctor`: looks at the machine, the disk and the configuration, and says of each thing what to do about it. */
import { type Config, loadConfig, processInputs } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { makeWorkplace } from "./child/workplace.ts";
import type { Command } from "./command.ts";
import { checkDatabase, checkKeys, checkSqlite } from "./doctor/database.ts";
import { checkDataFolder, checkDisk, checkFsync } from "./doctor/disk.ts";
import { type Finding, fail, ok, warn, worstOf } from "./doctor/finding.ts";
import { checkDescriptors, checkPort, checkUpstreams } from "./doctor/machine.ts";
import { checkRedis } from "./doctor/redis.ts";
import { settingsFlags } from "./settings-flags.ts";
import { printable } from "./table.ts";

/** A disk that cannot be written to is a finding as well. */
function checkWriting(config: Config): Finding {
  try {
    const place = makeWorkplace(config.dataDir, "doctor");
    try {
      return checkFsync(place.folder, createSystemClock(), config.durability);
    } finally {
      place.remove();
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return fail(
      "fsync",
      `nothing can be written there: ${text}`,
      "Give this user the data folder: chown, chmod",
    );
  }
}

function checkConfiguration(config: Config, warnings: readonly string[]): Finding[] {
  const found = warnings.map((text) => warn("settings", text, "Change it, or leave it out"));
  if (config.openMode && !["127.0.0.1", "::1", "localhost"].includes(config.host)) {
    found.push(
      warn(
        "settings",
        `everybody who reaches ${config.host} may come in`,
        "Configure user tokens: HOLDLINE_AUTH_…",
      ),
    );
  }
  return found.length > 0 ? found : [ok("settings", "nothing to say about them")];
}

async function examine(config: Config, warnings: readonly string[]): Promise<Finding[]> {
  const clock = createSystemClock();
  return [
    ...checkConfiguration(config, warnings),
    checkDataFolder(config),
    checkDisk(config),
    checkWriting(config),
    checkSqlite(),
    ...(await checkDatabase(config, clock)),
    ...(await checkRedis(config, clock)),
    await checkKeys(config, clock),
    checkDescriptors(config),
    await checkPort(config),
    ...(await checkUpstreams(config)),
  ];
}

function inWords(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length)) + 2;
  const lines = findings.map(({ name, level, text, fix }) => {
    const more = fix === null ? "" : `${" ".repeat(6 + width)}${printable(fix)}\n`;
    return `${level.padEnd(6)}${name.padEnd(width)}${printable(text)}\n${more}`;
  });
  const verdict = {
    ok: "This machine is good enough. Whether its disk keeps what it confirms, holdline selftest shows.",
    warn: "It will work; see to the warnings.",
    fail: "It will not work like this: see to what failed.",
  }[worstOf(findings)];
  return `${lines.join("")}\n${verdict}\n`;
}

export const doctor: Command = {
  usage: "doctor",
  about: `Looks at disk, fsync, database, Redis, keys, clock, limits, port and at what is to be reached, and
says what to do about each finding. Nothing is changed, a running server is not disturbed, no
secret is shown. Exit code 1 when something failed; warnings do not count.`,
  flags: settingsFlags(),
  async run({ flags, json }, host) {
    const { config, warnings } = loadConfig(processInputs(flags));
    const findings = await examine(config, warnings);
    const worst = worstOf(findings);
    host.out(json ? `${JSON.stringify({ level: worst, findings })}\n` : inWords(findings));
    return worst === "fail" ? 1 : 0;
  },
};
