/** How the signing keys of an earlier version get into the database. */
import { existsSync, renameSync } from "node:fs";
import type { Logger } from "../../lib/logger.ts";
import { createKeyFolder, keyFolderOf } from "./folder.ts";
import type { PostgresKeyStore } from "../postgres/keys.ts";

/** What the folder is called when its keys are in the database. */
export const takenOverFolderOf = (dataDir: string): string => `${keyFolderOf(dataDir)}-in-the-database`;

/**
 * Versions before this one kept the keys of an installation on PostgreSQL in files. They go into the database once, so
 * that no token is worth less after an upgrade; a key that is removed later does not come back from here.
 */
export async function takeOverFolder(
  dataDir: string,
  store: PostgresKeyStore,
  logger: Logger | null,
): Promise<void> {
  const folder = keyFolderOf(dataDir);
  if (!existsSync(folder)) return;
  const keys = await createKeyFolder(dataDir).list();
  if (keys.length > 0) await store.takeOver(keys);
  // Afterwards: who is killed in between takes them over again, which changes nothing.
  const away = takenOverFolderOf(dataDir);
  try {
    renameSync(folder, existsSync(away) ? `${away}-${keys[0]?.kid ?? "empty"}` : away);
  } catch (error) {
    // Another process of this folder was at it as well.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return;
  }
  logger?.info({ keys: keys.length, folder: away }, "the signing keys are in the database now");
}
