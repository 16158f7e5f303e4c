/** The session store contract on every driver. */
import { afterAll } from "bun:test";
import { createMemorySessionStore } from "../../src/sessions/memory.ts";
import { rememberSessions } from "../../src/sessions/remembered.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";
import { describeSessionStore } from "./session-store.ts";
import { openInline, openInMemory, shareThreaded, temporaryFolder } from "./storages.ts";

describeSessionStore("the memory driver", async () => ({
  store: createMemorySessionStore(),
  close: () => Promise.resolve(),
}));

describeSessionStore("SQLite in memory", async () => {
  const storage = await openInMemory();
  return { store: storage.sessions, close: () => storage.stop() };
});

describeSessionStore("a SQLite file", async () => {
  const folder = await temporaryFolder();
  const storage = openInline(folder);
  return { store: storage.sessions, close: () => storage.stop().then(() => folder.remove()) };
});

// A clock that stands still: whatever is remembered is remembered for the whole test.
describeSessionStore("the memory driver, remembered", async () => ({
  store: rememberSessions(createMemorySessionStore(), createManualClock()),
  close: () => Promise.resolve(),
}));

const threaded = shareThreaded();
afterAll(() => threaded.end());
describeSessionStore("a SQLite file behind the writer's thread", () => threaded.openSessions());
