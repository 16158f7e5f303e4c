/** The node store contract on every driver. */
import { createMemoryNodeStore } from "../../src/nodes/memory.ts";
import { describeNodeStore } from "./node-store.ts";
import { openInline, openInMemory, temporaryFolder } from "./storages.ts";

describeNodeStore("the memory driver", async () => {
  const store = createMemoryNodeStore();
  return { store, beside: store, close: () => Promise.resolve() };
});

describeNodeStore("SQLite in memory", async () => {
  const storage = await openInMemory();
  return { store: storage.nodes, beside: storage.nodes, close: () => storage.stop() };
});

// Two writers on one file: as two processes of one host have it.
describeNodeStore("a SQLite file", async () => {
  const folder = await temporaryFolder();
  const [one, other] = [openInline(folder), openInline(folder)];
  return {
    store: one.nodes,
    beside: other.nodes,
    close: () => Promise.all([one.stop(), other.stop()]).then(() => folder.remove()),
  };
});
