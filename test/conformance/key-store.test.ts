/** The key store contract in memory and in the files of a data folder. */
import { createKeyFolder } from "../../src/sessions/keys/folder.ts";
import { createMemoryKeyStore } from "../../src/sessions/keys/memory.ts";
import { describeKeyStore } from "./key-store.ts";
import { temporaryFolder } from "./storages.ts";

describeKeyStore("signing keys in memory", async () => ({
  store: createMemoryKeyStore(),
  close: () => Promise.resolve(),
}));

describeKeyStore("signing keys in a folder", async () => {
  const folder = await temporaryFolder();
  return { store: createKeyFolder(folder.path), close: () => folder.remove() };
});
