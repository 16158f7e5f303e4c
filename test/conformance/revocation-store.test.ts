/** The revocation store contract on every driver that needs no server. */
import { afterAll } from "bun:test";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { describeRevocationStore } from "./revocation-store.ts";
import { emptyRevocations, openInMemory, shareThreaded } from "./storages.ts";

describeRevocationStore("the memory driver", async () => ({
  store: createMemoryRevocationStore(),
  close: () => Promise.resolve(),
}));

describeRevocationStore("SQLite in memory", async () => {
  const storage = await openInMemory();
  return { store: storage.revocations, close: () => storage.stop() };
});

const threaded = shareThreaded();
afterAll(() => threaded.end());
describeRevocationStore("a SQLite file behind the writer's thread", async () =>
  emptyRevocations((await threaded.storage()).revocations),
);
