/** When presence is told and when it is not, by a clock that stands still; and what a thousand members cost. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createShared, pass, seen, startNode, told, type Seat } from "./nodes.ts";

const GRACE_MS = 1000;

async function oneNode() {
  const shared = createShared();
  return { shared, node: await startNode(shared, "here") };
}

/** Two members that know of each other. */
async function pair() {
  const { shared, node } = await oneNode();
  const [ann, ben] = [await node.open(), await node.open()];
  for (const seat of [ann, ben]) await node.join(seat, "lobby");
  await pass(shared);
  return { shared, node, ann, ben };
}

describe("a member", () => {
  test("whose socket is gone for less than the grace was never gone", async () => {
    const { shared, node, ann, ben } = await pair();
    const before = told(ann).length;
    node.hub.remove(ben.connection);
    await pass(shared, GRACE_MS - 100);
    expect(node.rooms.list("lobby").members.map(({ status }) => status)).toEqual(["online", "online"]);
    const again = await node.resume(ben.session.id);
    await pass(shared, 3 * GRACE_MS);
    expect(told(ann).length).toBe(before);
    expect(seen(again, "lobby")).toEqual(seen(ann, "lobby"));
  });

  test("whose socket is gone for longer is away, since it went, and back when it is", async () => {
    const { shared, node, ann, ben } = await pair();
    const goneAt = shared.clock.wallMs();
    node.hub.remove(ben.connection);
    await pass(shared, GRACE_MS + LIMITS.presenceBatchMostMs);
    const [member] = told(ann).at(-1)?.changed ?? [];
    expect(member).toMatchObject({ status: "away", since: new Date(goneAt).toISOString() });
    await node.resume(ben.session.id);
    await pass(shared);
    expect(told(ann).at(-1)?.changed).toMatchObject([{ sessionId: ben.session.id, status: "online" }]);
  });

  test("that changes its mind before it was told is not told of", async () => {
    const { shared, node, ann, ben } = await pair();
    await node.rooms.choose(ben.connection, "busy");
    await pass(shared);
    const before = told(ann).length;
    // Within one batch, since one has just been told.
    await node.rooms.choose(ben.connection, "away");
    await node.rooms.choose(ben.connection, "busy");
    await node.rooms.leave(ben.connection, "lobby");
    await node.join(ben, "lobby");
    await pass(shared);
    expect(told(ann).length).toBe(before);
    expect(seen(ben, "lobby")).toEqual(seen(ann, "lobby"));
  });
});

describe("a room of a thousand", () => {
  async function crowd(count: number) {
    const { shared, node } = await oneNode();
    const seats: Seat[] = [];
    for (let n = 0; n < count; n += 1) seats.push(await node.open());
    await Promise.all(seats.map((seat) => node.join(seat, "lobby")));
    await pass(shared, 3000);
    return { shared, node, seats };
  }

  test("that comes at one moment costs each member a handful of frames, and all see all", async () => {
    const { seats } = await crowd(LIMITS.presenceMembers);
    for (const seat of [seats[0], seats[500], seats.at(-1)]) {
      if (seat === undefined) throw new Error("nobody was asked for");
      expect(told(seat).length).toBeLessThan(6);
      expect(Object.keys(seen(seat, "lobby"))).toHaveLength(LIMITS.presenceMembers);
    }
  });

  test("and one more is told by number only, until it is a thousand again", async () => {
    const { shared, node, seats } = await crowd(LIMITS.presenceMembers + 1);
    const [first, last] = [seats[0], seats.at(-1)];
    if (first === undefined || last === undefined) throw new Error("nobody was asked for");
    expect(told(first).at(-1)).toEqual({
      type: "presence",
      room: "lobby",
      joined: [],
      left: [],
      changed: [],
      count: LIMITS.presenceMembers + 1,
    });
    const list = node.rooms.list("lobby");
    expect([list.members.length, list.count]).toEqual([LIMITS.presenceMembers, LIMITS.presenceMembers + 1]);
    await node.rooms.leave(last.connection, "lobby");
    await pass(shared, 3000);
    const frame = told(first).at(-1);
    expect([frame?.whole, frame?.joined.length, frame?.count]).toEqual([
      true,
      LIMITS.presenceMembers,
      LIMITS.presenceMembers,
    ]);
  });
});
