/** `holdline serve`: one server from its start to its orderly end. */
import { loadConfig, processInputs } from "../config.ts";
import { openDoor } from "../door.ts";
import { createSystemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/logger.ts";
import type { Command } from "./command.ts";
import { live, tellFailure } from "./life.ts";
import { settingsFlags } from "./settings-flags.ts";

export const serve: Command = {
  usage: "serve",
  about: `Starts the server. One line on stdout says where it listens, as soon as it is ready.
SIGTERM and SIGINT let it finish what it can and end; a second one ends it at once.
Logs are JSON lines, readable text on a terminal (--json: JSON there too).`,
  flags: settingsFlags(),
  async run({ flags, json }, host) {
    const { config, warnings } = loadConfig(processInputs(flags));
    const logger = createLogger({ level: config.log, pretty: host.isTerminal && !json });
    host.onEnd({
      report: (error) => tellFailure({ logger, host }, "crashed", error),
      flush: () => logger.flush(),
    });
    for (const warning of warnings) logger.warn({ setting: warning }, "check this setting");
    const clock = createSystemClock();
    if (config.processes > 1) {
      const { serveProcesses } = await import("./processes/parent.ts");
      return serveProcesses({ config, flags, pretty: host.isTerminal && !json, logger, host, clock });
    }
    // Others serve meanwhile where there are several nodes: whoever stands in front of them is told at once to ask those.
    const door = config.redisUrl === null ? openDoor(config, clock) : null;
    try {
      const [{ createApp }, { createSystemWorld }] = await Promise.all([
        import("../app.ts"),
        import("../world.ts"),
      ]);
      const world = createSystemWorld(clock);
      const app = createApp({ config, logger, world: { ...world, serve: door?.serve ?? world.serve } });
      return await live({ app, logger, host, drainMs: config.drainMs, clock });
    } finally {
      door?.close();
    }
  },
};
