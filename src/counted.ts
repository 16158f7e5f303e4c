/** Storage and hub with their figures kept: the counting is here, so that the rooms know nothing of it. */
import type { Hub } from "./hub/hub.ts";
import type { Storage } from "./storage.ts";
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

/** The same hub; what its sockets send is counted. */
export function countedHub(hub: Hub, { deliveries }: Telemetry): Hub {
  return {
    ...hub,
    get size() {
      return hub.size;
    },
    add: (socket) => hub.add(deliveries.counted(socket)),
  };
}
