/** Where the pages come from: out of the compiled binary, or bundled from source when the first one is asked for. */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { FileContent } from "./http/assets.ts";

/** Folder of the built pages inside the binary (src/build.ts puts it there). */
const EMBEDDED = join(import.meta.dir, "web");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

export async function loadPages(): Promise<ReadonlyMap<string, FileContent>> {
  if (!Bun.isStandaloneExecutable) {
    const { buildWeb } = await import("./web/build.ts");
    return buildWeb();
  }
  return new Map(
    readdirSync(EMBEDDED).map((name) => {
      const type = TYPES[extname(name)] ?? "application/octet-stream";
      return [`/${name}`, { bytes: new Uint8Array(readFileSync(join(EMBEDDED, name))), type }];
    }),
  );
}
