/** Who comes before a server has started: waits, for a while and up to a number, and is not refused. */
import { expect, test } from "bun:test";
import { openDoor, type Door } from "../src/door.ts";
import { LIMITS } from "../src/protocol/limits.ts";
import type { ServeOptions } from "../src/world.ts";
import { createManualClock } from "./telemetry/manual-clock.ts";
import { freePort } from "./support/free-port.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/wait.ts";

const SIZES = { frameBytes: 65_536, queueBytes: 1_048_576, eventBytes: 1_048_576 };

interface Entrance extends Disposable {
  readonly door: Door;
  readonly url: string;
  readonly clock: ReturnType<typeof createManualClock>;
  /** What stands behind the door says hello, over HTTP and over a socket. */
  readonly inside: () => void;
}

async function entrance(): Promise<Entrance> {
  const clock = createManualClock();
  const port = await freePort();
  const door = openDoor({ ...SIZES, host: "127.0.0.1", port }, clock);
  if (door === null) throw new Error("the port is free");
  const options = {
    hostname: "127.0.0.1",
    port,
    reusePort: false,
    development: false,
    idleTimeout: 60,
    maxRequestBodySize: 1024,
    websocket: {
      open: (ws) => void ws.send("welcome"),
      message: (ws, message) => void ws.send(`you said ${String(message)}`),
    },
    fetch: async (request) => {
      if (request.headers.get("upgrade") === null) return new Response(await request.text());
      server.upgrade(request, { data: { offer: null, address: "", seat: null } });
      return undefined;
    },
  } satisfies ServeOptions as ServeOptions;
  let server: ReturnType<Door["serve"]>;
  return {
    door,
    url: `http://127.0.0.1:${port}`,
    clock,
    inside: () => void (server = door.serve(options)),
    [Symbol.dispose]: () => door.close(),
  };
}

const post = (url: string, body: string): Promise<Response> => fetch(url, { method: "POST", body });

test("a request and a socket that come before the start are answered by what has started", async () => {
  using at = await entrance();
  const answers = Array.from({ length: 20 }, (_, n) => post(at.url, `request ${n}`));
  const heard: unknown[] = [];
  const socket = new WebSocket(at.url.replace("http", "ws"));
  socket.addEventListener("message", ({ data }) => {
    if (heard.push(data) === 1) socket.send("thanks");
  });
  await until("all of them to stand there", () => at.door.waiting === answers.length + 1);
  at.inside();
  const texts = await Promise.all(answers.map(async (answer) => (await answer).text()));
  expect(texts).toEqual(texts.map((_, n) => `request ${n}`));
  await until("the socket to be heard", () => heard.length === 2);
  expect(heard).toEqual(["welcome", "you said thanks"]);
  socket.close();
});

async function expectNotYet(answer: Response): Promise<void> {
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("1");
  const problem = (await answer.json()) as { code: string; traceId: string; instance: string };
  expect(problem).toMatchObject({ code: "storage_unavailable", retryable: true, instance: "/v1/jobs" });
  expect(problem.traceId).toBe(answer.headers.get("x-trace-id") ?? "none");
}

test(`a start that takes longer than ${LIMITS.startWaitMs} ms is not waited for: 503, and a socket is refused`, async () => {
  using at = await entrance();
  const early = post(`${at.url}/v1/jobs`, "early");
  const closed = Promise.withResolvers<number>();
  new WebSocket(at.url.replace("http", "ws")).addEventListener("close", ({ code }) => closed.resolve(code));
  await until("both to stand there", () => at.door.waiting === 2);
  at.clock.advance(LIMITS.startWaitMs);
  await expectNotYet(await early);
  expect(await closed.promise).toBeGreaterThan(1000);
  await expectNotYet(await post(`${at.url}/v1/jobs`, "late"));
  at.inside();
  expect(await (await post(at.url, "now")).text()).toBe("now");
});

test(`${LIMITS.startWaiting} wait for a start; one more is told at once that it has to come again`, async () => {
  using at = await entrance();
  let [welcome, refused] = [0, 0];
  const sockets = Array.from({ length: LIMITS.startWaiting + 1 }, () => {
    const socket = new WebSocket(at.url.replace("http", "ws"));
    socket.addEventListener("message", () => (welcome += 1));
    socket.addEventListener("close", () => (refused += 1));
    return socket;
  });
  await until("one to be refused", () => refused > 0);
  at.inside();
  await until("the others to be let in", () => welcome === LIMITS.startWaiting);
  expect(refused).toBe(1);
  for (const socket of sockets) socket.close();
});

test("an address that is taken opens no door", async () => {
  using at = await entrance();
  const { port } = new URL(at.url);
  expect(openDoor({ ...SIZES, host: "127.0.0.1", port: Number(port) }, at.clock)).toBeNull();
});

test("a server that starts lets the first who come wait, and answers them", async () => {
  await using server = await startServer();
  await server.kill("SIGKILL");
  const answered = until("an answer", () => fetch(`${server.url}/v1/types`).catch(() => null));
  await server.restart();
  expect((await answered).status).toBe(401);
});
