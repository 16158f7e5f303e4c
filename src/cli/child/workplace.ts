/** A temporary folder inside the data folder, for commands that try out the operator's own disk. */
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";

export interface Workplace {
  readonly folder: string;
  /** Takes it away again, and the data folder too if that was made for it. */
  remove(): void;
}

/** Throws what the file system says when nothing can be made there. */
export function makeWorkplace(dataDir: string, name: string): Workplace {
  const made = mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(dataDir, `${name}-`));
  return {
    folder,
    remove() {
      rmSync(folder, { recursive: true, force: true });
      if (made === undefined) return;
      try {
        rmdirSync(dataDir);
      } catch {
        // Somebody has begun to use it.
      }
    },
  };
}
