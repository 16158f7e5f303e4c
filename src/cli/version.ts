/** `holdline version`: which program this is, for bug reports and for scripts. */
import packageJson from "../../package.json" with { type: "json" };
import type { Command } from "./command.ts";

export const VERSION = packageJson.version;

export const version: Command = {
  usage: "version",
  about: "Prints the version of this program and of the runtime inside it.",
  flags: [],
  run({ json }, host) {
    const facts = { version: VERSION, bun: Bun.version, platform: `${process.platform}-${process.arch}` };
    host.out(
      json
        ? `${JSON.stringify(facts)}\n`
        : `holdline ${facts.version} (bun ${facts.bun}, ${facts.platform})\n`,
    );
    return Promise.resolve(0);
  },
};
