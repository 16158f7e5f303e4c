/** The bad network itself: each kind of weather does what it says, and a seed brings the same weather again. */
import { expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { openTcp } from "../support/raw.ts";
import { letTimePass, until } from "../support/wait.ts";
import { createRandom, startProxy, type Link, type Proxy } from "./proxy.ts";

interface Echo extends AsyncDisposable {
  readonly port: number;
  /** Sizes of the pieces that arrived, and how the connections ended. */
  readonly pieces: number[];
  readonly ends: string[];
}

/** Sends back what it gets. */
async function startEcho(): Promise<Echo> {
  const pieces: number[] = [];
  const ends: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("data", (bytes: Buffer) => {
      pieces.push(bytes.length);
      socket.write(bytes);
    });
    socket.on("end", () => ends.push("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => ends.push(error.code ?? error.message));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    pieces,
    ends,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

interface Caller {
  readonly socket: Socket;
  readonly link: Link;
  readonly got: () => string;
  /** How the connection ended; null while it lives. */
  readonly ended: () => string | null;
}

async function call(proxy: Proxy): Promise<Caller> {
  const socket = await openTcp(proxy.port);
  let got = "";
  let ended: string | null = null;
  socket.on("data", (bytes: Buffer) => {
    got += bytes.toString("latin1");
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    ended = error.code ?? error.message;
  });
  socket.on("close", () => {
    ended ??= "end";
  });
  const link = await until("the proxy to see the connection", () => proxy.links.at(-1));
  return { socket, link, got: () => got, ended: () => ended };
}

test("good weather passes everything, and an end passes too", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ to: echo.port });
  const { socket, got, ended, link } = await call(proxy);
  const text = "0123456789".repeat(50_000);
  socket.write(text);
  await until("all of it to come back", () => got().length === text.length);
  expect(got()).toBe(text);
  expect(link.passed).toEqual({ up: text.length, down: text.length });
  socket.end();
  await until("the end to pass", () => ended() === "end" && echo.ends.includes("end"));
});

test("delay and throttle take their time, pieces are as small as asked", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ to: echo.port });
  proxy.plan((connection) => (connection === 0 ? { up: { pieceBytes: 1 }, down: { delayMs: 150 } } : {}));
  const slow = await call(proxy);
  const startedMs = performance.now();
  slow.socket.write("hello");
  await until("it to come back", () => slow.got() === "hello");
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(150);
  expect(Math.max(...echo.pieces)).toBeLessThan(5);

  proxy.plan({ down: { bytesPerSecond: 20_000 } });
  const thin = await call(proxy);
  const thinMs = performance.now();
  thin.socket.write("x".repeat(10_000));
  await until("it to come back", () => thin.got().length === 10_000);
  expect(performance.now() - thinMs).toBeGreaterThan(400);
});

test("a cut comes after exactly k bytes, in order or by a reset", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ to: echo.port });
  for (const cutBy of ["end", "reset"] as const) {
    proxy.plan({ down: { cutAfterBytes: 7 }, cutBy });
    const { socket, got, ended, link } = await call(proxy);
    socket.write("0123456789");
    await until("the cut", ended);
    // A reset may overtake what was on its way.
    if (cutBy === "end") expect(got()).toBe("0123456");
    expect(link.passed.down).toBe(7);
    expect(ended()).toBe(cutBy === "end" ? "end" : "ECONNRESET");
    expect(link.closed).toBe(true);
  }
});

test("a blackhole passes nothing in its direction, tells nobody of an end, and gives all back when it heals", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ to: echo.port });
  const { socket, link, got, ended } = await call(proxy);
  socket.write("a");
  await until("it to come back", () => got() === "a");
  link.blackhole("down");
  socket.write("b");
  await until("the other direction to pass", () => echo.pieces.length === 2);
  link.blackhole("both");
  socket.write("c");
  await letTimePass(50);
  expect([got(), echo.pieces.length]).toEqual(["a", 2]);
  link.heal();
  await until("it all to come back", () => got() === "abc");
  link.blackhole("both");
  socket.destroy();
  await letTimePass(50);
  expect(echo.ends).toEqual([]);
  link.heal();
  await until("the end to be heard", () => echo.ends.length === 1);
  expect(ended()).toBe("end");
});

test("the same seed draws the same weather", async () => {
  const draw = (seed: number): number[] => {
    const random = createRandom(seed);
    return Array.from({ length: 1000 }, () => random());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  for (const value of draw(7)) expect(value >= 0 && value < 1).toBe(true);
  const mean = draw(7).reduce((sum, value) => sum + value, 0) / 1000;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);

  await using echo = await startEcho();
  const cuts: number[][] = [[], []];
  for (const run of cuts) {
    await using proxy = await startProxy({ to: echo.port, seed: 11 });
    proxy.plan((_connection, random) => {
      const cutAfterBytes = 1 + Math.floor(random() * 1000);
      run.push(cutAfterBytes);
      return { down: { cutAfterBytes } };
    });
    for (let n = 0; n < 3; n += 1) (await call(proxy)).socket.destroy();
  }
  expect(cuts[0]).toEqual(cuts[1] ?? []);
});
