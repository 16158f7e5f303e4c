/** What a message to a room of a thousand costs the server, and how long the last member waits for it. */
import { percentile } from "../../src/lib/percentile.ts";
import type { Measured } from "./process.ts";

export const MEMBERS = 1000;
const MESSAGES = 200;
/** So many are said before the first has been heard by all. */
const BURST = 4;

export interface FanOut {
  readonly microsPerDelivery: number;
  readonly deliveriesPerSecond: number;
  /** From saying to hearing, over all members. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Room {
  readonly speaker: WebSocket;
  /** Resolves when every member has heard so many messages in all. */
  readonly heard: (count: number) => Promise<void>;
  readonly latenciesMs: number[];
  close(): void;
}

function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`, ["holdline.v1"]);
  return new Promise((resolve, reject) => {
    socket.addEventListener("open", () => resolve(socket));
    socket.addEventListener("error", reject);
  });
}

/** A thousand sockets, at these servers in turns, that have sent `join`, and whatever came of that has come. */
async function enter(
  urls: readonly string[],
  name: string,
  joined: (text: string) => boolean,
): Promise<Room> {
  const latenciesMs: number[] = [];
  let count = 0;
  let waiting: { count: number; resolve: () => void } | null = null;
  const sockets: WebSocket[] = [];
  for (let n = 0; n < MEMBERS; n += 50) {
    sockets.push(
      ...(await Promise.all(Array.from({ length: 50 }, (_, of) => open(urls[of % urls.length] ?? "")))),
    );
  }
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.addEventListener("message", ({ data }) => {
            const text = String(data);
            if (joined(text)) resolve();
            const said = /"saidAt":([\d.]+)/.exec(text)?.[1];
            if (said === undefined) return;
            latenciesMs.push(performance.now() - Number(said));
            count += 1;
            if (count === waiting?.count) waiting.resolve();
          });
          socket.send(JSON.stringify({ type: "join", id: "j", room: name }));
        }),
    ),
  );
  const [speaker] = sockets;
  if (speaker === undefined) throw new Error("nobody came");
  return {
    speaker,
    heard: (wanted) =>
      new Promise((resolve) => {
        waiting = { count: wanted, resolve };
        if (count >= wanted) resolve();
      }),
    latenciesMs,
    close: () => sockets.forEach((socket) => socket.close()),
  };
}

let rooms = 0;

/** Says messages in bursts, at the first of the servers; each burst is heard by all before the next one. */
export async function measureFanOut(
  servers: readonly Pick<Measured, "url" | "cpuMicros">[],
  joined: (text: string) => boolean,
): Promise<FanOut> {
  rooms += 1;
  const name = `bench-${rooms}`;
  const urls = servers.map(({ url }) => url);
  const cpuMicros = (): number => servers.reduce((sum, server) => sum + server.cpuMicros(), 0);
  const room = await enter(urls, name, joined);
  const say = async (from: number, messages: number): Promise<void> => {
    for (let n = 0; n < messages; n += BURST) {
      for (let of = 0; of < BURST; of += 1) {
        const data = { saidAt: performance.now(), text: "x".repeat(100) };
        room.speaker.send(JSON.stringify({ type: "say", room: name, data }));
      }
      await room.heard((from + n + BURST) * MEMBERS);
    }
  };
  // Presence settles, and code is warm.
  await say(0, 40);
  room.latenciesMs.length = 0;
  const before = cpuMicros();
  const started = performance.now();
  await say(40, MESSAGES);
  const deliveries = MESSAGES * MEMBERS;
  const seconds = (performance.now() - started) / 1000;
  const result = {
    microsPerDelivery: (cpuMicros() - before) / deliveries,
    deliveriesPerSecond: deliveries / seconds,
    p50Ms: percentile(room.latenciesMs, 0.5) ?? Number.NaN,
    p99Ms: percentile(room.latenciesMs, 0.99) ?? Number.NaN,
  };
  room.close();
  return result;
}
