/**
 * `npm run bench`: what a job, an event and an idle connection cost the server, each beside what the bare runtime takes
 * for the same traffic in the same minutes. The machine is shared and noisy: read the ratios. `npm run bench -- first`
 * prints only how long a first token and a first sound take, `npm run bench -- nodes` what a second node costs,
 * `npm run bench -- rooms` what it costs a room to be spread over two, `npm run bench -- capacity` what grows with what,
 * `npm run bench -- trickle` what slow streams cost the nodes, and one that has no part in them.
 */
import { capacityTable } from "./capacity.ts";
import { firstTable } from "./first-table.ts";
import { measureFanOut, MEMBERS } from "./fan-out.ts";
import { nodesTable } from "./nodes.ts";
import { roomsTable } from "./rooms.ts";
import { startMeasured, type Measured } from "./process.ts";
import { trickleTable } from "./trickle.ts";

const SUBMITS = 4000;
const IN_FLIGHT = 32;
const STREAMS = 10;
const TOKENS = 4000;
const CONNECTIONS = 2000;

const NO_LIMITS = {
  HOLDLINE_RATE_PER_MINUTE: "0",
  HOLDLINE_FRAMES_PER_MINUTE: "0",
  HOLDLINE_USER_JOBS: "0",
  HOLDLINE_QUEUE_JOBS: "0",
  HOLDLINE_USER_SESSIONS: "0",
};

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function connect(url: string): Promise<{ socket: WebSocket; welcome: Promise<string> }> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`, ["holdline.v1"]);
  return new Promise((done, fail) => {
    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(String(data)) as { type: string; token?: string };
      if (frame.type === "welcome") resolve(frame.token ?? "");
    });
    socket.addEventListener("open", () => done({ socket, welcome: promise }));
    socket.addEventListener("error", fail);
  });
}

async function post(url: string, token: string, input: object): Promise<void> {
  const response = await fetch(`${url}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ type: "tokens", input }),
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

/** CPU of the server for each of `count` posts, in microseconds. */
async function measurePosts(server: Measured, token: string, count: number): Promise<number> {
  const input = { tokens: 1, size: 16, intervalMs: 0 };
  let left = count;
  const before = server.cpuMicros();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (left > 0) {
        left -= 1;
        await post(server.url, token, input);
      }
    }),
  );
  return (server.cpuMicros() - before) / count;
}

/** Accepting alone: the one slot is taken, so everything stays in the queue. */
async function measureAccept(): Promise<number> {
  const server = await startMeasured("src/main.ts serve", { ...NO_LIMITS, HOLDLINE_CONCURRENCY: "1" });
  const { socket, welcome } = await connect(server.url);
  const token = await welcome;
  socket.close();
  await post(server.url, token, { tokens: 100_000, size: 1, intervalMs: 60_000 });
  await measurePosts(server, token, 500);
  const micros = await measurePosts(server, token, SUBMITS);
  await server.stop();
  return micros;
}

/** Resolves when `count` frames of a kind that `counts` takes have arrived. */
function received(socket: WebSocket, count: number, counts: (data: string) => boolean): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      if (counts(String(data))) left -= 1;
      if (left === 0) resolve();
    });
  });
}

interface Delivery {
  readonly microsPerEvent: number;
  readonly eventsPerSecond: number;
}

async function measureDelivery(): Promise<Delivery> {
  const server = await startMeasured("src/main.ts serve", NO_LIMITS);
  const { socket, welcome } = await connect(server.url);
  const token = await welcome;
  const all = received(socket, STREAMS * TOKENS, (data) => data.includes('"kind":"output.text"'));
  const before = server.cpuMicros();
  const started = performance.now();
  await Promise.all(
    Array.from({ length: STREAMS }, () =>
      post(server.url, token, { tokens: TOKENS, size: 32, intervalMs: 0 }),
    ),
  );
  await all;
  const seconds = (performance.now() - started) / 1000;
  const events = STREAMS * TOKENS;
  const result = {
    microsPerEvent: (server.cpuMicros() - before) / events,
    eventsPerSecond: events / seconds,
  };
  socket.close();
  await server.stop();
  return result;
}

async function measureBareDelivery(server: Measured): Promise<number> {
  const { socket } = await connect(server.url);
  const events = STREAMS * TOKENS;
  const all = received(socket, events, () => true);
  const before = server.cpuMicros();
  socket.send(String(events));
  await all;
  const micros = (server.cpuMicros() - before) / events;
  socket.close();
  return micros;
}

async function measureIdle(script: string, welcomed: boolean): Promise<number> {
  const server = await startMeasured(script, NO_LIMITS);
  const open = async (): Promise<WebSocket> => {
    const { socket, welcome } = await connect(server.url);
    if (welcomed) await welcome;
    return socket;
  };
  const sockets = [];
  for (let i = 0; i < 100; i += 1) sockets.push(await open());
  const before = server.residentBytes();
  for (let i = 0; i < CONNECTIONS; i += 50)
    sockets.push(...(await Promise.all(Array.from({ length: 50 }, open))));
  const bytes = (server.residentBytes() - before) / CONNECTIONS;
  for (const socket of sockets) socket.close();
  await server.stop();
  return bytes;
}

const table = {
  nodes: nodesTable,
  rooms: roomsTable,
  capacity: capacityTable,
  first: firstTable,
  trickle: trickleTable,
}[String(Bun.argv[2])];
if (table !== undefined) {
  for (const line of await table()) say(line);
  process.exit(0);
}

const bare = await startMeasured("test/bench/baseline.ts");
await measurePosts(bare, "none", 500);
const barePost = await measurePosts(bare, "none", SUBMITS);
const accept = await measureAccept();
const bareEvent = await measureBareDelivery(bare);
const bareRoom = await measureFanOut([bare], (text) => text.includes('"ok"'));
await bare.stop();
const housed = await startMeasured("src/main.ts serve", NO_LIMITS);
const room = await measureFanOut([housed], (text) => text.includes('"ok"'));
await housed.stop();
const delivery = await measureDelivery();
const bareIdle = await measureIdle("test/bench/baseline.ts", false);
const idle = await measureIdle("src/main.ts serve", true);

const row = (what: string, ours: number, theirs: number, unit: string): void =>
  say(
    `${what.padEnd(34)} ${ours.toFixed(1).padStart(9)} ${unit}   bare ${theirs.toFixed(1).padStart(8)}   ×${(ours / theirs).toFixed(1)}`,
  );
say(`server CPU and memory; ${SUBMITS} submits, ${STREAMS * TOKENS} events, ${CONNECTIONS} connections`);
row("CPU per accepted job (durable)", accept, barePost, "µs");
row("CPU per delivered event (durable)", delivery.microsPerEvent, bareEvent, "µs");
row("memory per idle connection", idle / 1024, bareIdle / 1024, "kB");
row(`CPU per member of a room of ${MEMBERS}`, room.microsPerDelivery, bareRoom.microsPerDelivery, "µs");
row(`p99 of a message to ${MEMBERS}`, room.p99Ms, bareRoom.p99Ms, "ms");
say(
  `room messages × members per second ${Math.round(room.deliveriesPerSecond)}   bare ${Math.round(bareRoom.deliveriesPerSecond)}`,
);
say(`events delivered per second        ${Math.round(delivery.eventsPerSecond)}`);

for (const line of await firstTable()) say(line);
process.exit(0);
