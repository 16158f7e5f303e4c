/** The simulated network between clients and the servers: sockets and HTTP calls, with everything that befalls them. */
import type { Server } from "bun";
import type { Fetch } from "../../src/client/api.ts";
import type { SocketClass, SocketLike } from "../../src/client/socket.ts";
import type { ServeOptions } from "../../src/world.ts";
import type { SocketData } from "../../src/ws/sockets.ts";
import type { Random } from "./random.ts";
import { createCalls, type HttpWatch } from "./calls.ts";
import { strikes, type Scene } from "./scene.ts";
import { SimulatedSocket, type SocketWatch } from "./socket.ts";
import type { Process } from "./timeline.ts";

/** Where the server is, as every client knows it. */
export const SERVER_URL = "http://holdline.test";

/** The way of one client to the server. */
export interface Link {
  readonly name: string;
  darkUntilMs: number;
  latencyMs(): number;
  /** How long its reader takes for each piece. */
  readMs(): number;
}

/** A process that takes connections. */
export interface Listener {
  readonly process: Process;
  readonly options: ServeOptions;
  readonly sockets: Set<SimulatedSocket>;
  open: boolean;
  /** Called when a socket is gone. */
  emptied(): void;
}

export interface Network {
  listen(process: Process, options: ServeOptions): Server<SocketData>;
  /** The process is gone. `silently`: with its host, so that nobody is told. */
  died(process: Process, silently: boolean): void;
  createLink(name: string, random: Random): Link;
  /** The page `owner` opens sockets with this. */
  socketClass(link: Link, owner: Process): SocketClass;
  readonly fetch: (link: Link, owner: Process) => Fetch;
  /** A page is gone: its sockets are closed by its browser. */
  left(owner: Process): void;
  /** Sockets that are open at the server. */
  sockets(): readonly SimulatedSocket[];
}

export function createNetwork(scene: Scene, watch: SocketWatch & HttpWatch): Network {
  const { timeline, faults } = scene;
  const random = scene.random.fork();
  const listeners = new Set<Listener>();
  let count = 0;
  const addresses = new WeakMap<Request, string>();
  const upgrades = new WeakMap<Request, (data: SocketData) => void>();
  /** Whoever stands in front of the nodes sends each call to any of them. */
  const reachable = (): Listener | null => {
    const open = [...listeners].filter((listener) => listener.open && listener.process.alive);
    return open.length > 1 ? random.pick(open) : (open[0] ?? null);
  };

  /** Runs when `link` lets something through. */
  const through = (link: Link, run: () => void): void => {
    timeline.after(link.latencyMs(), () => {
      const darkMs = scene.faulty ? link.darkUntilMs - timeline.nowMs : 0;
      if (darkMs > 0) timeline.after(Math.min(darkMs, 1000), () => through(link, run));
      else run();
    });
  };

  const listen = (process: Process, options: ServeOptions): Server<SocketData> => {
    const waiting: (() => void)[] = [];
    const own: Listener = {
      process,
      options,
      sockets: new Set(),
      open: true,
      emptied() {
        if (own.open || own.sockets.size > 0) return;
        for (const resolve of waiting.splice(0)) resolve();
      },
    };
    listeners.add(own);
    const server: Pick<Server<SocketData>, "port" | "url" | "requestIP" | "timeout" | "stop" | "upgrade"> = {
      port: 80,
      url: new URL(SERVER_URL),
      requestIP: (request) => ({ address: addresses.get(request) ?? "0.0.0.0", family: "IPv4", port: 1 }),
      timeout: () => undefined,
      upgrade(request, upgradeOptions) {
        const open = upgrades.get(request);
        if (open === undefined) return false;
        open((upgradeOptions as { data: SocketData }).data);
        return true;
      },
      stop(force) {
        own.open = false;
        // As the runtime has it: a stop that does not force waits for every socket.
        if (force === true) for (const socket of own.sockets) socket.cut();
        if (own.sockets.size === 0 || force === true) return Promise.resolve();
        return new Promise((resolve) => waiting.push(resolve));
      },
    };
    return server as Server<SocketData>;
  };

  const connect = (link: Link, owner: Process, client: SocketLike, protocols: string[], seat: Seat): void => {
    through(link, () => {
      if (!owner.alive || seat.closed) return;
      const target = reachable();
      const refuse = (): void =>
        through(link, () => {
          if (owner.alive && !seat.closed) client.onclose?.({ code: 1006 } as CloseEvent);
        });
      if (target === null || strikes(scene, random, faults.lostRequest)) {
        refuse();
        return;
      }
      const request = new Request(`${SERVER_URL}/v1/connect`, {
        headers: { Upgrade: "websocket", "Sec-WebSocket-Protocol": protocols.join(", ") },
      });
      addresses.set(request, link.name);
      upgrades.set(request, (data) => {
        count += 1;
        const socket = new SimulatedSocket(
          { scene, link, owner, listener: target, watch, number: count, client },
          data,
        );
        seat.socket = socket;
        target.sockets.add(socket);
        scene.trace.note(`${socket.name} opens`);
        void target.options.websocket.open?.(socket.server);
        if (!owner.alive || seat.closed) socket.closeByClient();
      });
      timeline.after(
        0,
        () => {
          void target.options.fetch(request).then((response) => {
            if (response !== undefined) refuse();
          });
        },
        target.process,
      );
    });
  };

  const socketClass = (link: Link, owner: Process): SocketClass =>
    class implements SocketLike {
      binaryType: BinaryType = "blob";
      onmessage: SocketLike["onmessage"] = null;
      onclose: SocketLike["onclose"] = null;
      onerror: SocketLike["onerror"] = null;
      readonly #seat: Seat = { socket: null, closed: false };
      constructor(_url: string, protocols: string[]) {
        connect(link, owner, this, protocols, this.#seat);
      }
      send(data: string): void {
        this.#seat.socket?.push(data);
      }
      close(): void {
        this.#seat.closed = true;
        this.#seat.socket?.closeByClient();
      }
    };

  const calls = createCalls({
    scene,
    random,
    watch,
    reachable,
    through,
    addressed: (request, link) => void addresses.set(request, link.name),
  });

  return {
    listen,
    died(process, silently) {
      for (const listener of listeners) {
        if (listener.process !== process) continue;
        for (const socket of listener.sockets) socket.serverDied(silently);
        listeners.delete(listener);
      }
      calls.died(process);
    },
    createLink(name, own) {
      const readMs = own.chance(faults.slowReaders) ? own.between(1, 400) : 0;
      return {
        name,
        darkUntilMs: 0,
        latencyMs() {
          const ms = 0.05 + own.next() * faults.latencyMs;
          return strikes(scene, own, faults.spikes) ? ms + own.next() * 3000 : ms;
        },
        readMs: () => (scene.faulty ? own.next() * readMs : 0),
      };
    },
    socketClass,
    fetch: calls.fetch,
    left(owner) {
      for (const { sockets } of listeners)
        for (const socket of sockets) if (socket.owner === owner) socket.closeByClient();
    },
    sockets: () => [...listeners].flatMap(({ sockets }) => Array.from(sockets)),
  };
}

/** What a client's socket is on the wire; nothing until the handshake. */
interface Seat {
  socket: SimulatedSocket | null;
  closed: boolean;
}
