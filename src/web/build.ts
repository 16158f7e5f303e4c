/** Bundles the playground in memory, so that a server can serve it from `src` and a binary can carry it along. */
import { join } from "node:path";

export interface WebFile {
  readonly bytes: Uint8Array;
  /** Media type, with its charset. */
  readonly type: string;
}

/**
 * Every file of the page by its path (`/index.html` and assets whose names bear a hash of their content, so that those
 * may be cached for ever). Nothing in it is inline: a content security policy needs no `unsafe-inline`. Throws what
 * the bundler complains of.
 */
export async function buildWeb(): Promise<Map<string, WebFile>> {
  const result = await Bun.build({
    entrypoints: [join(import.meta.dir, "index.html")],
    target: "browser",
    minify: true,
    naming: { entry: "[name].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
  });
  const files = new Map<string, WebFile>();
  for (const output of result.outputs) {
    files.set(output.path.replace(/^\.?\/*/, "/"), {
      bytes: new Uint8Array(await output.arrayBuffer()),
      type: output.type,
    });
  }
  return files;
}
