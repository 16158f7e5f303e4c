/** A WebSocket by hand over TCP: can stop reading, send half a frame, or vanish, none of which the real class allows. */
import type { Socket } from "node:net";
import { openTcp, readHead, upgradeHeaders } from "./raw.ts";
import { within } from "./wait.ts";
import { type Frame, type ReceivedEvent, readBinaryFrame } from "./wire.ts";

const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawWebSocket {
  readonly tcp: Socket;
  /** JSON frames so far. */
  readonly frames: Frame[];
  /** Events in binary frames so far. */
  readonly binary: ReceivedEvent[];
  /** Bytes read from the connection, handshake included. */
  bytesRead(): number;
  closeCode(): number | null;
  send(frame: object): void;
  /** Stops taking bytes from the kernel: its buffers fill and the server feels it. */
  pause(): void;
  resume(): void;
  waitFor(what: string, test: (frame: Frame) => boolean, limitMs?: number): Promise<Frame>;
  destroy(): void;
}

/** A client's frame: always masked (RFC 6455 section 5.3), here with a mask of zeros. */
export function maskedFrame(opcode: number, payload: Uint8Array): Buffer {
  const length = payload.byteLength;
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + size + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) frame.writeUInt16BE(length, 2);
  if (size === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(payload, 2 + size + 4);
  return frame;
}

interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly length: number;
}

/** The first frame in `bytes`, or null while it is not complete. Servers do not fragment or mask here. */
function readServerFrame(bytes: Buffer, at: number): ServerFrame | null {
  if (bytes.length < at + 2) return null;
  const short = bytes.readUInt8(at + 1) & 0x7f;
  const size = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = at + 2 + size;
  if (bytes.length < start) return null;
  const length =
    size === 0 ? short : size === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
  if (bytes.length < start + length) return null;
  return {
    opcode: bytes.readUInt8(at) & 0x0f,
    payload: bytes.subarray(start, start + length),
    length: start + length - at,
  };
}

interface Reader {
  readonly frames: Frame[];
  readonly binary: ReceivedEvent[];
  closeCode: number | null;
  changed(): void;
}

function take(tcp: Socket, reader: Reader, frame: ServerFrame): void {
  if (frame.opcode === OPCODE.ping) tcp.write(maskedFrame(OPCODE.pong, frame.payload));
  if (frame.opcode === OPCODE.close)
    reader.closeCode = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
  if (frame.opcode === OPCODE.binary) reader.binary.push(readBinaryFrame(new Uint8Array(frame.payload)));
  if (frame.opcode !== OPCODE.text) return;
  const json = JSON.parse(frame.payload.toString("utf8")) as Frame;
  reader.frames.push(json);
  if (json.type === "ping") {
    tcp.write(maskedFrame(OPCODE.text, Buffer.from(JSON.stringify({ type: "pong", at: json.at }))));
  }
}

function shakeHands(tcp: Socket, port: number, protocols: string): Promise<Buffer> {
  const lines = [
    `Host: 127.0.0.1:${port}`,
    ...upgradeHeaders(protocols).map(([name, value]) => `${name}: ${value}`),
  ];
  tcp.write(`GET /v1/connect HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  let bytes: Buffer = Buffer.alloc(0);
  const done = Promise.withResolvers<Buffer>();
  const onData = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    const head = readHead(bytes);
    if (head === null) return;
    tcp.off("data", onData);
    if (head.status === 101) done.resolve(bytes.subarray(head.length));
    else done.reject(new Error(`handshake answered ${head.status}`));
  };
  tcp.on("data", onData);
  return within("the handshake", done.promise);
}

/** Connects and shakes hands; frames are read and pings answered from then on. */
export async function openRawWebSocket(port: number, token?: string): Promise<RawWebSocket> {
  const tcp = await openTcp(port);
  tcp.on("error", () => undefined);
  const watchers = new Set<() => void>();
  const reader: Reader = {
    frames: [],
    binary: [],
    closeCode: null,
    changed: () => {
      for (const watcher of watchers) watcher();
    },
  };
  let rest: Buffer = await shakeHands(
    tcp,
    port,
    token === undefined ? "holdline.v1" : `holdline.v1, bearer.${token}`,
  );
  const drainFrames = (): void => {
    let at = 0;
    for (let frame = readServerFrame(rest, at); frame !== null; frame = readServerFrame(rest, at)) {
      take(tcp, reader, frame);
      at += frame.length;
    }
    rest = rest.subarray(at);
    reader.changed();
  };
  tcp.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    drainFrames();
  });
  drainFrames();
  return {
    tcp,
    frames: reader.frames,
    binary: reader.binary,
    bytesRead: () => tcp.bytesRead,
    closeCode: () => reader.closeCode,
    send: (frame) => void tcp.write(maskedFrame(OPCODE.text, Buffer.from(JSON.stringify(frame)))),
    pause: () => void tcp.pause(),
    resume: () => void tcp.resume(),
    waitFor: async (what, test, limitMs) => {
      const found = Promise.withResolvers<Frame>();
      const look = (): void => {
        const frame = reader.frames.find(test);
        if (frame !== undefined) found.resolve(frame);
      };
      watchers.add(look);
      try {
        look();
        return await within(what, found.promise, limitMs);
      } finally {
        watchers.delete(look);
      }
    },
    destroy: () => void tcp.destroy(),
  };
}
