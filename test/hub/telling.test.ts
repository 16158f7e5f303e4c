/** What is told live to many: it waits for a slow socket within a bound, and is never skipped in silence. */
import { describe, expect, test } from "bun:test";
import { createFakeSocket } from "./fake-socket.ts";
import { createSetup } from "./setup.ts";

const QUEUE_BYTES = 1000;
const frame = (n: number): string => JSON.stringify({ type: "message", room: "lobby", data: n });

function seated() {
  const setup = createSetup({ queueBytes: QUEUE_BYTES });
  const { connection, socket } = setup.seated();
  const said = (): unknown[] => socket.frames().flatMap((one) => (one.type === "message" ? [one.data] : []));
  return { ...setup, connection, socket, said };
}

describe("a frame that is told", () => {
  test("goes out at once, and not before the welcome", () => {
    const { connection, said } = seated();
    expect(connection.tell(frame(1))).toBe(true);
    expect(said()).toEqual([1]);
    const { hub } = createSetup();
    const socket = createFakeSocket();
    expect(hub.add(socket).tell(frame(1))).toBe(false);
    expect(socket.taken).toEqual([]);
  });

  test("waits while the socket takes nothing, and goes out in order when it drained", () => {
    const { connection, socket, said } = seated();
    socket.buffered = QUEUE_BYTES;
    for (let n = 1; n <= 5; n += 1) expect(connection.tell(frame(n))).toBe(true);
    expect(said()).toEqual([]);
    expect(connection.paused).toBe(true);
    socket.buffered = 0;
    connection.drained();
    expect(connection.tell(frame(6))).toBe(true);
    expect(said()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(socket.corks.at(-1)).toBe(5);
  });

  test("does not overtake what waits, also when the socket has some room again", () => {
    const { connection, socket, said } = seated();
    socket.buffered = QUEUE_BYTES;
    connection.tell(frame(1));
    socket.buffered = 10;
    connection.tell(frame(2));
    expect(said()).toEqual([]);
    socket.buffered = 0;
    connection.drained();
    expect(said()).toEqual([1, 2]);
  });

  test("beyond the bound ends the connection, which is told so", () => {
    const { connection, socket, said } = seated();
    socket.buffered = QUEUE_BYTES;
    const fits = Math.floor(QUEUE_BYTES / frame(1).length);
    for (let n = 0; n < fits; n += 1) expect(connection.tell(frame(1))).toBe(true);
    expect(socket.closes).toEqual([]);
    expect(connection.tell(frame(2))).toBe(false);
    expect(said()).toEqual([]);
    expect(socket.closes).toEqual([{ code: 4001, reason: "slow_consumer" }]);
    expect(socket.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4001, reconnect: true });
    expect(connection.tell(frame(3))).toBe(false);
  });

  test("frees its place when it went out", () => {
    const { connection, socket, said } = seated();
    let n = 0;
    for (let round = 0; round < 10; round += 1) {
      socket.buffered = QUEUE_BYTES;
      for (let of = 0; of < 10; of += 1) connection.tell(frame((n += 1)));
      socket.buffered = 0;
      connection.drained();
    }
    expect(said()).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(socket.closes).toEqual([]);
  });
});
