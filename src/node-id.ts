/** The name of this node: made once, kept in the data folder, so that a restart finds its own sessions again. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Ids } from "./lib/ids.ts";

export function loadNodeId(dataDir: string, ids: Ids): string {
  const path = join(dataDir, "node-id");
  try {
    const known = readFileSync(path, "utf8").trim();
    if (known !== "") return known;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const made = `node_${ids.hex(6)}`;
  writeFileSync(path, `${made}\n`, { mode: 0o600, flush: true });
  return made;
}
