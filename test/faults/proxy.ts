/**
 * A bad network between real clients and a real server: our own TCP proxy, which delays, throttles, splits, cuts and
 * swallows what passes. Whatever it chooses it draws from one seed, so that a run can be had again.
 *
 * A blackhole is a network that went away: nothing is read any more, so nothing is acknowledged to the sender either, and
 * neither side learns that the other one closed. What was sent meanwhile arrives when it is healed, as TCP would have it.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** From 0 to 1 (exclusive), the same row of numbers for the same seed (mulberry32). */
export type Random = () => number;

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What happens to the bytes of one direction. */
export interface Weather {
  /** Every piece arrives this much later. */
  readonly delayMs?: number;
  /** No more than this is passed on; the reader behind it is slow. */
  readonly bytesPerSecond?: number;
  /** Written in pieces of this size, each by itself. */
  readonly pieceBytes?: number;
  /** The whole connection ends after this many bytes of this direction. */
  readonly cutAfterBytes?: number;
}

export interface Plan {
  /** From the client to the server. */
  readonly up?: Weather;
  readonly down?: Weather;
  /** How a cut ends the connection: in order, or by a reset. */
  readonly cutBy?: "end" | "reset";
}

export type Direction = "up" | "down" | "both";

/** One connection through the proxy. */
export interface Link {
  readonly closed: boolean;
  /** Bytes that were passed on. */
  readonly passed: { readonly up: number; readonly down: number };
  /** Nothing passes any more, and nobody is told. */
  blackhole(direction: Direction): void;
  heal(): void;
  /** Ends it for both sides now. */
  cut(by: "end" | "reset"): void;
}

export interface Proxy extends AsyncDisposable {
  readonly seed: number;
  readonly port: number;
  readonly url: string;
  /** Connections so far, the oldest first. */
  readonly links: readonly Link[];
  /** For the connections to come; the n-th one (from 0) gets `plan(n, random)`. */
  plan(plan: Plan | ((connection: number, random: Random) => Plan)): void;
}

export interface ProxyOptions {
  readonly to: number;
  /** Drawn when absent. */
  readonly seed?: number;
}

/** What one direction holds back at most; beyond it the sender has to wait. */
const HELD_BYTES = 64 * 1024;

interface Piece {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

interface Pipe {
  /** Bytes that were passed on. */
  passed: number;
  dark: boolean;
  /** The source said that nothing more comes. */
  ended: boolean;
  heldBytes: number;
  readonly held: Piece[];
  /** Lets the pump look again. */
  wake: () => void;
}

interface PipeOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly weather: Weather;
  /** The byte at which everything ends was passed on. */
  readonly onCut: () => void;
}

/** Copies one direction for as long as both ends live. */
function startPipe({ from, to, weather, onCut }: PipeOptions): Pipe {
  const { delayMs = 0, bytesPerSecond, pieceBytes, cutAfterBytes } = weather;
  const pipe: Pipe = { passed: 0, dark: false, ended: false, heldBytes: 0, held: [], wake: () => undefined };
  from.on("data", (bytes: Buffer) => {
    pipe.held.push({ bytes, dueMs: performance.now() + delayMs });
    pipe.heldBytes += bytes.length;
    if (pipe.heldBytes > HELD_BYTES) from.pause();
    pipe.wake();
  });
  from.on("end", () => {
    pipe.ended = true;
    pipe.wake();
  });

  const news = (): Promise<void> =>
    new Promise((resolve) => {
      pipe.wake = resolve;
    });
  const write = async (bytes: Buffer): Promise<void> => {
    const left = cutAfterBytes === undefined ? bytes.length : cutAfterBytes - pipe.passed;
    const some = bytes.subarray(0, left);
    const taken = to.write(some);
    pipe.passed += some.length;
    if (pipe.passed === cutAfterBytes) onCut();
    if (!taken && !to.destroyed) {
      await new Promise<void>((resolve) => {
        to.once("drain", resolve);
        to.once("close", resolve);
      });
    }
    if (bytesPerSecond !== undefined) await Bun.sleep((some.length / bytesPerSecond) * 1000);
    else if (pieceBytes !== undefined) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = async ({ bytes, dueMs }: Piece): Promise<void> => {
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    // A throttled direction goes in pieces of a twentieth of a second, or it would be bursts.
    const most = pieceBytes ?? Math.max(1, Math.floor((bytesPerSecond ?? Number.POSITIVE_INFINITY) / 20));
    for (let at = 0; at < bytes.length && !to.destroyed; at += most) {
      while (pipe.dark && !to.destroyed) await news();
      await write(bytes.subarray(at, at + most));
    }
    pipe.heldBytes -= bytes.length;
    if (pipe.heldBytes <= HELD_BYTES && !pipe.dark) from.resume();
  };
  const pump = async (): Promise<void> => {
    while (!to.destroyed) {
      const piece = pipe.dark ? undefined : pipe.held.shift();
      if (piece !== undefined) await pass(piece);
      else if (pipe.ended && !pipe.dark) {
        to.end();
        return;
      } else await news();
    }
  };
  void pump();
  return pipe;
}

function startLink(client: Socket, target: number, plan: Plan): Link {
  const server = connect({ port: target, host: "127.0.0.1", noDelay: true });
  client.setNoDelay(true);
  const sockets = [client, server];
  const pipes: Pipe[] = [];
  let closed = false;
  let dark = false;
  const cut = (by: "end" | "reset"): void => {
    closed = true;
    for (const socket of sockets) {
      if (by === "reset") socket.resetAndDestroy();
      else socket.end(() => socket.destroy());
    }
    for (const pipe of pipes) pipe.wake();
  };
  const onCut = (): void => cut(plan.cutBy ?? "end");
  const up = startPipe({ from: client, to: server, weather: plan.up ?? {}, onCut });
  const down = startPipe({ from: server, to: client, weather: plan.down ?? {}, onCut });
  pipes.push(up, down);
  for (const socket of sockets) {
    // A broken connection is the matter here, not a mishap.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      // Through a blackhole nobody hears that the other side is gone.
      if (!dark && !closed) {
        closed = true;
        for (const other of sockets) other.destroy();
      }
      for (const pipe of pipes) pipe.wake();
    });
  }
  return {
    get closed() {
      return closed || sockets.some((socket) => socket.destroyed);
    },
    get passed() {
      return { up: up.passed, down: down.passed };
    },
    blackhole(direction) {
      dark = true;
      if (direction !== "down") {
        up.dark = true;
        client.pause();
      }
      if (direction !== "up") {
        down.dark = true;
        server.pause();
      }
    },
    heal() {
      dark = false;
      for (const pipe of pipes) pipe.dark = false;
      for (const socket of sockets) socket.resume();
      for (const pipe of pipes) pipe.wake();
      if (sockets.some((socket) => socket.destroyed)) cut("end");
    },
    cut,
  };
}

function listen(server: Server): Promise<number> {
  const listening = Promise.withResolvers<number>();
  server.once("error", listening.reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    listening.resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  return listening.promise;
}

/** A proxy in front of `to`, with good weather until it is told otherwise. */
export async function startProxy({ to, seed = drawSeed() }: ProxyOptions): Promise<Proxy> {
  const random = createRandom(seed);
  const links: Link[] = [];
  let planOf: (connection: number, random: Random) => Plan = () => ({});
  // Half-open is a state of its own: an end passes only when its pipe is empty.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    links.push(startLink(client, to, planOf(links.length, random)));
  });
  const port = await listen(server);
  return {
    seed,
    port,
    url: `http://127.0.0.1:${port}`,
    links,
    plan(plan) {
      planOf = typeof plan === "function" ? plan : () => plan;
    },
    async [Symbol.asyncDispose]() {
      for (const link of links) link.cut("reset");
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

/** The seed of a run: `HOLDLINE_TEST_SEED` when it is set, to have an earlier run again. */
export function drawSeed(): number {
  const given = process.env["HOLDLINE_TEST_SEED"];
  return given === undefined || given === "" ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}

/** Runs `test` with a seed that is named when it fails. */
export async function withSeed(test: (random: Random, seed: number) => Promise<void>): Promise<void> {
  const seed = drawSeed();
  try {
    await test(createRandom(seed), seed);
  } catch (cause) {
    throw new Error(`failed with HOLDLINE_TEST_SEED=${seed}: ${String(cause)}`, { cause });
  }
}
