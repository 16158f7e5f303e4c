/** The storage with its figures kept: the counting is here, so that the rooms know nothing of it. */
import type { Storage } from "./storage/contract.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";

/** The same storage, counted. */
export function countedStorage(storage: Storage, telemetry: Telemetry): Storage {
  const { sessions } = storage;
  storage.onBatch((batch) => telemetry.writes.batch(batch));
  return {
    ...storage,
    sessions: {
      ...sessions,
      async create(session) {
        await sessions.create(session);
        telemetry.sessionOpened();
      },
    },
  };
}
