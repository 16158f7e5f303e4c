/** A start that cannot be stored: tried again quietly until it can be, for as long as the server lives. */
import { expect, test } from "bun:test";
import { Refusal } from "../src/protocol/error.ts";
import { startWithRoom } from "../src/start-again.ts";
import { recordingLogger } from "./handlers/run-setup.ts";
import { createVirtualClock } from "./handlers/virtual-clock.ts";

/** A part whose storage is away for the first attempts. */
function createPart(failures: number) {
  const part = {
    attempts: 0,
    async start(): Promise<void> {
      part.attempts += 1;
      if (part.attempts <= failures) throw new Refusal("storage_unavailable", "It is away.");
    },
  };
  return part;
}

function createPlace() {
  const clock = createVirtualClock();
  const over = new AbortController();
  return { clock, over, ...recordingLogger() };
}

test("an outage is told once however long it lasts, and so is its end", async () => {
  const place = createPlace();
  const part = createPart(60);
  await startWithRoom(place, part, place.over.signal);
  await place.clock.advance(120_000);
  expect(part.attempts).toBe(61);
  expect(place.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    "error: the start could not be stored; it is tried again",
    "info: the start is stored",
  ]);
});

test("a server that ends does not try again", async () => {
  const place = createPlace();
  const part = createPart(60);
  await startWithRoom(place, part, place.over.signal);
  place.over.abort();
  await place.clock.advance(120_000);
  expect(part.attempts).toBe(1);
});

test("another error ends the start", async () => {
  const place = createPlace();
  const start = (): Promise<void> => Promise.reject(new TypeError("a mistake of ours"));
  expect(startWithRoom(place, { start }, place.over.signal)).rejects.toThrow("a mistake of ours");
});
