/** Keys that live as long as the process: the reference driver of `KeyStore`, for a database in memory. */
import { createdAfter, removalOf, type KeyStore, type StoredKey } from "./store.ts";

export function createMemoryKeyStore(): KeyStore {
  let keys: readonly StoredKey[] = [];
  return {
    list: async () => keys,
    async begin(key, wallMs) {
      if (keys.length === 0) keys = [{ ...key, createdAt: createdAfter(keys, wallMs) }];
    },
    async add(key, wallMs) {
      const createdAt = createdAfter(keys, wallMs);
      keys = [{ ...key, createdAt }, ...keys];
      return createdAt;
    },
    async remove(kid) {
      const answer = removalOf(keys, kid);
      if (answer === "removed") keys = keys.filter((key) => key.kid !== kid);
      return answer;
    },
  };
}
