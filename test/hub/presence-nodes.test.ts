/**
 * Random days of rooms over three nodes: members come, go, move and lose their sockets, nodes die and are buried, hints
 * are lost, late or doubled, the store of sessions is out of reach for a while. Nobody is ever told what contradicts
 * what it was told before, and in the end every node and every client sees what is stored.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { LIMITS } from "../../src/protocol/limits.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { lost, well } from "./lossy-network.ts";
import { createShared, pass, seen, startNode, told, twoNodes, type Seat, type Shared } from "./nodes.ts";

const NODES = ["one", "two", "three"] as const;
const ROOMS = ["lobby", "attic"] as const;
const MEMBERS = 4;
/** Longer than the grace and than what a look waits for its next try. */
const HEALED_MS = 4 * LIMITS.presenceBatchMostMs + LIMITS.lookAgainMs;

const member = fc.nat({ max: MEMBERS - 1 });
const node = fc.nat({ max: NODES.length - 1 });
const room = fc.constantFrom(...ROOMS);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("join" as const), member, room }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("leave" as const), member, room }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("sit" as const), member, node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("drop" as const), member }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("choose" as const),
      member,
      status: fc.constantFrom("online" as const, "away" as const, "busy" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const), member, node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), node, buried: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reach" as const), reachable: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: "lose" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(50, 400, 1500, 70_000) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** What becomes of the signals, one after the other: late, doubled, in another order; and in some days lost. */
const fatesOf = (...all: readonly (readonly number[])[]) =>
  fc.array(fc.constantFrom<readonly number[]>(...all), { minLength: 1, maxLength: 40 });
const kept = [[0], [0], [0], [3], [0, 5], [8, 1]];
const fates = fc.oneof(fatesOf(...kept), fatesOf(...kept, []));

/** What a client makes of its frames; throws where they contradict each other. */
function together(seat: Seat, wanted: string): Record<string, string> | null {
  let members: Map<string, string> | null = null;
  for (const frame of told(seat)) {
    if (frame.room !== wanted) continue;
    if (frame.whole === true) members = new Map();
    // What it is told of its own leaving is the last thing it hears of the room.
    if (members === null) throw new Error(`told of changes before the whole: ${JSON.stringify(frame)}`);
    for (const { sessionId, status } of frame.joined) {
      if (members.has(sessionId)) throw new Error(`${sessionId} joined twice`);
      members.set(sessionId, status);
    }
    for (const { sessionId } of frame.left) {
      if (!members.delete(sessionId)) throw new Error(`${sessionId} left and was not there`);
    }
    for (const { sessionId, status } of frame.changed) {
      if (!members.has(sessionId)) throw new Error(`${sessionId} changed and was not there`);
      members.set(sessionId, status);
    }
  }
  return members === null ? null : Object.fromEntries(members);
}

type Node = Awaited<ReturnType<typeof startNode>>;

async function createDay(shared: Shared) {
  const nodes: Node[] = [];
  const begin = async (index: number): Promise<void> => {
    const started = await startNode(shared, NODES[index] ?? "");
    nodes[index] = started;
    await started.begin();
  };
  for (const index of NODES.keys()) await begin(index);
  /** Each with its latest seat; `at`: the node, null without a socket. */
  const members: { seat: Seat; at: number | null }[] = [];
  const seats: Seat[] = [];
  const sitDown = (index: number, seat: Seat, at: number): void => {
    members[index] = { seat, at };
    seats.push(seat);
  };
  const nodeAt = (at: number): Node => {
    const found = nodes[at];
    if (found === undefined) throw new Error("no such node");
    return found;
  };
  for (let index = 0; index < MEMBERS; index += 1)
    sitDown(index, await nodeAt(index % NODES.length).open(), index % NODES.length);

  const drop = (index: number): void => {
    const who = members[index];
    if (who === undefined || who.at === null) return;
    if (!who.seat.connection.closed) nodeAt(who.at).hub.remove(who.seat.connection);
    who.at = null;
  };

  const act = async (given: Step): Promise<void> => {
    const who = "member" in given ? members[given.member] : undefined;
    switch (given.do) {
      case "join":
      case "leave":
      case "choose": {
        if (who === undefined || who.at === null || who.seat.connection.closed) return;
        const { rooms } = nodeAt(who.at);
        const { connection } = who.seat;
        if (given.do === "join") await rooms.join(connection, { type: "join", room: given.room });
        else if (given.do === "leave") await rooms.leave(connection, given.room);
        else await rooms.choose(connection, given.status);
        return;
      }
      case "sit": {
        if (who === undefined) return;
        const before = who.at;
        const seat = await nodeAt(given.node).resume(who.seat.session.id);
        // Over its old socket nothing comes any more: its client has gone to the new one.
        if (before !== null && !who.seat.connection.closed) nodeAt(before).hub.remove(who.seat.connection);
        sitDown(given.member, seat, given.node);
        return;
      }
      case "drop":
        drop(given.member);
        return;
      case "end":
        if (who === undefined) return;
        await nodeAt(given.node).sessions.end(who.seat.session.id);
        return;
      case "crash": {
        // Nobody starts without the sessions.
        shared.reach(true);
        await nodeAt(given.node).crash();
        // The others notice that it fell silent, and that it may have meant to say something.
        shared.network.lose();
        for (const other of members) if (other.at === given.node) other.at = null;
        if (given.buried) {
          await pass(shared, LIMITS.nodeSilentMs);
          await nodeAt((given.node + 1) % NODES.length).sessions.abandoned(NODES[given.node] ?? "");
        }
        await begin(given.node);
        return;
      }
      case "reach":
        shared.reach(given.reachable);
        return;
      case "lose":
        shared.network.lose();
        return;
      case "wait":
        await pass(shared, given.ms);
    }
  };
  return { nodes, members, seats, act };
}

const isRefused = (error: unknown): boolean => error instanceof Error && error.name === "Refusal";

test("presence over nodes contradicts nobody and ends as it is stored, whatever is lost and whoever dies", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(step, fc.boolean()), { maxLength: 40, size: "max" }),
      fates,
      fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 20 }),
      async (steps, drawn, latencies) => {
        const shared = createShared();
        const day = await createDay(shared);
        let answers = 0;
        shared.latency = () => latencies[answers++ % latencies.length] ?? 0;
        let signals = 0;
        shared.network.fate = () => drawn[signals++ % drawn.length] ?? [0];
        for (const [given, settled] of steps) {
          await day.act(given).catch((error: unknown) => {
            // What is refused did not happen: the session is over, or cannot be looked up for now.
            if (!isRefused(error)) throw error;
          });
          if (settled) await settle();
        }
        shared.network.fate = () => [0];
        // The numbers of the signals show that some are missing; what the others are told then need not be readable.
        if (drawn.some((fate) => fate.length === 0)) shared.network.lose();
        await settle();
        shared.reach(true);
        await pass(shared, HEALED_MS);

        for (const name of ROOMS) {
          const stored = (await shared.sessions.inRooms(null, 100)).filter(({ rooms }) =>
            rooms.includes(name),
          );
          // Who has a socket is stored as somebody who has one.
          for (const { seat, at } of day.members) {
            const record = stored.find(({ id }) => id === seat.session.id);
            if (record === undefined) continue;
            expect(record.connectedAt !== null).toBe(at !== null && !seat.connection.closed);
          }
          const truth = Object.fromEntries(stored.map(({ id, presence }) => [id, presence]));
          for (const { rooms } of day.nodes) {
            const { members, count } = rooms.list(name);
            const listed = members.map(({ sessionId, status }) => [sessionId, status]);
            expect(listed).toEqual(stored.map(({ id, presence }) => [id, presence]));
            expect(count).toBe(stored.length);
          }
          for (const seat of day.seats) {
            // Also those that ended long ago: they were told nothing wrong as long as they were there.
            const view = together(seat, name);
            const isThere = stored.some(({ id }) => id === seat.session.id) && !seat.connection.closed;
            if (isThere) expect(view).toEqual(truth);
          }
        }
        for (const { stop } of day.nodes) await stop();
        expect(shared.clock.waiting).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test("faults/R43 who came and went while hints were lost that nobody missed is known after the next look at all", async () => {
  const { shared, here, there } = await twoNodes();
  const [ann, ben, cem] = [await here.open(), await there.open(), await there.open()];
  await here.join(ann, "lobby");
  await there.join(ben, "lobby");
  await pass(shared);
  shared.network.fate = lost;
  await there.rooms.leave(ben.connection, "lobby");
  await there.join(cem, "lobby");
  await pass(shared);
  shared.network.fate = well;
  expect(seen(ann, "lobby")).toEqual({ [ann.session.id]: "online", [ben.session.id]: "online" });
  await pass(shared, LIMITS.roomsLookMs);
  await pass(shared);
  expect(seen(ann, "lobby")).toEqual({ [ann.session.id]: "online", [cem.session.id]: "online" });
  expect([here.rooms.mended, there.rooms.mended]).toEqual([2, 0]);
});
