/** Bounded work: never more under way than allowed, in the order in which it came, and the loop stays free for others. */
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { createLanes } from "../../src/lib/lanes.ts";
import { createLoopShare } from "../../src/lib/loop-share.ts";

test("no more is under way than there are lanes, the rest waits its turn", async () => {
  const lanes = createLanes({ most: 3 });
  const begun: number[] = [];
  const gates = Array.from({ length: 10 }, () => Promise.withResolvers<void>());
  const all = gates.map((gate, n) =>
    lanes.run(async () => {
      begun.push(n);
      await gate.promise;
      return n * 2;
    }),
  );
  expect(begun).toEqual([0, 1, 2]);
  expect(lanes.waiting).toBe(7);
  gates[1]?.resolve();
  await all[1];
  for (let tick = 0; tick < 5; tick += 1) await Promise.resolve();
  expect(begun).toEqual([0, 1, 2, 3]);
  for (const gate of gates) gate.resolve();
  expect(await Promise.all(all)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(lanes.waiting).toBe(0);
});

test("a line that never empties keeps nothing of what stood in it", async () => {
  const lanes = createLanes({ most: 1 });
  const one = (): Promise<number> => lanes.run(() => Promise.resolve(1));
  const functions = (): number => {
    Bun.gc(true);
    return heapStats().objectTypeCounts["Function"] ?? 0;
  };
  // Somebody always waits behind the one who is served.
  const line = [one(), one(), one()];
  const before = functions();
  for (let n = 0; n < 20_000; n += 1) {
    line.push(one());
    await line.shift();
    if (lanes.waiting === 0) throw new Error("the line was empty");
  }
  // Each that stood in line brought three functions along.
  expect(functions() - before).toBeLessThan(5000);
  await Promise.all(line);
});

test("work that fails takes neither its lane nor its neighbours along", async () => {
  const lanes = createLanes({ most: 1 });
  const failed = lanes.run(() => Promise.reject(new Error("no")));
  const next = lanes.run(() => Promise.resolve("yes"));
  expect(failed).rejects.toThrow("no");
  expect(await next).toBe("yes");
  expect(await lanes.run(() => Promise.resolve("still"))).toBe("still");
});

test("a chain of work that never waits leaves the loop after its share, and goes on in the next turn", async () => {
  let nowMs = 0;
  const turns: (() => void)[] = [];
  const before = createLoopShare({
    clock: { steadyMs: () => nowMs },
    sliceMs: 2,
    afterTurn: (run) => turns.push(run),
  });
  const lanes = createLanes({ most: 1, before });
  let done = 0;
  const chain = async (): Promise<void> => {
    for (let n = 0; n < 10; n += 1) {
      await lanes.run(() => {
        nowMs += 1;
        return Promise.resolve();
      });
      done += 1;
    }
  };
  const ended = chain();
  const progress: number[] = [];
  for (let turn = 0; turn < 5; turn += 1) {
    for (let tick = 0; tick < 50; tick += 1) await Promise.resolve();
    progress.push(done);
    for (const run of turns.splice(0)) run();
  }
  // Two pieces of 1 ms fill a share of 2 ms.
  expect(progress).toEqual([2, 4, 6, 8, 10]);
  await ended;
});

test("the runtime's own loop gets round while work is endless", async () => {
  const before = createLoopShare({ clock: { steadyMs: () => performance.now() }, sliceMs: 2 });
  const lanes = createLanes({ most: 4, before });
  let rounds = 0;
  const count = (): void => {
    rounds += 1;
    setImmediate(count);
  };
  setImmediate(count);
  const startedMs = performance.now();
  while (performance.now() - startedMs < 200) await lanes.run(() => Promise.resolve());
  expect(rounds).toBeGreaterThan(10);
});
