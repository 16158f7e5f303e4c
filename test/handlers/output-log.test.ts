/** What a run writes, on its way to the log: in order, one append at a time, gathered as far as it may be. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createOutputLog, type AppendOutcome, type OutputLog } from "../../src/handlers/output-log.ts";
import type { Item } from "../../src/jobs/job.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { textItem } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";
import { createVirtualClock, settle, type VirtualClock } from "./virtual-clock.ts";

interface Setup {
  readonly log: OutputLog;
  readonly clock: VirtualClock;
  /** The appends that were asked for, the last of them perhaps not answered. */
  readonly appends: (readonly Item[])[];
  readonly refusals: string[];
  /** Answers the append that waits. */
  readonly answer: (outcome?: AppendOutcome | Error) => Promise<void>;
}

function setup(rollupMs = 0): Setup {
  const clock = createVirtualClock();
  const appends: (readonly Item[])[] = [];
  const refusals: string[] = [];
  const waiting: PromiseWithResolvers<AppendOutcome>[] = [];
  const log = createOutputLog({
    clock,
    rollupMs,
    append(items) {
      appends.push(items);
      const answer = Promise.withResolvers<AppendOutcome>();
      waiting.push(answer);
      return answer.promise;
    },
    onRefused: (why) => void refusals.push(why),
  });
  return {
    log,
    clock,
    appends,
    refusals,
    async answer(outcome = "ok") {
      if (waiting.length !== 1) throw new Error(`${waiting.length} appends are under way`);
      const answer = waiting.shift();
      if (outcome instanceof Error) answer?.reject(outcome);
      else answer?.resolve(outcome);
      await settle();
    },
  };
}

/** Collects in which order promises settle. */
function watch(): { settled: string[]; add: (name: string, promise: Promise<void>) => void } {
  const settled: string[] = [];
  return {
    settled,
    add(name, promise) {
      void promise.then(
        () => settled.push(name),
        (error: unknown) => settled.push(`${name} ${(error as Error).message}`),
      );
    },
  };
}

const data = (text: string): [kind: "output.data", data: string] => ["output.data", JSON.stringify(text)];
const dataItem = (text: string): Item => ({ kind: "output.data", data: JSON.stringify(text) });

describe("writing", () => {
  test("resolves when it is committed, and not before", async () => {
    const { log, appends, answer } = setup();
    const { settled, add } = watch();
    add("a", log.write(...data("a")));
    await settle();
    expect(appends).toEqual([[dataItem("a")]]);
    expect(settled).toEqual([]);
    await answer();
    expect(settled).toEqual(["a"]);
  });

  test("gathers what comes during an append for the next one, in the order of the calls", async () => {
    const { log, appends, answer } = setup();
    const { settled, add } = watch();
    add("a", log.write(...data("a")));
    await settle();
    add("b", log.text("b", 0));
    add("c", log.write(...data("c")));
    add("d", log.text("d", 0));
    await settle();
    expect(appends).toHaveLength(1);
    await answer();
    expect(appends[1]).toEqual([textItem("b"), dataItem("c"), textItem("d")]);
    expect(settled).toEqual(["a"]);
    await answer();
    expect(settled).toEqual(["a", "b", "c", "d"]);
  });

  test("goes on when one write follows from another", async () => {
    const { log, appends, answer } = setup();
    const { settled, add } = watch();
    add(
      "both",
      log.write(...data("a")).then(() => log.write(...data("b"))),
    );
    await settle();
    await answer();
    expect(appends).toEqual([[dataItem("a")], [dataItem("b")]]);
    await answer();
    expect(settled).toEqual(["both"]);
  });

  test("makes no append long, in entries or in bytes", async () => {
    const { log, appends, answer } = setup();
    const many = Array.from({ length: 600 }, () => log.write(...data("x")));
    const large = "y".repeat(LIMITS.deltaBytes);
    const big = Array.from({ length: 20 }, () => log.write("output.data", large));
    await settle();
    // The first goes alone: it did not know of the others.
    for (let n = 0; n < 5; n += 1) await answer();
    await Promise.all([...many, ...big]);
    expect(appends.map((items) => items.length)).toEqual([1, 256, 256, 103, 4]);
  });
});

describe("text", () => {
  test("is an entry a call without a roll-up", async () => {
    const { log, appends, answer } = setup(0);
    for (const word of ["a", "b", "c"]) void log.text(word, 0);
    await settle();
    await answer();
    expect(appends).toEqual([[textItem("a")], [textItem("b"), textItem("c")]]);
  });

  test("is logged at once the first time, then gathered for the roll-up", async () => {
    const { log, clock, appends, answer } = setup(20);
    const { settled, add } = watch();
    add("a", log.text("a", 0));
    await settle();
    expect(appends).toEqual([[textItem("a")]]);
    await answer();
    add("b", log.text("b", 0));
    add("c", log.text("c", 0));
    await clock.advance(19);
    add("d", log.text("d", 0));
    expect(appends).toHaveLength(1);
    await clock.advance(1);
    expect(appends[1]).toEqual([textItem("bcd")]);
    await answer();
    expect(settled).toEqual(["a", "b", "c", "d"]);
    // And again: the wait is counted from the first text that gathers.
    add("e", log.text("e", 0));
    await clock.advance(20);
    expect(appends[2]).toEqual([textItem("e")]);
  });

  test("that gathers is logged before whatever is not the same text", async () => {
    const { log, clock, appends, answer } = setup(20);
    void log.text("first", 0);
    await settle();
    await answer();
    void log.text("a", 0);
    void log.text("b", 1);
    void log.text("c", 1);
    void log.text("d", 0);
    void log.write(...data("x"));
    void log.text("e", 0);
    await settle();
    await answer();
    expect(appends.slice(1).flat()).toEqual([textItem("a"), textItem("bc", 1), textItem("d"), dataItem("x")]);
    await answer();
    await clock.advance(20);
    expect(appends.slice(1).flat().at(-1)).toEqual(textItem("e"));
    expect(clock.waiting).toBe(0);
  });

  test("that gathers never outgrows an entry, whatever its letters", async () => {
    const { log, clock, appends, answer } = setup(20);
    void log.text("first", 0);
    await settle();
    await answer();
    const letters = "語".repeat(1000);
    for (let n = 0; n < 50; n += 1) void log.text(letters, 0);
    await clock.advance(20);
    while (appends.flat().length < 4) await answer();
    const texts = appends
      .flat()
      .slice(1)
      .map((item) => (JSON.parse(item.data as string) as { delta: string }).delta);
    expect(texts.map((text) => text.length)).toEqual([21_000, 21_000, 8000]);
    for (const text of texts) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LIMITS.deltaBytes);
  });
});

describe("settling", () => {
  test("logs at once what gathers, and waits until all is committed", async () => {
    const { log, clock, appends, answer } = setup(20);
    void log.text("a", 0);
    await settle();
    void log.text("b", 0);
    const { settled, add } = watch();
    add("settled", log.settle());
    await answer();
    expect(appends[1]).toEqual([textItem("b")]);
    void log.write(...data("c")); // comes while it settles
    await answer();
    expect(settled).toEqual([]);
    await answer();
    expect(settled).toEqual(["settled"]);
    expect(clock.waiting).toBe(0);
    await log.settle();
  });
});

describe("a log that takes nothing more", () => {
  test.each(["lease_lost", "output_too_large"] as const)(
    "because of %s refuses all that waits",
    async (why) => {
      const { log, appends, refusals, answer } = setup();
      const { settled, add } = watch();
      add("a", log.write(...data("a")));
      await settle();
      add("b", log.write(...data("b")));
      add("c", log.text("c", 0));
      await answer(why);
      expect(refusals).toEqual([why]);
      add("d", log.write(...data("d")));
      add("e", log.text("e", 0));
      await log.settle();
      await settle();
      expect(settled).toEqual(["a", "b", "c", "d", "e"].map((name) => `${name} ${why}`));
      expect(appends).toHaveLength(1);
      expect(log.failure).toBeNull();
    },
  );

  test("because its storage failed says so to whoever writes, and remembers it", async () => {
    const { log, appends, refusals, answer } = setup();
    const { settled, add } = watch();
    add("a", log.write(...data("a")));
    await settle();
    add("b", log.write(...data("b")));
    await answer(new Error("no disk"));
    add("c", log.text("c", 0));
    await settle();
    expect(settled).toEqual(["a no disk", "b no disk", "c no disk"]);
    expect(appends).toHaveLength(1);
    expect(refusals).toEqual([]);
    expect(log.failure?.message).toBe("no disk");
  });

  test("because it was closed lets the append under way finish, and nothing after it", async () => {
    const { log, clock, appends, answer } = setup(20);
    const { settled, add } = watch();
    add("a", log.text("a", 0));
    await settle();
    add("b", log.write(...data("b")));
    add("c", log.text("c", 0));
    log.close(new Error("canceled"));
    log.close(new Error("too late to say another reason"));
    await settle();
    expect(settled.toSorted()).toEqual(["b canceled", "c canceled"]);
    expect(clock.waiting).toBe(0);
    await answer();
    expect(settled).toContain("a");
    expect((await failureOf(log.text("d", 0))).message).toBe("canceled");
    expect((await failureOf(log.write(...data("e")))).message).toBe("canceled");
    await clock.advance(100);
    expect(appends).toHaveLength(1);
    expect(log.failure).toBeNull();
  });
});

test("whatever is written when, the log holds it in the order of the calls, text unbroken", async () => {
  const call = fc.oneof(
    fc.record({
      do: fc.constant("text" as const),
      text: fc.string({ minLength: 1, maxLength: 5 }),
      index: fc.nat({ max: 1 }),
    }),
    fc.record({ do: fc.constant("write" as const), text: fc.string({ maxLength: 5 }) }),
    fc.record({ do: fc.constant("pass" as const), byMs: fc.nat({ max: 15 }) }),
    fc.record({ do: fc.constant("turn" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 25 }), fc.constantFrom(0, 10), async (calls, rollupMs) => {
      const clock = createVirtualClock();
      const logged: Item[] = [];
      const log = createOutputLog({
        clock,
        rollupMs,
        append: async (items) => {
          await new Promise((resolve) => setImmediate(resolve));
          logged.push(...items);
          return "ok";
        },
        onRefused: () => {},
      });
      const writes: Promise<void>[] = [];
      const wanted: string[] = [];
      for (const given of calls) {
        if (given.do === "pass") await clock.advance(given.byMs);
        else if (given.do === "turn") await new Promise((resolve) => setImmediate(resolve));
        else if (given.do === "write") {
          writes.push(log.write(...data(given.text)));
          wanted.push(`data ${JSON.stringify(given.text)}`);
        } else {
          writes.push(log.text(given.text, given.index));
          wanted.push(...given.text.split("").map((unit) => `${given.index} ${unit}`));
        }
      }
      await log.settle();
      await Promise.all(writes);
      const read = logged.flatMap(({ kind, data: text }) => {
        if (kind === "output.data") return [`data ${text as string}`];
        const { delta, index } = JSON.parse(text as string) as { delta: string; index: number };
        return delta.split("").map((unit) => `${index} ${unit}`);
      });
      expect(read).toEqual(wanted);
    }),
    { numRuns: 60 },
  );
});

describe("reports of progress", () => {
  const report = (n: number): string => JSON.stringify({ ratio: n });
  const reported = ({ appends }: Setup): string[] => appends.flat().map((item) => item.data as string);

  test("that come too soon are folded into the newest, which is logged when its turn comes", async () => {
    const on = setup();
    const { settled, add } = watch();
    add("first", on.log.progress(report(1)));
    add("second", on.log.progress(report(2)));
    add("third", on.log.progress(report(3)));
    await settle();
    // The first waits for its commit, the others for nothing.
    expect(settled).toEqual(["second", "third"]);
    await on.answer();
    expect(settled).toEqual(["second", "third", "first"]);
    await on.clock.advance(LIMITS.progressMs - 1);
    expect(reported(on)).toEqual([report(1)]);
    await on.clock.advance(1);
    expect(reported(on)).toEqual([report(1), report(3)]);
    await on.answer();
    // And that one holds back the next ones in turn; after a quiet time one goes at once.
    void on.log.progress(report(4));
    expect(reported(on)).toHaveLength(2);
    await on.clock.advance(LIMITS.progressMs);
    await on.answer();
    await on.clock.advance(2 * LIMITS.progressMs);
    void on.log.progress(report(5));
    await settle();
    expect(reported(on)).toEqual([1, 3, 4, 5].map(report));
    await on.answer();
  });

  test("are all told before the end, and no timer is left behind", async () => {
    const on = setup();
    void on.log.progress(report(1));
    void on.log.progress(report(2));
    const settling = on.log.settle();
    await settle();
    await on.answer();
    await on.answer();
    await settling;
    expect(reported(on)).toEqual([report(1), report(2)]);
    on.log.close(new Error("over"));
    expect(on.clock.waiting).toBe(0);
    expect((await failureOf(on.log.progress(report(3)))).message).toBe("over");
  });
});
