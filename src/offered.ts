/** The job types of this server, from everywhere they come from; and a rehearsal of that part of a start, for `config check`. */
import type { Config } from "./config.ts";
import { createBuiltin, type Builtin } from "./handlers/builtin.ts";
import { createConfiguredHandlers } from "./handlers/configured.ts";
import { createHandlerFiles, type HandlerFiles } from "./handlers/files/files.ts";
import type { AnyHandler } from "./handlers/handler.ts";
import { createRegistry, type Registry } from "./handlers/registry.ts";
import { createWorkerTypes } from "./handlers/remote/registered.ts";
import { handlerOfSchedule } from "./handlers/schedule-check.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/logger.ts";
import { collectMistakes } from "./lib/mistakes.ts";
import { checkTypes, createTargets, type Targets } from "./webhooks/target.ts";

export interface TypeSources {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Job types of whoever embeds the server. */
  readonly handlers: readonly AnyHandler[];
}

export interface JobTypes {
  readonly builtin: Builtin;
  readonly registry: Registry;
  /** Where webhooks may go. */
  readonly targets: Targets;
}

/** The types there are without files: built in, configured, served by workers, given. Throws Mistakes. */
export function openJobTypes({ config, clock, handlers }: TypeSources): JobTypes {
  const targets = createTargets({ hosts: config.webhookHosts, networks: config.webhookNetworks });
  const builtin = createBuiltin({ ...config, clock, kill: killProcess });
  const configured = createConfiguredHandlers(config.types, config);
  const workerTypes = createWorkerTypes(config.types);
  const registry = createRegistry([...builtin.handlers, ...configured, ...workerTypes, ...handlers]);
  checkTypes(registry.list(), targets);
  return { builtin, registry, targets };
}

/** Handlers in TypeScript files; null where no folder of them is configured. `onLoaded`: other types are served now. */
export function openHandlerFiles(
  { config, clock, logger }: Omit<TypeSources, "handlers">,
  { registry, targets }: JobTypes,
  onLoaded: () => void,
): HandlerFiles | null {
  if (config.handlersDir === null) return null;
  return createHandlerFiles({
    folder: config.handlersDir,
    watch: config.handlersWatch === "on",
    clock,
    logger,
    onLoaded(handlers) {
      checkTypes(handlers, targets);
      registry.replaceFiles(handlers);
      onLoaded();
    },
  });
}

/**
 * Loads the handler files and looks at every schedule, as a start does, and opens nothing else. Rejects with Mistakes
 * that name everything a start would end on.
 */
export async function rehearseTypes(sources: TypeSources): Promise<void> {
  const { schedules } = sources.config;
  const config: Config = { ...sources.config, handlersWatch: "off" };
  const types = openJobTypes(sources);
  let complete = config.handlersDir === null;
  const files = openHandlerFiles({ ...sources, config }, types, () => (complete = true));
  const nobody = (): Promise<null> => Promise.resolve(null);
  const looks = schedules.map((schedule) => async () => {
    // Its type may be in a file that is wrong, and was said to be.
    if (complete || types.registry.find(schedule.type) !== null)
      await handlerOfSchedule(schedule, types.registry, nobody);
  });
  try {
    await collectMistakes([async () => files?.start(), ...looks]);
  } finally {
    files?.stop();
    await types.builtin.stop();
  }
}

/** As hard as a crash: what `tokens` in chaos mode is for. */
function killProcess(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("killed");
}
