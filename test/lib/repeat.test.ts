import { expect, test } from "bun:test";
import { repeat } from "../../src/lib/repeat.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";

test("work that comes round again is done one at a time, and none of it begins after the stop", async () => {
  const clock = createVirtualClock();
  const begun: (() => void)[] = [];
  const repeated = repeat(clock, 100, () => new Promise((resolve) => void begun.push(resolve)));
  expect(begun.length).toBe(0);
  await clock.advance(350);
  expect(begun.length).toBe(1);
  begun[0]?.();
  await clock.advance(100);
  expect(begun.length).toBe(2);
  let stopped = false;
  const stopping = repeated.stop().then(() => {
    stopped = true;
  });
  await clock.advance(1000);
  expect(stopped).toBe(false);
  begun[1]?.();
  await settle();
  await stopping;
  expect([begun.length, clock.waiting]).toEqual([2, 0]);
});
