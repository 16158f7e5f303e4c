/** The line in front of the server: how many are let in at a time, how many may wait, and for how long. */
import { expect, test } from "bun:test";
import { Refusal } from "../../src/protocol/error.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { FakeSocket } from "../hub/fake-socket.ts";
import { createEdge } from "./setup.ts";

/** A gate that opens when the test says so, and then refuses everybody: what follows is not the matter. */
function setup() {
  let judged = 0;
  const gate = Promise.withResolvers<never>();
  gate.promise.catch(() => undefined);
  const edge = createEdge({
    enter() {
      judged += 1;
      return gate.promise;
    },
  });
  return {
    ...edge,
    judged: () => judged,
    refuseAll: () => gate.reject(new Refusal("unauthenticated", "No.")),
  };
}

const waits = (socket: FakeSocket): unknown[] =>
  socket
    .frames()
    .map((frame) => (frame.type === "goodbye" ? [frame.code, frame.reconnectAfterMs] : frame.type));

test(`${LIMITS.opening} are let in at a time; behind ${LIMITS.openingWaiting} that wait, everybody is told to come back, each at another time`, async () => {
  const { open, judged, refuseAll, clock } = setup();
  const inside = Array.from({ length: LIMITS.opening }, open);
  const waiting = Array.from({ length: LIMITS.openingWaiting }, open);
  expect(judged()).toBe(LIMITS.opening);
  for (const socket of [...inside, ...waiting]) expect(socket.closes).toEqual([]);
  const turnedAway = Array.from({ length: 3 }, open);
  expect(turnedAway.map(waits)).toEqual([[[4003, 1000]], [[4003, 3000]], [[4003, 4996]]]);
  for (const { closes } of turnedAway) expect(closes).toEqual([{ code: 4003, reason: "overloaded" }]);
  // A place is free when somebody is through, however that ended.
  refuseAll();
  await clock.advance(0);
  await clock.advance(0);
  expect(judged()).toBe(LIMITS.opening + LIMITS.openingWaiting);
  for (const { closes } of [...inside, ...waiting]) expect(closes[0]?.code).toBe(4500);
});

test("who waits too long is told to come back, and who left while waiting is not looked at", async () => {
  const { open, close, judged, refuseAll, clock } = setup();
  for (let n = 0; n < LIMITS.opening; n += 1) open();
  const patient = open();
  const gone = open();
  close(gone);
  await clock.advance(LIMITS.openingWaitMs);
  const late = open();
  await clock.advance(1);
  refuseAll();
  await clock.advance(0);
  expect(waits(patient)).toEqual([[4003, 1000]]);
  expect(gone.closes).toEqual([]);
  expect(late.closes[0]?.code).toBe(4500);
  expect(judged()).toBe(LIMITS.opening + 1);
});
