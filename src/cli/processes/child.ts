/**
 * One of several processes of a server: `holdline serve --processes` starts it, tells it all over a line that no other
 * program has, and is the only one that it listens to. It ends with its parent, however that dies.
 */
import { loadConfig, processInputs } from "../../config.ts";
import { createSystemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/logger.ts";
import { isPostgres } from "../../postgres/connection.ts";
import { UsageError, type Command, type ExitCode, type Host, type ParentLine } from "../command.ts";
import { live, tellFailure } from "../life.ts";
import { settingsFlags } from "../settings-flags.ts";
import { CHILD_COMMAND, type ChildStart, type FromChild, type ToChild } from "./messages.ts";

interface Line {
  tell(message: FromChild): void;
  /** What it has to be; null when the parent was gone before it said so. */
  readonly started: Promise<ChildStart | null>;
  /** Resolves when it has to end in order: alone, or with all the others. */
  readonly stopped: Promise<"leave" | "stop">;
  /** Resolves when no run is left in any of them. */
  readonly allDrained: Promise<void>;
}

function listen(parent: ParentLine, host: Host): Line {
  const started = Promise.withResolvers<ChildStart | null>();
  const stopped = Promise.withResolvers<"leave" | "stop">();
  const drained = Promise.withResolvers<void>();
  parent.onMessage((heard) => {
    const message = heard as ToChild;
    if ("start" in message) started.resolve(message.start);
    else if ("close" in message) drained.resolve();
    else stopped.resolve("stop" in message ? "stop" : "leave");
  });
  // A terminal or a supervisor sends its signal to all of them. Whether it was meant for this one alone the parent knows.
  host.onSignal(() => parent.send({ signaled: true } satisfies FromChild));
  void parent.gone.then(() => started.resolve(null));
  return {
    tell: (message) => parent.send(message),
    started: started.promise,
    stopped: stopped.promise,
    allDrained: drained.promise,
  };
}

async function serveAs(
  { node, port, pretty }: ChildStart,
  flags: Readonly<Record<string, string>>,
  line: Line,
  host: Host,
): Promise<ExitCode> {
  const { config } = loadConfig(processInputs(flags));
  const logger = createLogger({ level: config.log, pretty, fields: { node } });
  host.onEnd({
    report: (error) => tellFailure({ logger, host }, "crashed", error),
    flush: () => logger.flush(),
  });
  const [{ createApp }, { createSystemWorld }] = await Promise.all([
    import("../../app.ts"),
    import("../../world.ts"),
  ]);
  const clock = createSystemClock();
  const world = createSystemWorld(clock, { node });
  const app = createApp({ config: { ...config, port }, logger, world });
  // What an operator asks one of them for is asked of all: the parent says when.
  void app.drainAsked.then(() => line.tell({ drainAsked: true }));
  // A database elsewhere may have nodes on other machines, which clients can move to.
  const isAllThereIs = !isPostgres(config.databaseUrl);
  return live({
    app: {
      start: () => app.start(),
      get url() {
        return app.url;
      },
      async stop() {
        const together = isAllThereIs && (await line.stopped) === "stop";
        const tell = (): void => line.tell({ drained: true });
        await app.stop(together ? { drained: tell, allDrained: line.allDrained } : null);
      },
      failed: app.failed,
      drainAsked: app.drainAsked,
    },
    logger,
    host,
    drainMs: config.drainMs,
    clock,
    stopped: line.stopped,
    onListening: (url) => line.tell({ ready: { url } }),
  });
}

export const serveChild: Command = {
  usage: `${CHILD_COMMAND} NODE`,
  about: "Started by holdline serve --processes, and by nobody else.",
  takes: "NODE",
  flags: settingsFlags(),
  async run({ flags }, host) {
    const parent = host.parentLine();
    if (parent === null)
      throw new UsageError(`${CHILD_COMMAND} is started by holdline serve --processes, and by nobody else.`);
    const line = listen(parent, host);
    line.tell({ here: true });
    // Its parent may be told to end before it was told what to be.
    const start = await Promise.race([line.started, line.stopped.then(() => "stopped" as const)]);
    if (start === "stopped") return 0;
    if (start === null) return 1;
    // Without its parent nobody guards the folder: it ends at once, which is no different from a crash.
    const orphaned = parent.gone.then((): ExitCode => 1);
    return Promise.race([serveAs(start, flags, line, host), orphaned]);
  },
};
