/** A room that keeps what is said, while retention takes some of it away under whoever catches up. */
import { expect, test } from "bun:test";
import { Connection } from "../../src/hub/connection.ts";
import { createKeeping } from "../../src/hub/rooms/history.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createMemoryRoomHistory } from "../../src/sessions/history/memory.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { createVirtualClock } from "../handlers/virtual-clock.ts";
import { createFakeSocket } from "./fake-socket.ts";

/** Somebody who may catch up, and what the room keeps. `meanwhile` happens before each page that is read. */
function createSetup(meanwhile: (read: number) => Promise<void>) {
  const history = createMemoryRoomHistory();
  let reads = 0;
  const keeping = createKeeping({
    history: {
      ...history,
      async page(...asked) {
        reads += 1;
        // A loop of reads that are answered at once lets no timer of a test end it.
        if (reads > 10) throw new Error("it reads again and again");
        await meanwhile(reads);
        return history.page(...asked);
      },
    },
    rules: [{ pattern: "kept", history: 10 }],
    keptMs: 1000,
    clock: createVirtualClock(),
    logger: recordingLogger().logger,
  });
  const socket = createFakeSocket();
  const connection = new Connection({
    socket,
    store: createMemoryJobStore(),
    queueBytes: LIMITS.queueBytes,
    onDetached: () => {},
    onGap: () => {},
    onError: () => {},
  });
  connection.opened();
  const say = (id: string) =>
    history.append({ room: "kept", id, from: null, data: JSON.stringify(id), at: 0 }, 10);
  const heard = () => socket.frames().flatMap((frame) => (frame.type === "message" ? [frame.data] : []));
  return { history, keeping, connection, say, heard };
}

test("a message that was said while it read and is not kept any more is not waited for", async () => {
  const setup = createSetup(async (read) => {
    if (read !== 1) return;
    const { num } = await setup.say("swept");
    expect(setup.keeping.isDue(setup.connection, "kept", num)).toBe(false);
    await setup.history.sweep(1, 10);
  });
  const { keeping, connection, say, heard } = setup;
  await keeping.catchUp(connection, { room: "kept", after: "" });
  expect(heard()).toEqual([]);
  // It is live: what is said next comes by itself.
  const { num } = await say("later");
  expect(keeping.isDue(connection, "kept", num)).toBe(true);
});

test("one that is kept is read, though nothing was there at first", async () => {
  const setup = createSetup(async (read) => {
    if (read !== 2) return;
    const { num } = await setup.say("late");
    expect(setup.keeping.isDue(setup.connection, "kept", num)).toBe(false);
  });
  await setup.say("first");
  await setup.keeping.catchUp(setup.connection, { room: "kept", after: "" });
  expect(setup.heard()).toEqual(["first", "late"]);
});
