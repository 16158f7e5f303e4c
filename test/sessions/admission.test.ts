/** How many sessions one user may have: exactly the limit, also when they are asked for at once. */
import { expect, test } from "bun:test";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { createAdmission } from "../../src/sessions/admission.ts";
import { createMemorySessionStore } from "../../src/sessions/memory.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";

const ADA = "ada" as UserId;
const NOW_MS = 1_000_000;

function sessionOf(userId: UserId, expiresBy: number | null): SessionRecord {
  return {
    id: Bun.randomUUIDv7() as SessionId,
    userId,
    nodeId: "node",
    createdAt: 0,
    connectedAt: null,
    lastSeenAt: 0,
    presence: "online",
    presenceAt: 0,
    chosenPresence: "online",
    rooms: [],
    binding: null,
    awayBy: null,
    expiresBy,
    endedAt: null,
  };
}

function setUp(userSessions: number) {
  const store = createMemorySessionStore();
  const lookedUp: SessionId[] = [];
  const admission = createAdmission({
    clock: { steadyMs: () => NOW_MS },
    userSessions,
    resumeMs: 300_000,
    livingOf: (userId) => store.listOf(userId, 1000),
    async living(id) {
      lookedUp.push(id);
      const session = await store.find(id);
      return session?.endedAt === null ? session : null;
    },
  });
  const create = async (userId: UserId, expiresBy: number | null = null): Promise<SessionRecord> => {
    const session = sessionOf(userId, expiresBy);
    // A store that takes its time, as one over a network does.
    await Promise.resolve();
    await store.create(session);
    return session;
  };
  const open = (userId: UserId, expiresBy: number | null = null): Promise<SessionRecord> =>
    admission.ofUser(userId, () => create(userId, expiresBy));
  const openFrom = (address: string, expiresBy: number | null = null): Promise<SessionRecord> =>
    admission.ofAddress(address, () => create(Bun.randomUUIDv7() as UserId, expiresBy));
  return { store, admission, lookedUp, create, open, openFrom, refused: (id: UserId) => refusedBy(open(id)) };
}

async function refusedBy(opening: Promise<unknown>): Promise<Refusal> {
  const error = await opening.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refusal)) throw new Error("it was not refused");
  return error;
}

test("a burst gets exactly the limit, the rest is refused, another user is free", async () => {
  const { store, open } = setUp(5);
  const answers = await Promise.allSettled(Array.from({ length: 50 }, () => open(ADA)));
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
  expect(await store.listOf(ADA, 100)).toHaveLength(5);
  const codes = answers.flatMap((answer) =>
    answer.status === "rejected" ? (answer.reason as Refusal).code : [],
  );
  expect(new Set(codes)).toEqual(new Set(["too_many_sessions"]));
  await open("ben" as UserId);
});

test("a session that ended makes room for one", async () => {
  const { store, open, refused } = setUp(2);
  const first = await open(ADA);
  await open(ADA);
  await refused(ADA);
  await store.end(first.id, 1, 2);
  await open(ADA);
  await refused(ADA);
});

test("the refusal says when the first place is free", async () => {
  const { open, refused } = setUp(2);
  await open(ADA, NOW_MS + 200_000);
  await open(ADA, NOW_MS + 12_345);
  const { status, extra, headers } = await refused(ADA);
  expect({ status, extra }).toEqual({ status: 429, extra: { limit: "userSessions" } });
  expect(headers).toEqual({
    "Retry-After": "13",
    RateLimit: '"sessions";r=0;t=13',
    "RateLimit-Policy": '"sessions";q=2;qu="concurrent-requests"',
  });
});

test("with sockets open everywhere it names the time after which a left one is over", async () => {
  const { open, refused } = setUp(1);
  await open(ADA);
  expect((await refused(ADA)).headers).toMatchObject({ "Retry-After": "300" });
});

test("a session that could not be stored takes no place, and the next one in line goes on", async () => {
  const { store, admission, create } = setUp(1);
  const failing = admission.ofUser(ADA, () => Promise.reject(new Error("the disk is full")));
  const next = admission.ofUser(ADA, () => create(ADA));
  expect(failing).rejects.toThrow("the disk is full");
  await next;
  expect(await store.listOf(ADA, 10)).toHaveLength(1);
});

test("an address has as many sessions without a user, in a burst too; another address is free", async () => {
  const { openFrom, lookedUp } = setUp(3);
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => openFrom("203.0.113.7")));
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  await openFrom("203.0.113.8");
  expect(await refusedBy(openFrom("203.0.113.7"))).toMatchObject({
    code: "too_many_sessions",
    message: "At most 3 sessions from one address without a user (userSessions).",
  });
  // As long as there is room nobody is looked up.
  expect(lookedUp).toHaveLength(18 * 3);
});

test("sessions of an address that ended or are gone make room, and one that could not be stored takes none", async () => {
  const { store, openFrom, admission } = setUp(2);
  const first = await openFrom("a");
  const second = await openFrom("a", NOW_MS + 5000);
  expect((await refusedBy(openFrom("a"))).headers).toMatchObject({ "Retry-After": "5" });
  await store.end(first.id, 1, 2);
  expect(await admission.ofAddress("a", () => Promise.reject(new Error("full"))).catch(String)).toBe(
    "Error: full",
  );
  await openFrom("a");
  await refusedBy(openFrom("a"));
  await store.sweep(NOW_MS + 5000, 0, 10);
  expect(await store.find(second.id)).toBeNull();
  await openFrom("a");
  await refusedBy(openFrom("a"));
});

test("0 is no limit", async () => {
  const { store, open, openFrom } = setUp(0);
  await Promise.all(Array.from({ length: 50 }, () => openFrom("a")));
  await Promise.all(Array.from({ length: 200 }, () => open(ADA)));
  expect(await store.listOf(ADA, 1000)).toHaveLength(200);
});
