/**
 * A file that only takes up room. When the disk is full it goes, and what ends jobs and deletes old ones can be written
 * until the operator has made room.
 */
import { rmSync, statSync } from "node:fs";
import { open, rm } from "node:fs/promises";

export interface Ballast {
  /** Bytes it takes up now; 0 while it is not there. */
  size(): number;
  /** Writes the file. Rejects when there is no room, and leaves nothing then. */
  make(): Promise<void>;
  /** Its room is free when this returns. */
  free(): void;
}

const STEP_BYTES = 1024 * 1024;
/** Bytes that the runtime gives at a time. */
const RANDOM_BYTES = 65_536;

/** Bytes that no file system can make smaller. */
function noise(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(STEP_BYTES);
  for (let at = 0; at < STEP_BYTES; at += RANDOM_BYTES)
    crypto.getRandomValues(bytes.subarray(at, at + RANDOM_BYTES));
  return bytes;
}

export function createBallast(path: string, bytes: number): Ballast {
  return {
    size: () => statSync(path, { throwIfNoEntry: false })?.size ?? 0,

    async make() {
      const file = await open(path, "w", 0o600);
      try {
        const step = noise();
        for (let left = bytes; left > 0; left -= STEP_BYTES)
          await file.writeFile(step.subarray(0, Math.min(left, STEP_BYTES)));
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      } finally {
        await file.close();
      }
    },

    free: () => rmSync(path, { force: true }),
  };
}
