/**
 * The package `holdline`: what a program that embeds the server, or a handler file, imports. Handler files get
 * `defineHandler`, `JobError` and `z` from the running server and need nothing installed.
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
  /** Job types beside the built-in ones. */
  readonly handlers?: readonly AnyHandler[];
  /**
   * Settings by their names in holdline.toml's spelling (`port`, `dataDir`), stronger than environment and file. Values
   * are written as on the command line: numbers and lists as text work as well.
   */
  readonly settings?: Readonly<Partial<Record<SettingKey, string | number>>>;
}

/** A server in this process. Signals are left to the program that embeds it: call `stop` on SIGTERM. */
export type Holdline = Omit<App, "drainAsked">;

/**
 * A server with the given handlers beside the built-in ones, configured as `holdline serve` is: the settings given
 * here, then the environment, then holdline.toml. It listens after `start`. Throws a ConfigError that lists everything
 * that is wrong with the configuration, or a HandlerError that says what is wrong with a handler.
 *
 * Handlers run contained: an error that nobody awaits is logged and does not end the process.
 */
export function createHoldline({ handlers = [], settings = {} }: HoldlineOptions = {}): Holdline {
  const flags = Object.entries(settings).map(([key, value]) => [flagOf(key), String(value)] as const);
  const { config, warnings } = loadConfig(processInputs(Object.fromEntries(flags)));
  if (config.processes > 1)
    throw new Error(
      `processes is ${config.processes}: only holdline serve starts several, an embedded server is one`,
    );
  const logger = createLogger({ level: config.log, pretty: process.stdout.isTTY });
  for (const warning of warnings) logger.warn({ setting: warning }, "a setting to look at");
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
