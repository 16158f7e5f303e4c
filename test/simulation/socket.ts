/** One simulated WebSocket with both of its ends: in order, with a window, and with every way to end badly. */
import type { ServerWebSocket } from "bun";
import type { SocketLike } from "../../src/client/socket.ts";
import type { SocketData } from "../../src/ws/sockets.ts";
import type { Link, Listener } from "./network.ts";
import { Pipe } from "./pipe.ts";
import { violate, type Scene } from "./scene.ts";
import type { Process } from "./timeline.ts";

const NO_CLOSE_FRAME = 1006;
/** What a client may close with when it says nothing. */
const NORMAL = 1005;

/** Hears what the server does with a socket, in the moment in which it does it. */
export interface SocketWatch {
  sent(socket: SimulatedSocket, data: string | Uint8Array): void;
  closed(socket: SimulatedSocket): void;
  received(socket: SimulatedSocket, data: string): void;
}

type Data = string | Uint8Array<ArrayBuffer>;

function sizeOf(data: Data): number {
  return typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
}

export interface SocketParts {
  readonly scene: Scene;
  readonly link: Link;
  readonly owner: Process;
  readonly listener: Listener;
  readonly watch: SocketWatch;
  readonly number: number;
  readonly client: SocketLike;
}

export class SimulatedSocket {
  readonly #parts: SocketParts;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  /** What the server handed over and the window does not hold. */
  readonly #waiting: { readonly data: Data; readonly bytes: number }[] = [];
  #buffered = 0;
  #clientOpen = true;
  #serverOpen = true;
  /** Neither end ever hears of the other again. */
  #dead = false;
  /** Nothing in either direction until then. */
  darkUntilMs = 0;
  readonly server: ServerWebSocket<SocketData>;

  constructor(parts: SocketParts, data: SocketData) {
    this.#parts = parts;
    const { scene, link } = parts;
    const dark = (): number =>
      this.#dead ? Number.POSITIVE_INFINITY : scene.faulty ? Math.max(this.darkUntilMs, link.darkUntilMs) : 0;
    const { timeline } = scene;
    this.#toServer = new Pipe({ timeline, latencyMs: () => link.latencyMs(), darkUntilMs: dark });
    this.#toClient = new Pipe({
      timeline,
      latencyMs: () => link.latencyMs() + link.readMs(),
      darkUntilMs: dark,
      onDelivered: () => this.#refill(),
    });
    const end: Pick<ServerWebSocket<SocketData>, "data" | "send" | "close" | "cork" | "getBufferedAmount"> = {
      data,
      send: (piece) => this.#send(piece as Data),
      close: (code, reason) => this.#closeByServer(code ?? NORMAL, reason ?? ""),
      cork: (run) => run(end as ServerWebSocket<SocketData>),
      getBufferedAmount: () => this.#buffered,
    };
    this.server = end as ServerWebSocket<SocketData>;
  }

  get name(): string {
    return `${this.#parts.link.name}#${this.#parts.number}`;
  }

  get owner(): Process {
    return this.#parts.owner;
  }

  /** Of the server that holds it. */
  get process(): Process {
    return this.#parts.listener.process;
  }

  get isOpen(): boolean {
    return this.#serverOpen;
  }

  get buffered(): number {
    return this.#buffered;
  }

  #later(run: () => void): void {
    const { scene, listener } = this.#parts;
    scene.timeline.after(0, run, listener.process);
  }

  #send(data: Data): number {
    const { scene, listener, watch } = this.#parts;
    if (!listener.process.alive) return 0;
    if (!this.#serverOpen) return 0;
    const bytes = sizeOf(data);
    watch.sent(this, data);
    const limit = listener.options.websocket.backpressureLimit ?? Number.POSITIVE_INFINITY;
    if (this.#buffered + bytes > limit) {
      violate(scene, "queues are bounded", `${this.name} was given more than the runtime holds`);
      return 0;
    }
    const { windowBytes } = scene.faults;
    if (this.#buffered === 0 && (this.#toClient.bytes === 0 || this.#toClient.bytes + bytes <= windowBytes)) {
      this.#launch(data, bytes);
      return bytes;
    }
    this.#waiting.push({ data, bytes });
    this.#buffered += bytes;
    return -1;
  }

  #launch(data: Data, bytes: number): void {
    // The client gets a copy: the server may use its buffer again.
    const piece = typeof data === "string" ? data : data.slice().buffer;
    this.#toClient.push(bytes, () => {
      const { client, owner } = this.#parts;
      if (this.#clientOpen && owner.alive) client.onmessage?.({ data: piece } as MessageEvent);
    });
  }

  #refill(): void {
    if (this.#buffered === 0) return;
    const { windowBytes } = this.#parts.scene.faults;
    for (
      let next = this.#waiting[0];
      next !== undefined && (this.#toClient.bytes === 0 || this.#toClient.bytes + next.bytes <= windowBytes);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#buffered -= next.bytes;
      this.#launch(next.data, next.bytes);
    }
    if (this.#buffered === 0 && this.#serverOpen) {
      this.#parts.scene.sometimes.reached("a paused socket drains");
      this.#later(() => {
        if (this.#serverOpen) void this.#parts.listener.options.websocket.drain?.(this.server);
      });
    }
  }

  /** The server will hear of the close, once. */
  #serverGone(code: number): void {
    if (!this.#serverOpen) return;
    this.#serverOpen = false;
    const { listener, watch } = this.#parts;
    watch.closed(this);
    listener.sockets.delete(this);
    if (listener.process.alive) void listener.options.websocket.close?.(this.server, code, "");
    listener.emptied();
  }

  #clientGone(code: number): void {
    if (!this.#clientOpen) return;
    this.#clientOpen = false;
    const { client, owner } = this.#parts;
    if (owner.alive) client.onclose?.({ code } as CloseEvent);
  }

  #closeByServer(code: number, reason: string): void {
    const { scene, listener } = this.#parts;
    if (!listener.process.alive || !this.#serverOpen) return;
    scene.trace.note(`${this.name} closed by the server: ${code} ${reason}`);
    scene.sometimes.reached(`a socket is closed: ${reason}`);
    // What waits goes out before the close frame does.
    for (const { data, bytes } of this.#waiting.splice(0)) this.#launch(data, bytes);
    this.#buffered = 0;
    this.#toClient.push(2, () => this.#clientGone(code));
    if (scene.faults.closesAtOnce) this.#serverGone(code);
    else this.#later(() => this.#serverGone(code));
  }

  /** The client sends a frame. */
  push(text: string): void {
    if (!this.#clientOpen) return;
    this.#toServer.push(text.length, () => {
      const { listener, watch } = this.#parts;
      if (!this.#serverOpen || !listener.process.alive) return;
      this.#later(() => {
        if (!this.#serverOpen) return;
        watch.received(this, text);
        void listener.options.websocket.message?.(this.server, text);
      });
    });
  }

  /** The client closes, or its page is gone. */
  closeByClient(): void {
    if (!this.#clientOpen) return;
    this.#clientOpen = false;
    this.#toServer.push(2, () => this.#later(() => this.#serverGone(NORMAL)));
  }

  /** Cut in the middle: each end hears of it in its own time, and what was under way is lost. */
  cut(): void {
    const { scene, link } = this.#parts;
    this.#toServer.cut();
    this.#toClient.cut();
    this.#waiting.length = 0;
    this.#later(() => this.#serverGone(NO_CLOSE_FRAME));
    scene.timeline.after(link.latencyMs(), () => this.#clientGone(NO_CLOSE_FRAME));
  }

  /** The cable is pulled: nobody hears anything, not even of the end. */
  die(): void {
    this.#dead = true;
  }

  /** The process that held it is gone: its kernel says so, unless the whole host went down. */
  serverDied(silently: boolean): void {
    this.#serverOpen = false;
    if (silently) this.#dead = true;
    else {
      this.#waiting.length = 0;
      this.#toClient.push(0, () => this.#clientGone(NO_CLOSE_FRAME));
    }
  }
}
