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
    format: "iife",
    minify: true,
    naming: { entry: "[name].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
  });
  const files = new Map<string, WebFile>();
  for (const output of result.outputs) {
    const path = output.path.replace(/^\.?\/*/, "/");
    const bytes = path.endsWith(".html")
      ? new TextEncoder().encode(withoutOrigin(await output.text()))
      : new Uint8Array(await output.arrayBuffer());
    files.set(path, { bytes, type: output.type });
  }
  return files;
}

/**
 * Module scripts and `crossorigin` assets are fetched with an Origin header even from their own server, and a server
 * that does not list its own address would refuse them: then the page could not even say so.
 */
function withoutOrigin(page: string): string {
  return page.replaceAll(' type="module"', " defer").replaceAll(" crossorigin", "");
}
