/** The small parts everything stands on: the bounded map, ids, back-off, the system's clock. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { backoffMs } from "../../src/lib/backoff.ts";
import { until } from "../support/wait.ts";
import { createSystemClock, instant, sleep, type Clock } from "../../src/lib/clock.ts";
import { createIds, isUuid } from "../../src/lib/ids.ts";
import { createLru } from "../../src/lib/lru.ts";
import { failureOf } from "../conformance/failure.ts";

describe("an lru", () => {
  test("forgets what was not used for longest, and nothing sooner", () => {
    const lru = createLru<string, number>(3);
    lru.set("a", 1);
    lru.set("b", 2);
    lru.set("c", 3);
    expect(lru.get("a")).toBe(1); // used: b is the oldest now
    lru.set("c", 33); // written again: no new entry
    expect(lru.size).toBe(3);
    lru.set("d", 4);
    expect(["a", "b", "c", "d"].map((key) => lru.get(key))).toEqual([1, undefined, 33, 4]);
    lru.delete("a");
    expect(lru.get("a")).toBeUndefined();
    expect(lru.size).toBe(2);
  });

  test("behaves as the plainest list of the last used would", () => {
    const key = fc.integer({ min: 0, max: 5 });
    const step = fc.record({ do: fc.constantFrom("get", "set", "delete"), key, value: fc.nat() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step), (most, steps) => {
        const lru = createLru<number, number>(most);
        let model: [number, number][] = [];
        for (const given of steps) {
          const found = model.find(([known]) => known === given.key);
          const others = model.filter(([known]) => known !== given.key);
          if (given.do === "get") {
            expect(lru.get(given.key)).toBe(found?.[1] as number);
            if (found !== undefined) model = [...others, found];
          } else if (given.do === "set") {
            lru.set(given.key, given.value);
            model = [...others, [given.key, given.value] as [number, number]].slice(-most);
          } else {
            lru.delete(given.key);
            model = others;
          }
          expect(lru.size).toBe(model.length);
        }
      }),
    );
  });
});

describe("ids", () => {
  const ids = createIds();

  test("of jobs and sessions are canonical UUIDs of version 7, in the order in which they were made", () => {
    const made = Array.from({ length: 5000 }, (_none, n) =>
      n % 3 === 0 ? ids.job() : n % 3 === 1 ? ids.session() : ids.any(),
    );
    expect(made.every((id) => isUuid(id) && id[14] === "7")).toBe(true);
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(5000);
  });

  test("still grow when the wall clock is set back: they go by steady time", () => {
    let steadyMs = Date.now() + 3_600_000;
    const steady = createIds({ steadyMs: () => steadyMs });
    const made: string[] = [steady.job(), ids.job(), steady.job()];
    steadyMs += 1;
    made.push(ids.session(), steady.session());
    const grown = [made[0] ?? "", made[2] ?? "", made[4] ?? ""];
    expect(grown.toSorted()).toEqual(grown);
  });

  test("that fence or name a user cannot be guessed from one another", () => {
    expect(ids.leaseToken()).toMatch(/^[0-9a-f]{32}$/);
    expect(ids.anonymousUser()).toMatch(/^anon_[0-9a-f]{24}$/);
    expect(ids.hex(3)).toMatch(/^[0-9a-f]{6}$/);
    const tokens = Array.from({ length: 1000 }, () => ids.leaseToken());
    expect(new Set(tokens.map((token) => token.slice(0, 8))).size).toBeGreaterThan(990);
  });

  test.each([
    ["01890000-0000-7000-8000-000000000000", true],
    ["ffffffff-ffff-ffff-ffff-ffffffffffff", true],
    ["01890000-0000-7000-8000-00000000000", false],
    ["01890000-0000-7000-8000-0000000000000", false],
    ["01890000-0000-7000-8000-00000000000G", false],
    ["01890000-0000-7000-8000-00000000000A", false],
    ["0189000000007000800000000000000000000", false],
    [" 1890000-0000-7000-8000-000000000000", false],
    ["01890000-0000-7000-8000-00000000000\n", false],
    ["", false],
  ])("%p is a UUID as ids are written here: %p", (text, is) => {
    expect(isUuid(text)).toBe(is);
  });
});

describe("the back-off", () => {
  const backoff = { baseMs: 1000, mostMs: 60_000 };

  test("doubles its ceiling up to the most", () => {
    const ceilings = [1, 2, 3, 4, 5, 6, 7, 8, 50, 10_000].map((failures) => backoffMs(backoff, failures, 1));
    expect(ceilings).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  });

  test("is spread over all of it, in whole milliseconds", () => {
    expect(backoffMs(backoff, 3, 0)).toBe(0);
    expect(backoffMs(backoff, 3, 0.25)).toBe(1000);
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), random, (failures, chance) => {
        const waitMs = backoffMs(backoff, failures, chance);
        expect(Number.isInteger(waitMs)).toBe(true);
        expect(waitMs).toBeWithin(0, 60_001);
      }),
    );
  });
});

/** A clock that runs its timers when the test says so. */
function byHand(): { clock: Clock; ring: () => void; waiting: () => number } {
  const timers = new Set<() => void>();
  const clock: Clock = {
    wallMs: () => 1234.6,
    steadyMs: () => 99.5,
    elapsedMs: () => 0,
    every: () => ({ cancel: () => {} }),
    after(_delayMs, run) {
      timers.add(run);
      return { cancel: () => void timers.delete(run) };
    },
  };
  const ring = (): void => {
    for (const run of timers) {
      timers.delete(run);
      run();
    }
  };
  return { clock, ring, waiting: () => timers.size };
}

describe("a clock", () => {
  test("gives both readings of one moment, wall time in whole milliseconds", () => {
    expect(instant(byHand().clock)).toEqual({ wallMs: 1235, steadyMs: 99.5 });
  });

  test("of the system keeps time: the two readings agree and never go back", () => {
    const clock = createSystemClock();
    let before = clock.steadyMs();
    for (let n = 0; n < 1000; n += 1) {
      const now = clock.steadyMs();
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    }
    expect(Math.abs(clock.wallMs() - before)).toBeLessThan(1000);
  });

  test("of the system stands still while the process does, and a timer waits for what is missing", async () => {
    const clock = createSystemClock();
    const steadyMs = clock.steadyMs();
    const elapsedMs = clock.elapsedMs();
    const rang = Promise.withResolvers<void>();
    clock.after(1400, rang.resolve);
    Bun.sleepSync(2500);
    expect(clock.elapsedMs() - elapsedMs).toBeGreaterThanOrEqual(2500);
    expect(clock.steadyMs() - steadyMs).toBeWithin(999, 1300);
    await rang.promise;
    expect(clock.steadyMs() - steadyMs).toBeWithin(1395, 2400);
    expect(clock.elapsedMs() - elapsedMs).toBeGreaterThan(2800);
  });

  test("of the system goes on from where the process before had come, and from no earlier time", () => {
    const clock = createSystemClock();
    const farMs = clock.steadyMs() + 3_600_000;
    clock.resume(farMs);
    expect(clock.steadyMs() - farMs).toBeWithin(0, 100);
    clock.resume(farMs - 1000);
    expect(clock.steadyMs() - farMs).toBeWithin(0, 100);
  });

  test("of the system that follows another goes by that one's two readings, backwards too at first", () => {
    const clock = createSystemClock();
    clock.follow({ steadyMs: 5_000_000, wallMs: 7_000_000 }, clock.elapsedMs());
    expect(clock.steadyMs() - 5_000_000).toBeWithin(0, 100);
    expect(clock.wallMs() - 7_000_000).toBeWithin(0, 100);
    clock.follow({ steadyMs: 5_010_000, wallMs: 6_000_000 }, clock.elapsedMs());
    expect(clock.steadyMs() - 5_010_000).toBeWithin(0, 100);
    expect(clock.wallMs() - 6_000_000).toBeWithin(0, 100);
  });

  test("of the system that is ahead of the one it follows stands still until that has caught up", async () => {
    const clock = createSystemClock();
    clock.follow({ steadyMs: 5_000_000, wallMs: 7_000_000 }, clock.elapsedMs());
    const [steadyMs, elapsedMs] = [clock.steadyMs(), clock.elapsedMs()];
    clock.follow({ steadyMs: steadyMs - 400, wallMs: 7_000_000 }, elapsedMs);
    let stoodMs = 0;
    await until("it to go on", () => {
      const nowMs = clock.steadyMs();
      expect(nowMs).toBeGreaterThanOrEqual(steadyMs);
      if (nowMs < steadyMs + 5) stoodMs = clock.elapsedMs() - elapsedMs;
      return nowMs > steadyMs + 100;
    });
    // A busy machine looks seldom.
    expect(stoodMs).toBeGreaterThan(300);
    expect(clock.steadyMs() - steadyMs).toBeLessThanOrEqual(clock.elapsedMs() - elapsedMs - 399);
  });

  test("of the system leaves what the answer it follows is too uncertain about", () => {
    const clock = createSystemClock();
    clock.follow({ steadyMs: 5_000_000, wallMs: 7_000_000 }, clock.elapsedMs());
    const apart = () => clock.wallMs() - clock.steadyMs();
    const apartMs = apart();
    // It was asked a second ago and was so at some moment since.
    clock.follow({ steadyMs: 4_999_500, wallMs: 6_999_500 }, clock.elapsedMs() - 1000);
    expect(clock.steadyMs() - 5_000_000).toBeWithin(0, 100);
    expect(apart()).toBeCloseTo(apartMs, 1);
  });

  test("of the system runs what is due, once or again and again, and nothing that was cancelled", async () => {
    const clock = createSystemClock();
    const ran: string[] = [];
    const cancelled = clock.after(1, () => ran.push("cancelled"));
    cancelled.cancel();
    // A delay that setTimeout cannot count must not fire at once.
    const never = clock.after(2 ** 40, () => ran.push("too long"));
    await new Promise<void>((resolve) => {
      const timer = clock.every(1, () => {
        ran.push("every");
        if (ran.length < 3) return;
        timer.cancel();
        clock.after(-5, resolve);
      });
    });
    never.cancel();
    expect(ran).toEqual(["every", "every", "every"]);
  });

  test("sleeps until its time, or until it is woken by an abort", async () => {
    const { clock, ring, waiting } = byHand();
    const slept = sleep(clock, 5);
    ring();
    await slept;

    const stop = new AbortController();
    const interrupted = failureOf(sleep(clock, 5, stop.signal));
    expect(waiting()).toBe(1);
    stop.abort(new Error("stop"));
    expect((await interrupted).message).toBe("stop");
    expect(waiting()).toBe(0);
    expect((await failureOf(sleep(clock, 5, stop.signal))).message).toBe("stop");
    expect(waiting()).toBe(0);
  });

  test("that slept leaves nothing behind on the signal", async () => {
    const { clock, ring } = byHand();
    const stop = new AbortController();
    const listeners = new Set<unknown>();
    const { signal } = stop;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = ((type: "abort", listener: () => void) => {
      listeners.add(listener);
      add(type, listener);
    }) as typeof signal.addEventListener;
    signal.removeEventListener = ((type: "abort", listener: () => void) => {
      listeners.delete(listener);
      remove(type, listener);
    }) as typeof signal.removeEventListener;
    const slept = sleep(clock, 5, signal);
    expect(listeners.size).toBe(1);
    ring();
    await slept;
    expect(listeners.size).toBe(0);
  });
});
