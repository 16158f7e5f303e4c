/** One socket's life as the connection needs it: opened with subprotocols, watched for silence, cut without goodbye. */
import type { ClientClock, ClientTimer } from "./clock.ts";

/** The part of the browser's WebSocket that is used; a simulation passes a class that has it. */
export interface SocketLike {
  binaryType: BinaryType;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type SocketClass = new (url: string, protocols: string[]) => SocketLike;

export interface Wire {
  send(text: string): void;
  /** From now on a silence longer than this ends the wire. */
  expect(silenceMs: number): void;
  /** Closes at once and reports nothing more. */
  cut(): void;
}

export interface WireOptions {
  readonly socketClass: SocketClass;
  readonly clock: ClientClock;
  readonly url: string;
  readonly protocols: string[];
  /** Longest silence, at first: until the handshake is done and the server has spoken. */
  readonly silenceMs: number;
  onMessage(data: unknown): void;
  /** Called once, unless it was cut. `code` 1006 when the network or the silence ended it. */
  onClose(code: number): void;
}

const NO_CLOSE_FRAME = 1006;

/** Opens a socket. A URL or subprotocol the runtime refuses is reported through `onClose`, like any failure. */
export function openWire(options: WireOptions): Wire {
  const { clock } = options;
  let silenceMs = options.silenceMs;
  let heardAtMs = clock.steadyMs();
  let timer: ClientTimer | null = null;
  let socket: SocketLike | null = null;

  function release(): SocketLike | null {
    const held = socket;
    socket = null;
    timer?.cancel();
    timer = null;
    if (held === null) return null;
    held.onmessage = null;
    held.onclose = null;
    // An error without a listener would be thrown by some runtimes; the close that follows says enough.
    held.onerror = () => undefined;
    return held;
  }
  function end(code: number): void {
    const held = release();
    if (held === null) return;
    closeQuietly(held);
    options.onClose(code);
  }
  // One timer looks again when it fires, rather than one being set anew on every frame.
  function watch(): void {
    const leftMs = heardAtMs + silenceMs - clock.steadyMs();
    if (leftMs <= 0) end(NO_CLOSE_FRAME);
    else timer = clock.after(leftMs, watch);
  }

  try {
    socket = new options.socketClass(options.url, options.protocols);
  } catch {
    timer = clock.after(0, () => options.onClose(NO_CLOSE_FRAME));
    return { send: () => undefined, expect: () => undefined, cut: () => timer?.cancel() };
  }
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => {
    heardAtMs = clock.steadyMs();
    options.onMessage(event.data);
  };
  socket.onclose = (event) => end(event.code);
  socket.onerror = () => undefined;
  watch();

  return {
    send(text) {
      try {
        socket?.send(text);
      } catch {
        // A socket that is closing already: its close event is on the way.
      }
    },
    expect(nextMs) {
      silenceMs = nextMs;
      timer?.cancel();
      watch();
    },
    cut() {
      const held = release();
      if (held !== null) closeQuietly(held);
    },
  };
}

function closeQuietly(socket: SocketLike): void {
  try {
    socket.close();
  } catch {
    // Closed already, or never opened.
  }
}
