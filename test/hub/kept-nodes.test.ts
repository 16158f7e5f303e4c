/**
 * Random days of a room that keeps what is said, over three nodes: whatever becomes of the hints, every member hears the
 * room as it is stored, each message once and in one order, from its `ok` on.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { LIMITS } from "../../src/protocol/limits.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { createShared, pass, startNode, type Seat } from "./nodes.ts";

const NODES = ["one", "two", "three"] as const;

const node = fc.nat({ max: NODES.length - 1 });
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("say" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("come" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("resume" as const), node }) },
  { weight: 2, arbitrary: fc.constant({ do: "turn" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "look" as const }) },
);
/** What it heard; of one that asked for what was said before, from the answer on: what came ahead may come again. */
function heardOf({ socket }: Seat): unknown[] {
  const frames = socket.frames();
  const answered = frames.findIndex(({ type }) => type === "history");
  return frames.slice(answered + 1).flatMap((frame) => (frame.type === "message" ? [frame.data] : []));
}

const fates = fc.array(fc.constantFrom<readonly number[]>([0], [], [3], [0, 5], [8, 1]), {
  minLength: 1,
  maxLength: 30,
});

test("a room that keeps what is said is heard in one order everywhere, without a hole or a repeat", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), fates, async (steps, drawn) => {
      const shared = createShared();
      const nodes = await Promise.all(NODES.map((name) => startNode(shared, name)));
      const at = (index: number) => {
        const found = nodes[index];
        if (found === undefined) throw new Error("no such node");
        return found;
      };
      let signals = 0;
      shared.network.fate = () => drawn[signals++ % drawn.length] ?? [0];
      /** Everybody who came, and what had been said by then. */
      const members: { seat: Seat; after: number }[] = [];
      const come = async (index: number): Promise<void> => {
        const seat = await at(index).open();
        const after = said;
        await at(index).join(seat, "kept-long");
        members.push({ seat, after });
      };
      let said = 0;
      const speakers: Seat[] = [];
      for (const index of NODES.keys()) {
        await come(index);
        speakers.push(members[index]?.seat as Seat);
      }
      const under: Promise<void>[] = [];
      for (const given of steps) {
        if (given.do === "come") await come(given.node);
        else if (given.do === "look") shared.network.lose();
        else if (given.do === "turn") await settle();
        else if (given.do === "say") {
          said += 1;
          const { connection } = speakers[given.node] as Seat;
          // Several at a time: what one node stores another one stores around.
          under.push(at(given.node).rooms.say(connection, "kept-long", said));
        } else {
          await Promise.all(under.splice(0));
          const seat = await at(given.node).open();
          await at(given.node).join(seat, "kept-long", "");
          members.push({ seat, after: 0 });
        }
      }
      await Promise.all(under);
      shared.network.fate = () => [0];
      shared.network.lose();
      await pass(shared, LIMITS.lookMs);
      for (const { seat, after } of members) {
        const all = heardOf(seat) as number[];
        expect(new Set(all).size).toBe(all.length);
        const expected = Array.from({ length: said - after }, (_, n) => after + 1 + n);
        expect(all).toEqual(expect.arrayContaining(expected));
      }
      // One order for all: that of the first, which has heard everything.
      const order = heardOf(members[0]?.seat as Seat);
      for (const { seat } of members) {
        const all = heardOf(seat);
        expect(all).toEqual(order.filter((one) => all.includes(one)));
      }
      for (const { stop } of nodes) await stop();
    }),
    { numRuns: 60 },
  );
}, 60_000);
