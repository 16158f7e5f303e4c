/** Group commit: one batch at a time, in order, and what arrives meanwhile goes into the next. */
import { describe, expect, test } from "bun:test";
import { createGroup, type Group } from "../../src/lib/group.ts";
import { failureOf } from "../conformance/failure.ts";

interface Commits {
  readonly group: Group<number, string>;
  readonly batches: number[][];
  /** Lets the commit that waits go through, or fail. */
  readonly finish: (error?: Error) => Promise<void>;
}

/** Turns of the loop enough for everything that can go on by itself. */
async function settle(): Promise<void> {
  for (let n = 0; n < 3; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

function gated(most = 100): Commits {
  const batches: number[][] = [];
  const gates: { pass: () => void; fail: (error: Error) => void }[] = [];
  const group = createGroup<number, string>({
    most,
    async commit(items) {
      batches.push(items);
      await new Promise<void>((pass, fail) => {
        gates.push({ pass, fail });
      });
      return items.map((item) => `r${item}`);
    },
  });
  return {
    group,
    batches,
    async finish(error) {
      const gate = gates.shift();
      if (gate === undefined) throw new Error("no commit is under way");
      if (error === undefined) gate.pass();
      else gate.fail(error);
      await settle();
    },
  };
}

describe("a group", () => {
  test("commits together what one turn of the loop brings, each with its own result", async () => {
    const { group, batches, finish } = gated();
    const results = [group.add(1), group.add(2)];
    await Promise.resolve();
    results.push(group.add(3)); // a microtask later is still the same turn
    expect(batches).toEqual([]);
    await settle();
    expect(batches).toEqual([[1, 2, 3]]);
    await finish();
    expect(await Promise.all(results)).toEqual(["r1", "r2", "r3"]);
  });

  test("gathers during a commit for the next one, and never has two under way", async () => {
    const { group, batches, finish } = gated();
    const results = [group.add(1)];
    await settle();
    results.push(group.add(2));
    await settle();
    results.push(group.add(3));
    await settle();
    expect(batches).toEqual([[1]]);
    expect(group.pending).toBe(3);
    await finish();
    expect(batches).toEqual([[1], [2, 3]]);
    expect(group.pending).toBe(2);
    await finish();
    expect(await Promise.all(results)).toEqual(["r1", "r2", "r3"]);
    expect(group.pending).toBe(0);
  });

  test("keeps a batch within its bound, and the order over several", async () => {
    const { group, batches, finish } = gated(2);
    const results = [1, 2, 3, 4, 5].map((item) => group.add(item));
    await settle();
    for (let n = 0; n < 3; n += 1) await finish();
    expect(batches).toEqual([[1, 2], [3, 4], [5]]);
    expect(await Promise.all(results)).toEqual(["r1", "r2", "r3", "r4", "r5"]);
  });

  test("fails every item of a batch that failed, and only those", async () => {
    const { group, finish } = gated(2);
    const [first, second, third] = [group.add(1), group.add(2), group.add(3)];
    const failures = Promise.all([failureOf(first), failureOf(second)]);
    await settle();
    await finish(new Error("no disk"));
    expect((await failures).map(({ message }) => message)).toEqual(["no disk", "no disk"]);
    await finish();
    expect(await third).toBe("r3");
  });

  test("resolves in order, before the next batch is begun", async () => {
    const { group, batches, finish } = gated(2);
    const seen: string[] = [];
    for (const item of [1, 2, 3]) {
      void group.add(item).then((result) => seen.push(`${result} after ${batches.length}`));
    }
    await settle();
    await finish();
    expect(seen.map((text) => text.split(" ")[0])).toEqual(["r1", "r2"]);
    await finish();
    expect(seen).toHaveLength(3);
  });

  test("is idle when nothing waits or is under way", async () => {
    const { group, finish } = gated();
    await group.idle();
    const result = group.add(1);
    let idle = false;
    void group.idle().then(() => {
      idle = true;
    });
    await settle();
    expect(idle).toBe(false);
    await finish();
    expect(idle).toBe(true);
    expect(await result).toBe("r1");
    // And again: it is no one-way street.
    const again = group.add(2);
    await settle();
    await finish();
    expect(await again).toBe("r2");
    await group.idle();
  });
});
