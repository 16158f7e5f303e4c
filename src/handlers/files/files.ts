/**
 * Job types that are TypeScript files in a folder (PROTOCOL section 8): loaded at the start, and again when they change
 * if that is wanted. Runs that are under way finish on the code they began with.
 */
import { existsSync, watch, type FSWatcher } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { loadMistakes } from "../../lib/load-mistakes.ts";
import { collectMistakes, Mistakes } from "../../lib/mistakes.ts";
import type { AnyHandler } from "../handler.ts";
import { createIsolated } from "../isolate/isolated.ts";
import { createContainment, type Containment } from "./containment.ts";
import { checkHandler, HandlerError } from "./definition.ts";
import { noteSources, provideModule, type Sources } from "./module.ts";

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
  /**
   * Loads them; rejects with Mistakes that say what is wrong in which file. Where they are watched it waits until
   * somebody has mended that, and resolves then.
   */
  start(): Promise<void>;
  stop(): void;
}

/** Editors write a file in several steps; what follows within this time is the same change. */
const SETTLE_MS = 60;

/** How long a file may take to load: one that awaits something for ever would keep all others waiting. */
const LOAD_MS = 10_000;

/** The folder where it really is, as the runtime sees it: a name that leads there by a link would not be known as its own. */
async function realFolder(folder: string): Promise<string> {
  // One that is not there is told when it is read.
  return realpath(folder).catch(() => folder);
}

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

/** Loads one file, and rejects when that takes too long. */
async function loadInTime(
  containment: Containment,
  { folder, clock }: Pick<HandlerFilesOptions, "folder" | "clock">,
  name: string,
): Promise<Readonly<Record<string, unknown>>> {
  const late = Promise.withResolvers<never>();
  const problem = `${name}: is not loaded after ${LOAD_MS / 1000} s: what it awaits outside of run() does not end`;
  const timer = clock.after(LOAD_MS, () => late.reject(new HandlerError(problem)));
  try {
    return await Promise.race([containment.load(join(folder, name)), late.promise]);
  } finally {
    timer.cancel();
  }
}

/** The handlers of one file: its default export is one, or an array of them. */
async function loadFile(
  containment: Containment,
  options: Pick<HandlerFilesOptions, "folder" | "clock"> & { readonly sources: Sources },
  name: string,
): Promise<AnyHandler[]> {
  const { folder, clock, sources } = options;
  let exported: unknown;
  try {
    exported = (await loadInTime(containment, options, name))["default"];
  } catch (error) {
    if (error instanceof HandlerError) throw error;
    throw new HandlerError(loadMistakes(error, folder, name), { cause: error });
  }
  const values: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  return values.map((value, index) => {
    const place = values.length === 1 ? name : `${name} (handler ${index + 1})`;
    const handler = checkHandler(value, place);
    const contained = containment.contain(handler);
    if (handler.isolate !== true) return contained;
    return createIsolated(contained, { place: { file: join(folder, name), folder, index, sources }, clock });
  });
}

export function createHandlerFiles(options: HandlerFilesOptions): HandlerFiles {
  const { clock, logger } = options;
  let { folder } = options;
  let present: Containment | null = null;
  let watcher: FSWatcher | null = null;
  let settling: Timer | null = null;
  let loading = Promise.resolve();
  /** Resolves when they were loaded after a change. */
  const mended = Promise.withResolvers<void>();
  let stopped = false;

  const load = async (): Promise<string[]> => {
    const next = createContainment((error) => logger.error({ error }, "a handler failed outside of its run"));
    try {
      const handlers: AnyHandler[] = [];
      const fileOf = new Map<string, string>();
      const sources = noteSources(folder);
      const names = await handlerFiles(folder);
      const loadings = names.map((name) => async () => {
        for (const handler of await loadFile(next, { folder, clock, sources }, name)) {
          const other = fileOf.get(handler.type);
          if (other !== undefined)
            throw new HandlerError(`${name} and ${other} both serve the type ${handler.type}`);
          fileOf.set(handler.type, name);
          handlers.push(handler);
        }
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
      mended.resolve();
    } catch (error) {
      const { message: problem } = error as Error;
      logger.error({ problem }, "handlers were not loaded again; those from before stay");
    }
  };

  const startWatching = (): void => {
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
  };

  return {
    async start() {
      folder = await realFolder(options.folder);
      provideModule(folder);
      // Before they are read: what changes from then on is read again.
      if (options.watch && existsSync(folder)) startWatching();
      const first = load();
      loading = first.then(
        () => undefined,
        () => undefined,
      );
      try {
        logger.info({ types: await first, folder }, "handlers were loaded");
      } catch (error) {
        if (watcher === null || !(error instanceof Mistakes)) throw error;
        logger.error({ problems: error.problems }, "the start waits until these handler files are mended");
        await mended.promise;
      }
    },
    stop() {
      stopped = true;
      watcher?.close();
      settling?.cancel();
      present?.retire();
    },
  };
}
