/** The line in front of the server: how many are let in at a time, how many may wait, and for how long. */
import { expect, test } from "bun:test";
import type { ServerWebSocket } from "bun";
import type { Requests } from "../../src/hub/requests.ts";
import type { Rates } from "../../src/http/rates.ts";
import type { Gate } from "../../src/sessions/gate.ts";
import type { Sessions } from "../../src/sessions/sessions.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createSockets, type SocketData } from "../../src/ws/sockets.ts";
import { createSetup } from "../hub/setup.ts";
import { createFakeSocket, type FakeSocket } from "../hub/fake-socket.ts";
import { recordingLogger } from "../handlers/run-setup.ts";

/** Sockets in front of a gate that opens when the test says so, and then refuses everybody: what follows is not the matter. */
function setup() {
  const { hub, clock, store } = createSetup();
  let judged = 0;
  const gate = Promise.withResolvers<never>();
  gate.promise.catch(() => undefined);
  const draws = [0, 0.5, 0.999];
  const sockets = createSockets({
    hub,
    requests: { createInbox: () => ({}), resume: () => undefined } as unknown as Requests,
    sessions: {} as Sessions,
    gate: {
      enter() {
        judged += 1;
        return gate.promise;
      },
    } as unknown as Gate,
    rates: { countFailure: () => undefined } as unknown as Rates,
    store,
    clock,
    random: () => draws.shift() ?? 0.5,
    logger: recordingLogger().logger,
    nodeId: "node",
    limits: {} as never,
    rooms: {} as never,
    heartbeat: { pingMs: 1, timeoutMs: 1 },
    refusing: () => false,
    withoutStorage: () => false,
  });
  const open = (): FakeSocket & { data: SocketData } => {
    const offer = {} as SocketData["offer"];
    const socket = Object.assign(createFakeSocket(), { data: { offer, address: "", seat: null } });
    void sockets.handlers.open?.(socket as unknown as ServerWebSocket<SocketData>);
    return socket;
  };
  const close = (socket: FakeSocket): void => {
    void sockets.handlers.close?.(socket as unknown as ServerWebSocket<SocketData>, 1006, "");
  };
  return {
    clock,
    open,
    close,
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
