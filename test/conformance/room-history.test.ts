/** The room history contract on every driver. */
import { createMemoryRoomHistory } from "../../src/sessions/history/memory.ts";
import { describeRoomHistory } from "./room-history.ts";
import { openInMemory, openInline, temporaryFolder } from "./storages.ts";

describeRoomHistory("the memory driver", async () => ({
  history: createMemoryRoomHistory(),
  close: () => Promise.resolve(),
}));

describeRoomHistory("SQLite in memory", async () => {
  const storage = await openInMemory();
  return { history: storage.roomHistory, close: () => storage.stop() };
});

describeRoomHistory("a SQLite file", async () => {
  const folder = await temporaryFolder();
  const storage = openInline(folder);
  return { history: storage.roomHistory, close: () => storage.stop().then(() => folder.remove()) };
});
