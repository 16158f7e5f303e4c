/** The job store contract on the memory driver, the one that the others are held against. */
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import { describeJobStore } from "./job-store.ts";

describeJobStore("the memory driver", async () => ({
  store: createMemoryJobStore(),
  close: () => Promise.resolve(),
}));
