/** Storages on a PostgreSQL server of a test file's own, emptied between its tests. */
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { shareStorage, temporaryFolder, type SharedStorage } from "../conformance/storages.ts";
import { startPostgres } from "../support/postgres.ts";

/** One server and one storage for all tests of a file. */
export function sharePostgres(): SharedStorage {
  return shareStorage(async () => {
    const [server, folder] = await Promise.all([startPostgres(), temporaryFolder()]);
    const databaseUrl = await server.database();
    const storage: Storage = await openStorage({ databaseUrl, dataDir: folder.path, durability: "process" });
    return {
      storage,
      async remove() {
        await server.remove();
        await folder.remove();
      },
    };
  });
}
