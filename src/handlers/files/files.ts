/**
 * Job types that are TypeScript files in a folder (PROTOCOL section 8): loaded at the start, and again when they change
 * if that is wanted. Runs that are under way finish on the code they began with.
 */
import { watch, type FSWatcher } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { collectMistakes } from "../../lib/mistakes.ts";
import type { AnyHandler } from "../handler.ts";
import { createIsolated } from "../isolate/isolated.ts";
import { createContainment, type Containment } from "./containment.ts";
import { checkHandler, HandlerError } from "./definition.ts";
import { provideModule } from "./module.ts";

export interface HandlerFilesOptions {
  /** Absolute path of the folder. */
  readonly folder: string;
  /** Load them again when a file below the folder changes. */
  readonly watch: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The types there are now; throws when they cannot be served beside the others, and then those before stay. */
  readonly onLoaded: (handlers: readonly AnyHandler[]) => void;
}

export interface HandlerFiles {
  /** Loads them; rejects with Mistakes that say what is wrong in which file. */
  start(): Promise<void>;
  stop(): void;
}

/** Editors write a file in several steps; what follows within this time is the same change. */
const SETTLE_MS = 60;

/** Files that are handlers: TypeScript at the top of the folder, but for declarations and tests. */
async function handlerFiles(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    const reason =
      (cause as { code?: unknown }).code === "ENOENT"
        ? "is not there: make it, or leave HOLDLINE_HANDLERS_DIR out"
        : `cannot be read (${(cause as Error).message})`;
    throw new HandlerError(`the handlers folder ${folder} ${reason}`, { cause });
  }
  return names.filter((name) => /(?<!\.d|\.test)\.ts$/.test(name)).toSorted();
}

interface Position {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** One mistake begets others further down; beyond these it is enough to know that there are more. */
const MISTAKES_TOLD = 5;

/** What loading a file ran into, with the place. */
function placed(folder: string, name: string, error: unknown): string {
  const { message } = error as Error;
  const position = (error as { position?: Position | null }).position;
  const file = relative(folder, position?.file ?? name);
  const place = position?.line === undefined ? name : `${file}:${position.line}:${position.column ?? 1}`;
  return `${place}: ${message}`;
}

/** What loading a file ran into, as one sentence with the places. */
function loadProblem(folder: string, name: string, error: unknown): HandlerError {
  if (error instanceof HandlerError) return error;
  // Several mistakes come as one error that only counts them.
  const all: readonly unknown[] =
    error instanceof AggregateError && error.errors.length > 0 ? error.errors : [error];
  const told = all.slice(0, MISTAKES_TOLD).map((one) => placed(folder, name, one));
  const more = all.length > told.length ? [`and ${all.length - told.length} more`] : [];
  return new HandlerError([...told, ...more].join("; "), { cause: error });
}

/** The handlers of one file: its default export is one, or an array of them. */
async function loadFile(
  containment: Containment,
  { folder, clock }: Pick<HandlerFilesOptions, "folder" | "clock">,
  name: string,
): Promise<AnyHandler[]> {
  let exported: unknown;
  try {
    exported = (await containment.load(join(folder, name)))["default"];
  } catch (error) {
    throw loadProblem(folder, name, error);
  }
  const values: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  return values.map((value, index) => {
    const place = values.length === 1 ? name : `${name} (handler ${index + 1})`;
    const handler = checkHandler(value, place);
    const contained = containment.contain(handler);
    if (handler.isolate !== true) return contained;
    return createIsolated(contained, { place: { file: join(folder, name), folder, index }, clock });
  });
}

export function createHandlerFiles(options: HandlerFilesOptions): HandlerFiles {
  const { folder, clock, logger } = options;
  let present: Containment | null = null;
  let watcher: FSWatcher | null = null;
  let settling: Timer | null = null;
  let loading = Promise.resolve();
  let stopped = false;

  const load = async (): Promise<string[]> => {
    const next = createContainment((error) => logger.error({ error }, "a handler failed outside of its run"));
    try {
      const handlers: AnyHandler[] = [];
      const names = await handlerFiles(folder);
      const loadings = names.map((name) => async () => {
        handlers.push(...(await loadFile(next, options, name)));
      });
      await collectMistakes(loadings);
      options.onLoaded(handlers);
      present?.retire();
      present = next;
      if (stopped) next.retire();
      return handlers.map(({ type }) => type);
    } catch (error) {
      next.retire();
      throw error;
    }
  };

  const reload = async (): Promise<void> => {
    const startedMs = clock.elapsedMs();
    try {
      const types = await load();
      const tookMs = Math.round(clock.elapsedMs() - startedMs);
      logger.info({ types, tookMs }, "handlers were loaded again");
    } catch (error) {
      const { message } = error as Error;
      logger.error({ problem: message }, "handlers were not loaded again; those from before stay");
    }
  };

  return {
    async start() {
      provideModule(folder);
      const types = await load();
      logger.info({ types, folder }, "handlers were loaded");
      if (!options.watch) return;
      watcher = watch(folder, { recursive: true, persistent: false }, () => {
        settling?.cancel();
        settling = clock.after(SETTLE_MS, () => {
          loading = loading.then(reload);
        });
      });
      watcher.on("error", (error) => {
        logger.warn({ error, folder }, "handler files cannot be watched any more: changes need a restart");
        watcher?.close();
      });
    },
    stop() {
      stopped = true;
      watcher?.close();
      settling?.cancel();
      present?.retire();
    },
  };
}
