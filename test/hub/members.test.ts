/** What is read of a session while it changes, or while everything is looked at, may be of before: what is newer stays. */
import { expect, test } from "bun:test";
import { createListening } from "../../src/hub/rooms/listening.ts";
import { createMembers } from "../../src/hub/rooms/members.ts";
import { createRoster } from "../../src/hub/rooms/roster.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";

const ANN = "ann" as SessionId;

function sample(...rooms: string[]): SessionRecord {
  return {
    id: ANN,
    userId: "user" as SessionRecord["userId"],
    nodeId: "there",
    createdAt: 0,
    connectedAt: 1,
    lastSeenAt: 1,
    presence: "online",
    presenceAt: 1,
    chosenPresence: "online",
    rooms,
    binding: null,
    awayBy: null,
    expiresBy: null,
    endedAt: null,
  };
}

function setup() {
  const clock = createVirtualClock();
  const told: string[] = [];
  const roster = createRoster({ clock, graceMs: 0, onChanged: (room) => void told.push(room) });
  const listening = createListening({ listen: async () => {}, unlisten: () => {} }, "here", {
    onFirst: () => {},
    onLast: () => {},
  });
  const asked: PromiseWithResolvers<SessionRecord | null>[] = [];
  const pages: PromiseWithResolvers<readonly SessionRecord[]>[] = [];
  let change: (session: SessionRecord) => void = () => {};
  const sessions = {
    findChanged() {
      const question = Promise.withResolvers<SessionRecord | null>();
      asked.push(question);
      return question.promise;
    },
    async *inRooms() {
      const page = Promise.withResolvers<readonly SessionRecord[]>();
      pages.push(page);
      yield await page.promise;
    },
    onChanged: (listener: (session: SessionRecord) => void) => void (change = listener),
    onEnded: () => {},
    onExpired: () => {},
  };
  const members = createMembers({ sessions, sessionOutage: { away: false }, roster, listening });
  return { roster, told, members, asked, pages, change: (session: SessionRecord) => change(session) };
}

test("a session that changes here while it is looked up is looked up again, and nobody hears of the old", async () => {
  const { roster, told, members, asked, change } = setup();
  const found = members.lookUp(ANN);
  change(sample("lobby"));
  asked[0]?.resolve(sample());
  await settle();
  expect(roster.isMember(ANN, "lobby")).toBe(true);
  asked[1]?.resolve(sample("lobby", "attic"));
  expect((await found)?.rooms).toEqual(["lobby", "attic"]);
  expect(told).toEqual(["lobby", "attic"]);
  expect(asked).toHaveLength(2);
});

test("whoever asks for a session that is being looked up gets what is read after that", async () => {
  const { roster, members, asked } = setup();
  const both = [members.lookUp(ANN), members.lookUp(ANN)];
  asked[0]?.resolve(sample("lobby"));
  await settle();
  expect(roster.isMember(ANN, "lobby")).toBe(false);
  asked[1]?.resolve(sample("attic"));
  for (const one of both) expect((await one)?.rooms).toEqual(["attic"]);
  expect(roster.roomsOf(ANN)).toEqual(["attic"]);
});

test("one that changes during a look at everything is looked up by itself behind it", async () => {
  const { roster, told, members, asked, pages, change } = setup();
  const looking = members.look();
  await settle();
  change(sample("attic"));
  pages[0]?.resolve([sample("lobby")]);
  await settle();
  expect(roster.roomsOf(ANN)).toEqual(["attic"]);
  asked[0]?.resolve(sample("attic", "cellar"));
  await looking;
  expect(roster.roomsOf(ANN)).toEqual(["attic", "cellar"]);
  expect(told).toEqual(["attic", "cellar"]);
});

test("a look that fails leaves what was known, and says so", async () => {
  const { roster, members, asked, pages, change } = setup();
  change(sample("lobby"));
  const looking = members.look();
  await settle();
  pages[0]?.resolve([]);
  await settle();
  asked[0]?.reject(new Error("out of reach"));
  expect(await looking.catch(String)).toBe("Error: out of reach");
  expect(roster.isMember(ANN, "lobby")).toBe(true);
});

test("looks at everything come one after the other, and those after the first count what they found otherwise", async () => {
  const { roster, members, asked, pages } = setup();
  const [first, second, third] = [members.look(), members.look(), members.look()];
  await settle();
  expect(pages).toHaveLength(1);
  pages[0]?.resolve([sample("lobby")]);
  await first;
  expect(members.mended).toBe(0);
  await settle();
  pages[1]?.resolve([sample("attic")]);
  await second;
  expect(roster.roomsOf(ANN)).toEqual(["attic"]);
  expect(members.mended).toBe(1);
  await settle();
  pages[2]?.resolve([]);
  await settle();
  asked[0]?.resolve(null);
  await third;
  expect(roster.roomsOf(ANN)).toEqual([]);
  expect(members.mended).toBe(2);
});

test("of thousands that change at one moment a few are looked up at a time, each once for what came before its turn", async () => {
  const { roster, members, asked } = setup();
  const ids = Array.from({ length: 3 * LIMITS.lookSessions }, (_, n) => `session-${n}` as SessionId);
  const found = [...ids, ...ids.slice(LIMITS.lookSessions)].map((id) => members.lookUp(id));
  let answered = 0;
  for (const id of ids) {
    expect(asked.length - answered).toBeWithin(1, LIMITS.lookSessions + 1);
    asked[answered]?.resolve({ ...sample("lobby"), id });
    answered += 1;
    await settle();
  }
  await Promise.all(found);
  expect(asked).toHaveLength(ids.length);
  expect(roster.idsOf("lobby").size).toBe(ids.length);
});
