/** Frames of a client that does not read: they wait as its log does, since answers would pile up past every bound. */
import { expect, test } from "bun:test";
import { createRequests } from "../../src/hub/requests.ts";
import type { Rooms } from "../../src/hub/rooms/rooms.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { createSetup } from "./setup.ts";

const NO_JOB = "00000000-0000-0000-0000-000000000000";

function scene() {
  const { hub, store, clock, seated } = createSetup();
  const { connection, socket } = seated();
  const requests = createRequests({
    hub,
    store,
    clock,
    logger: recordingLogger().logger,
    rooms: {} as Rooms,
    framesPerMinute: 0,
    refresh: () => Promise.resolve(),
  });
  const inbox = requests.createInbox();
  const ask = (id: string): void =>
    requests.receive(connection, inbox, JSON.stringify({ type: "detach", job: NO_JOB, id }));
  const answers = (): unknown[] =>
    socket.frames().map((frame) => (frame.type === "ok" ? frame.re : frame.type));
  return { connection, socket, requests, inbox, ask, answers, seated };
}

test("they are answered when it reads again, in the order in which they came", async () => {
  const { connection, socket, requests, inbox, ask, answers } = scene();
  ask("1");
  await settle();
  expect(answers()).toEqual(["1"]);
  // The kernel takes no more: what was sent last waits.
  socket.answers.push(-1);
  ask("2");
  await settle();
  expect(connection.paused).toBe(true);
  for (const id of ["3", "4", "5"]) ask(id);
  await settle();
  expect(answers()).toEqual(["1", "2"]);
  connection.drained();
  requests.resume(connection, inbox);
  await settle();
  expect(answers()).toEqual(["1", "2", "3", "4", "5"]);
});

test(`more than ${LIMITS.inboxFrames} of them end the connection`, async () => {
  const { socket, ask } = scene();
  socket.answers.push(-1);
  ask("first");
  await settle();
  for (let n = 0; n < LIMITS.inboxFrames; n += 1) ask(String(n));
  await settle();
  expect(socket.closes).toEqual([]);
  ask("one too many");
  expect(socket.closes).toEqual([{ code: 4003, reason: "overloaded" }]);
});
