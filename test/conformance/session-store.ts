/** The contract of `SessionStore` (src/sessions/store.ts) as a suite: every driver is held to the same one. */
import { describe, expect } from "bun:test";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import type { SessionRecord, UserBinding } from "../../src/sessions/session.ts";
import type { SessionStore } from "../../src/sessions/store.ts";
import { createCheck, type Check } from "./check.ts";

export interface OpenedSessionStore {
  readonly store: SessionStore;
  close(): Promise<void>;
}

const USER = "user-1" as UserId;
const NODE = "node-1";
/** Far apart, so that a store that mistakes wall time for steady time is caught. */
const WALL_MS = 1_800_000_000_000;
const STEADY_MS = 5_000_000.5;

let ids = 0;

function nextId(): SessionId {
  ids += 1;
  return `01890000-0000-7000-9000-${ids.toString(16).padStart(12, "0")}` as SessionId;
}

/** A session with a socket on NODE. */
function record(options: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: nextId(),
    userId: USER,
    nodeId: NODE,
    createdAt: WALL_MS,
    connectedAt: WALL_MS,
    lastSeenAt: WALL_MS,
    presence: "online",
    presenceAt: WALL_MS,
    chosenPresence: "online",
    rooms: [],
    binding: null,
    awayBy: null,
    expiresBy: null,
    endedAt: null,
    ...options,
  };
}

function bindingOf(tokenId: string): UserBinding {
  return {
    tokenHash: `hash of ${tokenId}`,
    tokenId,
    issuedAt: WALL_MS,
    expiresAt: WALL_MS + 1000,
    types: ["chat", "x-*"],
    rooms: null,
  };
}

const AWAY = {
  connectedAt: null,
  presence: "away",
  presenceAt: WALL_MS + 7,
  awayBy: STEADY_MS,
  expiresBy: STEADY_MS + 1000,
} as const;

async function created(store: SessionStore, options?: Partial<SessionRecord>): Promise<SessionRecord> {
  const session = record(options);
  await store.create(session);
  return session;
}

function life(check: Check<SessionStore>): void {
  check("a session is found as it was created, and no other", async (store) => {
    const session = await created(store, {
      rooms: ["lobby", 'a "room" ü'],
      binding: bindingOf("first"),
      ...AWAY,
    });
    const plain = await created(store);
    expect(await store.find(session.id)).toEqual(session);
    expect(await store.find(plain.id)).toEqual(plain);
    expect(await store.find(nextId())).toBeNull();
  });

  check("a user's own session is found, and no other user's", async (store) => {
    const session = await created(store);
    const theirs = await created(store, { userId: "user-2" as UserId });
    expect(await store.findOwn(USER, session.id)).toEqual(session);
    expect(await store.findOwn(USER, theirs.id)).toBeNull();
    expect(await store.find(theirs.id)).toEqual(theirs);
    expect(await store.findOwn(USER, theirs.id)).toBeNull();
    expect(await store.findOwn(USER, nextId())).toBeNull();
    await store.end(session.id, WALL_MS, WALL_MS + 1);
    expect(await store.findOwn(USER, session.id)).toMatchObject({ endedAt: WALL_MS });
  });

  check("a user's living sessions are listed, newest first, up to the limit", async (store) => {
    const [first, second, third] = [await created(store), await created(store, AWAY), await created(store)];
    await created(store, { userId: "user-2" as UserId });
    expect(await store.listOf(USER, 10)).toEqual([third, second, first]);
    expect(await store.listOf(USER, 2)).toEqual([third, second]);
    await store.end(second.id, WALL_MS, WALL_MS + 1);
    expect(await store.listOf(USER, 10)).toEqual([third, first]);
    expect(await store.listOf("nobody" as UserId, 10)).toEqual([]);
  });

  check("living sessions are counted, with a socket and without", async (store) => {
    const before = await store.count();
    const one = await created(store);
    const gone = await created(store, { userId: "user-2" as UserId });
    await created(store, AWAY);
    expect(await store.count()).toEqual({ online: before.online + 2, away: before.away + 1 });
    await store.away({ id: one.id, nodeId: NODE, awayBy: 1, expiresBy: 2, at: WALL_MS });
    await store.end(gone.id, WALL_MS, WALL_MS + 1);
    expect(await store.count()).toEqual({ online: before.online, away: before.away + 2 });
  });

  check("living sessions of all users, or of one, are listed in pages, newest first", async (store) => {
    const first = await created(store);
    const theirs = await created(store, { userId: "user-2" as UserId });
    const ended = await created(store);
    const last = await created(store, AWAY);
    await store.end(ended.id, WALL_MS, WALL_MS + 1);
    const all = { userId: null, before: null, limit: 10 };
    expect(await store.page(all)).toEqual([last, theirs, first]);
    expect(await store.page({ ...all, limit: 2 })).toEqual([last, theirs]);
    expect(await store.page({ ...all, before: theirs.id })).toEqual([first]);
    expect(await store.page({ ...all, userId: USER })).toEqual([last, first]);
    expect(await store.page({ ...all, before: first.id })).toEqual([]);
  });

  check("a socket makes it online on its node, bound as before or anew", async (store) => {
    const binding = bindingOf("old");
    const session = await created(store, { ...AWAY, binding, rooms: ["lobby"] });
    const at = WALL_MS + 500;
    const online = {
      ...session,
      nodeId: "node-2",
      connectedAt: at,
      lastSeenAt: at,
      presence: "online" as const,
      presenceAt: at,
      awayBy: null,
      expiresBy: null,
    };
    const given = { id: session.id, nodeId: "node-2", at };
    expect(await store.connected({ ...given, binding: null })).toEqual(online);
    expect(await store.find(session.id)).toEqual(online);
    const fresh = bindingOf("new");
    expect(await store.connected({ ...given, binding: fresh })).toEqual({ ...online, binding: fresh });
    expect(await store.find(session.id)).toEqual({ ...online, binding: fresh });
  });

  check("its last socket gone, it is away until it expires", async (store) => {
    const session = await created(store, { rooms: ["lobby"] });
    const given = {
      id: session.id,
      nodeId: NODE,
      awayBy: STEADY_MS,
      expiresBy: STEADY_MS + 1000,
      at: WALL_MS + 7,
    };
    const away = { ...session, ...AWAY, lastSeenAt: WALL_MS + 7 };
    expect(await store.away(given)).toEqual(away);
    expect(await store.find(session.id)).toEqual(away);
    // Told again, it stays away since when it was.
    expect(await store.away({ ...given, awayBy: STEADY_MS + 5, expiresBy: STEADY_MS + 5000 })).toBeNull();
    expect(await store.find(session.id)).toEqual(away);
  });

  check("a socket that closes where the session has left already changes nothing", async (store) => {
    const { id } = await created(store, { expiresBy: null });
    const moved = await store.connected({ id, nodeId: "node-2", at: WALL_MS + 5, binding: null });
    const away = { id, awayBy: STEADY_MS, expiresBy: STEADY_MS + 1000, at: WALL_MS + 7 };
    expect(await store.away({ ...away, nodeId: NODE })).toBeNull();
    expect(await store.find(id)).toEqual(moved);
    expect(await store.away({ ...away, nodeId: "node-2" })).toMatchObject({ presence: "away" });
  });

  check("what its user chose is seen while there is a socket, and again with the next one", async (store) => {
    const session = await created(store);
    const busy = { ...session, presence: "busy", presenceAt: WALL_MS + 1, chosenPresence: "busy" } as const;
    expect(await store.choose(session.id, "busy", WALL_MS + 1)).toEqual(busy);
    // Chosen again, it is so since the first time.
    expect(await store.choose(session.id, "busy", WALL_MS + 2)).toEqual(busy);
    expect(await store.find(session.id)).toEqual(busy);
    const at = WALL_MS + 7;
    const away = await store.away({
      id: session.id,
      nodeId: NODE,
      awayBy: STEADY_MS,
      expiresBy: STEADY_MS + 1000,
      at,
    });
    expect(away).toEqual({ ...busy, ...AWAY, lastSeenAt: at });
    const back = await store.connected({ id: session.id, nodeId: NODE, at: at + 1, binding: null });
    expect(back).toMatchObject({ presence: "busy", presenceAt: at + 1 });
  });

  check("what is chosen without a socket is seen when there is one", async (store) => {
    const session = await created(store, AWAY);
    expect(await store.choose(session.id, "busy", WALL_MS + 9)).toEqual({
      ...session,
      chosenPresence: "busy",
    });
    const back = await store.connected({ id: session.id, nodeId: NODE, at: WALL_MS + 10, binding: null });
    expect(back).toMatchObject({ presence: "busy", presenceAt: WALL_MS + 10 });
  });

  check("what does not exist cannot be changed", async (store) => {
    const id = nextId();
    expect(await store.connected({ id, nodeId: NODE, at: WALL_MS, binding: null })).toBeNull();
    expect(
      await store.away({ id, nodeId: NODE, awayBy: STEADY_MS, expiresBy: STEADY_MS, at: WALL_MS }),
    ).toBeNull();
    await store.touch([{ id, at: WALL_MS, expiresBy: STEADY_MS }]);
    expect(await store.choose(id, "busy", WALL_MS)).toBeNull();
    expect(await store.enter({ id, room: "lobby", most: 5 })).toBeNull();
    expect(await store.leave(id, "lobby")).toBeNull();
    expect(await store.end(id, WALL_MS, WALL_MS + 1)).toBe(false);
    expect(await store.find(id)).toBeNull();
  });
}

function rooms(check: Check<SessionStore>): void {
  check("a session enters rooms, each once, and leaves them", async (store) => {
    const session = await created(store);
    const enter = (room: string) => store.enter({ id: session.id, room, most: 3 });
    expect(await enter("a")).toEqual({ ...session, rooms: ["a"] });
    expect(await enter("b")).toEqual({ ...session, rooms: ["a", "b"] });
    expect(await enter("a")).toEqual({ ...session, rooms: ["a", "b"] });
    expect(await store.leave(session.id, "a")).toEqual({ ...session, rooms: ["b"] });
    expect(await store.leave(session.id, "a")).toBeNull();
    expect(await store.find(session.id)).toEqual({ ...session, rooms: ["b"] });
  });

  check("it is in as many as it may, however many enter at once", async (store) => {
    const session = await created(store);
    const asked = ["a", "b", "c", "d"].map((room) => store.enter({ id: session.id, room, most: 2 }));
    const answers = await Promise.all(asked);
    expect(answers.map((answer) => (typeof answer === "string" ? answer : answer?.rooms.length))).toEqual([
      1,
      2,
      "full",
      "full",
    ]);
    expect(await store.enter({ id: session.id, room: "b", most: 2 })).toMatchObject({ rooms: ["a", "b"] });
    expect((await store.find(session.id))?.rooms).toEqual(["a", "b"]);
  });

  check("it enters only what the user token it is bound to allows", async (store) => {
    const binding = { ...bindingOf("narrow"), rooms: ["team/*", "x"] };
    const session = await created(store, { binding, rooms: ["x"] });
    const enter = (room: string, most = 2) => store.enter({ id: session.id, room, most });
    expect([await enter("y"), await enter("team"), await enter("y", 1)]).toEqual([
      "forbidden",
      "forbidden",
      "forbidden",
    ]);
    expect(await store.find(session.id)).toEqual(session);
    expect(await enter("team/1")).toEqual({ ...session, rooms: ["x", "team/1"] });
  });

  check("rooms that a fresh user token does not allow are left with it, and only then", async (store) => {
    const session = await created(store, { binding: bindingOf("wide"), rooms: ["team/1", "lobby", "x"] });
    const given = { id: session.id, nodeId: NODE, at: WALL_MS };
    expect(await store.connected({ ...given, binding: null })).toMatchObject({ rooms: session.rooms });
    const narrow = { ...bindingOf("narrow"), rooms: ["team/*", "x"] };
    expect(await store.connected({ ...given, binding: narrow })).toMatchObject({ rooms: ["team/1", "x"] });
    expect((await store.find(session.id))?.rooms).toEqual(["team/1", "x"]);
    const none = { ...bindingOf("none"), rooms: [] };
    expect(await store.connected({ ...given, binding: none })).toMatchObject({ rooms: [] });
  });

  check("living members are listed in pages, in the order of their ids", async (store) => {
    const first = await created(store, { rooms: ["a"] });
    await created(store);
    const second = await created(store, { ...AWAY, rooms: ["b"] });
    const ended = await created(store, { rooms: ["a"] });
    const third = await created(store, { rooms: ["a"], userId: "user-2" as UserId });
    await store.end(ended.id, WALL_MS, WALL_MS + 1);
    expect(await store.inRooms(null, 10)).toEqual([first, second, third]);
    expect(await store.inRooms(null, 2)).toEqual([first, second]);
    expect(await store.inRooms(second.id, 2)).toEqual([third]);
    await store.leave(third.id, "a");
    expect(await store.inRooms(second.id, 2)).toEqual([]);
  });
}

function use(check: Check<SessionStore>): void {
  check("uses are dated, and put off the expiry of sessions without a socket only", async (store) => {
    const [online, away, other] = [
      await created(store),
      await created(store, AWAY),
      await created(store, AWAY),
    ];
    const touch = { at: WALL_MS + 9, expiresBy: STEADY_MS + 9000 };
    await store.touch([
      { id: online.id, ...touch },
      { id: nextId(), ...touch },
      { id: away.id, ...touch },
    ]);
    expect(await store.find(online.id)).toEqual({ ...online, lastSeenAt: WALL_MS + 9 });
    expect(await store.find(away.id)).toEqual({
      ...away,
      lastSeenAt: WALL_MS + 9,
      expiresBy: STEADY_MS + 9000,
    });
    expect(await store.find(other.id)).toEqual(other);
  });

  check("no uses are no write", async (store) => {
    const session = await created(store);
    await store.touch([]);
    expect(await store.find(session.id)).toEqual(session);
  });
}

function ending(check: Check<SessionStore>): void {
  check("a session ends once and is known as ended", async (store) => {
    const session = await created(store, { rooms: ["lobby"] });
    expect(await store.end(session.id, WALL_MS + 1, WALL_MS + 100)).toBe(true);
    const ended = {
      ...session,
      endedAt: WALL_MS + 1,
      connectedAt: null,
      presence: "offline" as const,
      presenceAt: WALL_MS + 1,
      expiresBy: null,
    };
    expect(await store.find(session.id)).toEqual(ended);
    expect(await store.end(session.id, WALL_MS + 2, WALL_MS + 200)).toBe(false);
    expect(await store.find(session.id)).toEqual(ended);
  });

  check("an ended session never comes back", async (store) => {
    const { id } = await created(store, AWAY);
    await store.end(id, WALL_MS, WALL_MS + 100);
    const ended = await store.find(id);
    expect(await store.connected({ id, nodeId: NODE, at: WALL_MS, binding: null })).toBeNull();
    await store.away({ id, nodeId: NODE, awayBy: STEADY_MS, expiresBy: STEADY_MS, at: WALL_MS });
    await store.touch([{ id, at: WALL_MS + 1, expiresBy: STEADY_MS }]);
    expect(await store.choose(id, "busy", WALL_MS + 1)).toBeNull();
    expect(await store.enter({ id, room: "x", most: 5 })).toBeNull();
    expect(await store.leave(id, "x")).toBeNull();
    await store.recover({ nodeId: NODE, awayBy: STEADY_MS, expiresBy: STEADY_MS, at: WALL_MS + 2 });
    expect(await store.find(id)).toEqual(ended);
  });

  check("an ended session is forgotten at its time, by the wall clock", async (store) => {
    const { id } = await created(store);
    await store.end(id, WALL_MS, WALL_MS + 100);
    expect(await store.sweep(Number.MAX_SAFE_INTEGER, WALL_MS + 99, 10)).toEqual([]);
    expect(await store.find(id)).not.toBeNull();
    expect(await store.sweep(0, WALL_MS + 100, 10)).toEqual([id]);
    expect(await store.find(id)).toBeNull();
  });

  check("a session without a socket expires by steady time; one with a socket never", async (store) => {
    const [online, away] = [await created(store), await created(store, AWAY)];
    expect(await store.sweep(AWAY.expiresBy - 0.5, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
    expect(await store.sweep(AWAY.expiresBy, WALL_MS, 10)).toEqual([away.id]);
    expect(await store.find(away.id)).toBeNull();
    expect(await store.sweep(Number.MAX_SAFE_INTEGER, WALL_MS, 10)).toEqual([]);
    expect(await store.find(online.id)).toEqual(online);
  });

  check("a sweep takes no more than its limit", async (store) => {
    const made: SessionId[] = [];
    for (let n = 0; n < 5; n += 1) made.push((await created(store, AWAY)).id);
    const swept: SessionId[][] = [];
    for (let n = 0; n < 4; n += 1) swept.push([...(await store.sweep(AWAY.expiresBy, WALL_MS, 2))]);
    expect(swept.map((some) => some.length)).toEqual([2, 2, 1, 0]);
    expect(swept.flat().toSorted()).toEqual(made);
  });
}

function restart(check: Check<SessionStore>): void {
  check(
    "a restart leaves this node's sessions without sockets, and gives each its full time",
    async (store) => {
      const online = await created(store, { presence: "busy", chosenPresence: "busy", rooms: ["lobby"] });
      const away = await created(store, AWAY);
      const elsewhere = await created(store, { nodeId: "node-2" });
      const [awayBy, expiresBy] = [STEADY_MS + 60_000, STEADY_MS + 90_000];
      const at = WALL_MS + 3;
      await store.recover({ nodeId: NODE, awayBy, expiresBy, at });
      expect(await store.find(online.id)).toEqual({
        ...online,
        connectedAt: null,
        presence: "away",
        presenceAt: at,
        awayBy,
        expiresBy,
      });
      expect(await store.find(away.id)).toEqual({ ...away, awayBy, expiresBy });
      expect(await store.find(elsewhere.id)).toEqual(elsewhere);
    },
  );
}

/** Declares the suite. `open` gives a store without sessions, once for each test. */
export function describeSessionStore(name: string, open: () => Promise<OpenedSessionStore>): void {
  const check = createCheck(open, ({ store }) => store);
  describe(name, () => {
    for (const topic of [life, rooms, use, ending, restart]) topic(check);
  });
}
