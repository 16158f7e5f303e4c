/** Sessions that are looked up all the time are read once in a while, and never after they were changed here. */
import { expect, test } from "bun:test";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import { createMemorySessionStore } from "../../src/sessions/memory.ts";
import { rememberSessions } from "../../src/sessions/remembered.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";

const id = "01a2066e-0437-75fa-a030-b82837260fbc" as SessionId;
const session: SessionRecord = {
  id,
  userId: "alice" as SessionRecord["userId"],
  nodeId: "node",
  createdAt: 1,
  connectedAt: null,
  lastSeenAt: 1,
  presence: "away",
  presenceAt: 1,
  chosenPresence: "online",
  rooms: [],
  binding: null,
  awayBy: 1,
  expiresBy: 300_000,
  endedAt: null,
};

async function setUp() {
  const clock = createManualClock();
  const shared = createMemorySessionStore();
  await shared.create(session);
  const reads: SessionId[] = [];
  /** Waits here before it answers, if a test says so. */
  let held: Promise<void> | null = null;
  const watched = {
    ...shared,
    async find(wanted: SessionId) {
      reads.push(wanted);
      const found = await shared.find(wanted);
      await held;
      return found;
    },
    findOwn(userId: UserId, wanted: SessionId) {
      reads.push(wanted);
      return shared.findOwn(userId, wanted);
    },
  };
  const store = rememberSessions(watched, clock);
  return { clock, shared, store, reads, hold: (until: Promise<void>) => void (held = until) };
}

test("what another process is known to have written is read at once, and what was being read is not kept", async () => {
  const { shared, store, reads, hold } = await setUp();
  await store.find(id);
  await shared.end(id, 5, 10);
  store.forget(id);
  expect((await store.find(id))?.endedAt).toBe(5);
  store.forget(id);
  const { promise, resolve } = Promise.withResolvers<void>();
  hold(promise);
  const old = store.find(id);
  store.forget(id);
  resolve();
  await old;
  const before = reads.length;
  await store.find(id);
  expect(reads.length).toBe(before + 1);
});

test("a session is read once for many calls, and what another process wrote is seen after 250 ms", async () => {
  const { clock, shared, store, reads } = await setUp();
  for (let n = 0; n < 100; n += 1) expect(await store.find(id)).toEqual(session);
  expect(reads).toHaveLength(1);
  await shared.end(id, 5, 10);
  clock.advance(249);
  expect((await store.find(id))?.endedAt).toBeNull();
  clock.advance(1);
  expect((await store.find(id))?.endedAt).toBe(5);
});

test("what was written here is seen at once, also when the write seemed to fail", async () => {
  const { store, shared } = await setUp();
  await store.find(id);
  await store.end(id, 5, 10);
  expect((await store.find(id))?.endedAt).toBe(5);
  const failing = rememberSessions(
    {
      ...shared,
      async connected() {
        throw new Error("the disk is gone");
      },
    },
    createManualClock(),
  );
  await failing.find(id);
  await shared.sweep(0, 20, 10);
  const connected = { id, nodeId: "node", at: 1, binding: null };
  expect(await failing.connected(connected).catch((error: Error) => error.message)).toBe("the disk is gone");
  expect(await failing.find(id)).toBeNull();
});

test("what was read while a write was under way is not kept", async () => {
  const { store, hold } = await setUp();
  const { promise, resolve } = Promise.withResolvers<void>();
  hold(promise);
  const early = store.find(id);
  await store.end(id, 5, 10);
  resolve();
  expect((await early)?.endedAt).toBeNull();
  expect((await store.find(id))?.endedAt).toBe(5);
});

test("another's session is asked for as an unknown one is, though it is known by heart", async () => {
  const { store, reads } = await setUp();
  const [mallory, unknown] = ["mallory" as UserId, "01a2066e-0437-75fa-a030-b82837260fbd" as SessionId];
  await store.find(id);
  for (const wanted of [id, unknown, id, unknown]) expect(await store.findOwn(mallory, wanted)).toBeNull();
  expect(reads).toEqual([id, id, unknown, id, unknown]);
  expect(await store.findOwn(session.userId, id)).toEqual(session);
  expect(reads).toHaveLength(5);
});
