/** The contract of `MachineTokenStore` (src/sessions/machine-tokens.ts) on every driver. */
import { join } from "node:path";
import { createMemoryMachineTokenStore } from "../../src/sessions/machine-tokens-memory.ts";
import { openStorageBeside } from "../../src/storage.ts";
import { describeMachineTokens, type OpenedMachineTokens } from "../conformance/machine-tokens.ts";
import { openInline, openInMemory, openThreaded, temporaryFolder } from "../conformance/storages.ts";

const DRIVERS: Readonly<Record<string, () => Promise<OpenedMachineTokens>>> = {
  "the memory driver": async () => {
    const store = createMemoryMachineTokenStore();
    return { store, beside: store, close: () => Promise.resolve() };
  },
  "SQLite in memory": async () => {
    const storage = await openInMemory();
    return { store: storage.machineTokens, beside: storage.machineTokens, close: () => storage.stop() };
  },
  "two SQLite connections": async () => {
    const folder = await temporaryFolder();
    const [storage, other] = [openInline(folder), openInline(folder)];
    const close = async (): Promise<void> => {
      await storage.stop();
      await other.stop();
      await folder.remove();
    };
    return { store: storage.machineTokens, beside: other.machineTokens, close };
  },
  "a command beside a server": async () => {
    const folder = await temporaryFolder();
    const server = await openThreaded(folder);
    const dataDir = join(folder.path, "data");
    const databaseUrl = `sqlite:${join(dataDir, "holdline.db")}`;
    const command = await openStorageBeside({ databaseUrl, dataDir, durability: "process" });
    const close = async (): Promise<void> => {
      await command.stop();
      await server.stop();
      await folder.remove();
    };
    return { store: command.machineTokens, beside: server.machineTokens, close };
  },
};

for (const [name, open] of Object.entries(DRIVERS)) describeMachineTokens(name, open);
