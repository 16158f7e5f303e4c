/**
 * What `import … from "holdline"` means in a handler file. The file lies anywhere on the disk, with nothing installed
 * beside it, and the same holds for the compiled binary: the module is handed to it from inside this process.
 */
import type { Loader } from "bun";
import { extname, sep } from "node:path";
import { z } from "zod";
import { defineHandler, JobError } from "../handler.ts";

/** The module as handler files see it. One instance: a `JobError` they throw is the one that runs are judged by. */
export const HANDLER_MODULE = { defineHandler, JobError, z };

const LOADERS: Readonly<Record<string, Loader>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".tsx": "tsx",
  ".js": "js",
  ".mjs": "js",
  ".jsx": "jsx",
};

/** What files held when they were read, by their absolute paths. */
export type Sources = ReadonlyMap<string, string>;

let provided = false;
const served = new Set<string>();
/** By folder: where what is read of its files is noted. */
const notes = new Map<string, Map<string, string>>();

/** From now on what is read of a folder's files is noted in the map that this returns, and in none before. */
export function noteSources(folder: string): Sources {
  const sources = new Map<string, string>();
  notes.set(folder, sources);
  return sources;
}

function quoted(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}

/**
 * Makes the files of a folder loadable: gives them the module, and reads them itself, so that `bun --watch` does not
 * know them and leaves their reloading to us. Registers for the whole process; calling it again changes nothing.
 * `given` are files as they were at an earlier time: these are taken from there.
 */
export function provideModule(folder: string, given?: Sources): void {
  if (!provided) {
    provided = true;
    Bun.plugin({
      name: "holdline",
      setup(build) {
        build.module("holdline", () => ({ exports: HANDLER_MODULE, loader: "object" }));
      },
    });
  }
  if (served.has(folder)) return;
  served.add(folder);
  Bun.plugin({
    name: "holdline handler files",
    setup(build) {
      const own = new RegExp(`^${quoted(folder + sep)}(?!(?:.*/)?node_modules/).+\\.(?:m?[jt]s|[jt]sx)$`);
      build.onLoad({ filter: own }, async ({ path }) => {
        const contents = given?.get(path) ?? (await Bun.file(path).text());
        notes.get(folder)?.set(path, contents);
        return { contents, loader: LOADERS[extname(path)] ?? "ts" };
      });
    },
  });
}
