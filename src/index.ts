/**
 * The package `holdline`, imported by programs that embed the server and by handler files. Handler files get
 * `defineHandler`, `JobError` and `z` from the running server, so nothing has to be installed for them.
 */
import { createApp, type App } from "./app.ts";
import { loadConfig, processInputs, type SettingKey } from "./config.ts";
import { flagOf } from "./config/names.ts";
import { createContainment } from "./handlers/files/containment.ts";
import { checkHandler, HandlerError } from "./handlers/files/definition.ts";
import type { AnyHandler } from "./handlers/handler.ts";
import { createLogger } from "./lib/logger.ts";

export { z } from "zod";
export { ConfigError } from "./config.ts";
export { HandlerError } from "./handlers/files/definition.ts";
export {
  defineHandler,
  JobError,
  type AnyHandler,
  type Handler,
  type InputContext,
  type JobErrorOptions,
  type PreviousJob,
  type RunLog,
  type RunningJob,
} from "./handlers/handler.ts";

export interface HoldlineOptions {
  /** Job types in addition to the built-in ones. */
  readonly handlers?: readonly AnyHandler[];
  /**
   * Settings under their names in holdline.toml (`port`, `dataDir`). They override the environment and the file. Values
   * may be given as text, as on the command line.
   */
  readonly settings?: Readonly<Partial<Record<SettingKey, string | number>>>;
}

/** A server in this process. Signals are up to the program that embeds it: call `stop` on SIGTERM. */
export type Holdline = Omit<App, "drainAsked">;

/**
 * Creates a server with the built-in job types and the given handlers. It is configured like `holdline serve`: by the
 * settings given here, then the environment, then holdline.toml. It listens once `start` has resolved. Throws a
 * ConfigError that lists everything wrong with the configuration, or a HandlerError that says what is wrong with a handler.
 *
 * Handlers are contained: an error that nobody awaits is logged and does not end the process.
 */
export function createHoldline({ handlers = [], settings = {} }: HoldlineOptions = {}): Holdline {
  const flags = Object.entries(settings).map(([key, value]) => [flagOf(key), String(value)] as const);
  const { config, warnings } = loadConfig(processInputs(Object.fromEntries(flags)));
  if (config.processes > 1)
    throw new Error(
      `processes is ${config.processes}: only holdline serve starts several, an embedded server is one`,
    );
  const logger = createLogger({ level: config.log, pretty: process.stdout.isTTY });
  for (const warning of warnings) logger.warn({ setting: warning }, "check this setting");
  const containment = createContainment((error) =>
    logger.error({ error }, "a handler failed outside of its run"),
  );
  const contained = handlers.map((handler, index) => {
    const checked = checkHandler(handler, `handler ${index + 1}`);
    if (checked.isolate !== true) return containment.contain(checked);
    const reason = "isolate needs a file that a thread can load: put it into the handlers folder";
    throw new HandlerError(`the handler of ${checked.type}: ${reason}`);
  });
  const app = createApp({ config, logger, handlers: contained });
  return {
    start: () => app.start(),
    stop: async () => {
      await app.stop();
      containment.retire();
    },
    get url() {
      return app.url;
    },
    failed: app.failed,
  };
}
