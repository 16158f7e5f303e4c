/** A check of somebody's handler that does not end keeps nobody waiting for ever. */
import { expect, test } from "bun:test";
import { checkInput } from "../../src/handlers/check-input.ts";
import { JobError } from "../../src/handlers/handler.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { failureOf } from "../conformance/failure.ts";
import { createVirtualClock } from "./virtual-clock.ts";

const context = { userId: "user", previous: () => Promise.resolve(null) };

test("a check that does not end is ended, and its type is named", async () => {
  const clock = createVirtualClock();
  const check = (): Promise<void> => new Promise(() => {});
  const failed = failureOf(checkInput({ type: "slow", check }, {}, context, clock));
  await clock.advance(LIMITS.checkMs - 1);
  expect(clock.waiting).toBe(1);
  await clock.advance(1);
  expect((await failed).message).toBe("check() of the handler of slow did not end within 10000 ms");
});

test("a JobError refuses the input in its own words", async () => {
  const check = (): never => {
    throw new JobError("no_such_scene", "There is no such scene.");
  };
  const refusal = await failureOf(checkInput({ type: "t", check }, {}, context, createVirtualClock()));
  expect(refusal).toMatchObject({
    code: "invalid_request",
    errors: [{ pointer: "/input", detail: "There is no such scene." }],
  });
});

test("one that ends or throws leaves no timer behind", async () => {
  const clock = createVirtualClock();
  const wrong = new Error("wrong");
  await checkInput({ type: "good", check: () => undefined }, {}, context, clock);
  await checkInput({ type: "none" }, {}, context, clock);
  const thrown = checkInput({ type: "bad", check: () => Promise.reject(wrong) }, {}, context, clock);
  expect(await failureOf(thrown)).toBe(wrong);
  expect(clock.waiting).toBe(0);
});
