/** The driver of `KeyStore` beside a database in a file: one JWK file each, for their owner alone, and in no backup. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  createdAfter,
  removalOf,
  storedKeySchema,
  type FreshKey,
  type KeyStore,
  type StoredKey,
} from "./store.ts";

/** Where the keys of a data folder are. */
export const keyFolderOf = (dataDir: string): string => join(dataDir, "keys");

function readKey(path: string): StoredKey {
  chmodSync(path, 0o600);
  try {
    return storedKeySchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new Error(`${path} is not a signing key`, { cause });
  }
}

/** Written beside and renamed: neither a kill in between nor a server that looks just now meets half a key. */
function writeKey(folder: string, key: StoredKey): void {
  const path = join(folder, `${key.kid}.json`);
  writeFileSync(`${path}.new`, JSON.stringify(key), { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/** The keys in `<dataDir>/keys/*.json`. */
export function createKeyFolder(dataDir: string): KeyStore {
  const folder = keyFolderOf(dataDir);
  const list = (): StoredKey[] => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
    const keys = names.map((name) => readKey(join(folder, name)));
    return keys.toSorted((a, b) => b.createdAt - a.createdAt);
  };
  const add = (key: FreshKey, wallMs: number): number => {
    const createdAt = createdAfter(list(), wallMs);
    writeKey(folder, { ...key, createdAt });
    return createdAt;
  };
  return {
    list: async () => list(),
    add: async (key, wallMs) => add(key, wallMs),
    async begin(key, wallMs) {
      if (list().length === 0) add(key, wallMs);
    },
    async remove(kid) {
      const answer = removalOf(list(), kid);
      if (answer === "removed") rmSync(join(folder, `${kid}.json`));
      return answer;
    },
  };
}
