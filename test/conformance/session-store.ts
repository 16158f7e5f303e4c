/** The contract of `SessionStore` (src/sessions/store.ts) as a suite: every driver is held to the same one. */
import { describe, expect, test } from "bun:test";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import type { SessionRecord, UserBinding } from "../../src/sessions/session.ts";
import type { SessionStore } from "../../src/sessions/store.ts";

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
  awayBy: STEADY_MS,
  expiresBy: STEADY_MS + 1000,
} as const;

type Check = (promise: string, body: (store: SessionStore) => Promise<void>) => void;

async function created(store: SessionStore, options?: Partial<SessionRecord>): Promise<SessionRecord> {
  const session = record(options);
  await store.create(session);
  return session;
}

function life(check: Check): void {
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

  check("a user's living sessions are listed, newest first, up to the limit", async (store) => {
    const [first, second, third] = [await created(store), await created(store, AWAY), await created(store)];
    await created(store, { userId: "user-2" as UserId });
    expect(await store.listOf(USER, 10)).toEqual([third, second, first]);
    expect(await store.listOf(USER, 2)).toEqual([third, second]);
    await store.end(second.id, WALL_MS, WALL_MS + 1);
    expect(await store.listOf(USER, 10)).toEqual([third, first]);
    expect(await store.listOf("nobody" as UserId, 10)).toEqual([]);
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
    const given = { id: session.id, awayBy: STEADY_MS, expiresBy: STEADY_MS + 1000, at: WALL_MS + 7 };
    await store.away(given);
    const away = { ...session, ...AWAY, lastSeenAt: WALL_MS + 7 };
    expect(await store.find(session.id)).toEqual(away);
    // Told again, it stays away since when it was.
    await store.away({ ...given, awayBy: STEADY_MS + 5, expiresBy: STEADY_MS + 5000 });
    expect(await store.find(session.id)).toEqual(away);
  });

  check("presence and rooms change each on its own", async (store) => {
    const session = await created(store);
    await store.update(session.id, { presence: "busy" });
    expect(await store.find(session.id)).toEqual({ ...session, presence: "busy" });
    await store.update(session.id, { rooms: ["a", "b"] });
    expect(await store.find(session.id)).toEqual({ ...session, presence: "busy", rooms: ["a", "b"] });
    await store.update(session.id, {});
    expect(await store.find(session.id)).toEqual({ ...session, presence: "busy", rooms: ["a", "b"] });
  });

  check("what does not exist cannot be changed", async (store) => {
    const id = nextId();
    expect(await store.connected({ id, nodeId: NODE, at: WALL_MS, binding: null })).toBeNull();
    await store.away({ id, awayBy: STEADY_MS, expiresBy: STEADY_MS, at: WALL_MS });
    await store.touch([{ id, at: WALL_MS, expiresBy: STEADY_MS }]);
    await store.update(id, { presence: "busy" });
    expect(await store.end(id, WALL_MS, WALL_MS + 1)).toBe(false);
    expect(await store.find(id)).toBeNull();
  });
}

function use(check: Check): void {
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

function ending(check: Check): void {
  check("a session ends once and is known as ended", async (store) => {
    const session = await created(store, { rooms: ["lobby"] });
    expect(await store.end(session.id, WALL_MS + 1, WALL_MS + 100)).toBe(true);
    const ended = {
      ...session,
      endedAt: WALL_MS + 1,
      connectedAt: null,
      presence: "offline" as const,
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
    await store.away({ id, awayBy: STEADY_MS, expiresBy: STEADY_MS, at: WALL_MS });
    await store.touch([{ id, at: WALL_MS + 1, expiresBy: STEADY_MS }]);
    await store.update(id, { presence: "online", rooms: ["x"] });
    await store.recover(NODE, STEADY_MS, STEADY_MS);
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

function restart(check: Check): void {
  check(
    "a restart leaves this node's sessions without sockets, and gives each its full time",
    async (store) => {
      const online = await created(store, { presence: "busy" });
      const away = await created(store, AWAY);
      const elsewhere = await created(store, { nodeId: "node-2" });
      const [awayBy, expiresBy] = [STEADY_MS + 60_000, STEADY_MS + 90_000];
      await store.recover(NODE, awayBy, expiresBy);
      expect(await store.find(online.id)).toEqual({
        ...online,
        connectedAt: null,
        presence: "away",
        awayBy,
        expiresBy,
      });
      expect(await store.find(away.id)).toEqual({ ...away, awayBy, expiresBy });
      expect(await store.find(elsewhere.id)).toEqual(elsewhere);
    },
  );
}

function revoking(check: Check): void {
  const until = WALL_MS + 1000;

  check("revocations are kept apart by kind and subject", async (store) => {
    const given = [
      { kind: "user" as const, subject: "u", before: 5, until },
      { kind: "user" as const, subject: "v", before: 6, until },
      { kind: "token" as const, subject: "u", before: 7, until },
    ];
    for (const revocation of given) await store.revoke(revocation);
    const kept = await store.revocations();
    expect(kept.toSorted((a, b) => a.before - b.before)).toEqual(given);
  });

  check("a second revocation only ever widens the first", async (store) => {
    const subject = { kind: "user" as const, subject: "u" };
    await store.revoke({ ...subject, before: 50, until: until + 10 });
    await store.revoke({ ...subject, before: 40, until });
    expect(await store.revocations()).toEqual([{ ...subject, before: 50, until: until + 10 }]);
    await store.revoke({ ...subject, before: 60, until: until + 20 });
    expect(await store.revocations()).toEqual([{ ...subject, before: 60, until: until + 20 }]);
  });

  check("a revocation is forgotten at its time, by the wall clock", async (store) => {
    const early = { kind: "user" as const, subject: "u", before: 5, until };
    const late = { kind: "user" as const, subject: "v", before: 5, until: until + 1 };
    await store.revoke(early);
    await store.revoke(late);
    await store.sweep(Number.MAX_SAFE_INTEGER, until - 1, 10);
    expect(await store.revocations()).toHaveLength(2);
    await store.sweep(0, until, 10);
    expect(await store.revocations()).toEqual([late]);
  });
}

/** Declares the suite. `open` gives a store without sessions, once for each test. */
export function describeSessionStore(name: string, open: () => Promise<OpenedSessionStore>): void {
  const check: Check = (promise, body) => {
    test(promise, async () => {
      const opened = await open();
      try {
        await body(opened.store);
      } finally {
        await opened.close();
      }
    });
  };
  describe(name, () => {
    for (const topic of [life, use, ending, restart, revoking]) topic(check);
  });
}
