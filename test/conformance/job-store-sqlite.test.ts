/** The job store contract on SQLite: in memory, in a file behind the writer's thread, restarted all the time, and shared. */
import { afterAll } from "bun:test";
import { describeJobStore } from "./job-store.ts";
import { openInMemory, openReopening, openTakingTurns, shareThreaded } from "./storages.ts";

describeJobStore("SQLite in memory", async () => {
  const storage = await openInMemory();
  return { store: storage.jobs, close: () => storage.stop() };
});

const threaded = shareThreaded();
afterAll(() => threaded.end());
describeJobStore("a SQLite file behind the writer's thread", () => threaded.openJobs());

describeJobStore("a SQLite file that is opened anew all the time", () => openReopening(3));

describeJobStore("a SQLite file that two processes write in turns", openTakingTurns);
