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
  const admit = createAdmission({
    clock: { steadyMs: () => NOW_MS },
    userSessions,
    resumeMs: 300_000,
    living: (userId) => store.listOf(userId, 1000),
  });
  const open = (userId: UserId, expiresBy: number | null = null): Promise<SessionRecord> =>
    admit(userId, async () => {
      const session = sessionOf(userId, expiresBy);
      // A store that takes its time, as one over a network does.
      await Promise.resolve();
      await store.create(session);
      return session;
    });
  const refused = async (userId: UserId): Promise<Refusal> => {
    const error = await open(userId).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Refusal)) throw new Error("it was not refused");
    return error;
  };
  return { store, open, refused };
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
  const { store } = setUp(1);
  const admit = createAdmission({
    clock: { steadyMs: () => NOW_MS },
    userSessions: 1,
    resumeMs: 1,
    living: (userId) => store.listOf(userId, 1000),
  });
  const failing = admit(ADA, () => Promise.reject(new Error("the disk is full")));
  const next = admit(ADA, () => store.create(sessionOf(ADA, null)));
  expect(failing).rejects.toThrow("the disk is full");
  await next;
  expect(await store.listOf(ADA, 10)).toHaveLength(1);
});

test("0 is no limit", async () => {
  const { store, open } = setUp(0);
  await Promise.all(Array.from({ length: 200 }, () => open(ADA)));
  expect(await store.listOf(ADA, 1000)).toHaveLength(200);
});
