/** A server that does only what a test tells it to: real sockets and real HTTP, so that the client's own code runs whole. */
import { encodeBinaryFrame } from "../../src/protocol/binary.ts";
import type { EventKind, Json } from "../../src/protocol/events.ts";
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import { createInbox, type Inbox } from "./inbox.ts";

type FrameOf<Type extends ClientFrame["type"]> = Extract<ClientFrame, { type: Type }>;

/** One socket, seen from the server. */
export interface Peer {
  /** Subprotocols the client offered. */
  readonly offered: readonly string[];
  /** The next frame of this type, in order; others are kept for their own `next`. */
  next<Type extends ClientFrame["type"]>(type: Type): Promise<FrameOf<Type>>;
  /** How many frames of this type wait to be read. */
  count(type: ClientFrame["type"]): number;
  send(frame: ServerFrame): void;
  welcome(session?: string, resumed?: boolean, rooms?: readonly string[]): void;
  event(
    seq: number,
    kind: EventKind,
    data: Json,
    more?: { job?: string; first?: number; attempt?: number },
  ): void;
  audio(seq: number, payload: Uint8Array, attempt?: number): void;
  attached(ask: FrameOf<"attach">, facts: { head: number; terminal?: boolean }): void;
  close(code: number): void;
  /** Resets the connection: no close frame. */
  kill(): void;
  readonly closed: Promise<void>;
}

export interface ScriptedServer {
  readonly url: string;
  /** The next socket a client opens. */
  connection(): Promise<Peer>;
  /** The next HTTP request; the test answers it. */
  readonly requests: Inbox<{ request: Request; body: Json; respond: (response: Response) => void }>;
  stop(): Promise<void>;
}

export const JOB = "01a00000-0000-7000-8000-000000000001";
export const OTHER_JOB = "01a00000-0000-7000-8000-000000000002";

export function jobObject(id = JOB, more: Record<string, Json> = {}): Record<string, Json> {
  return { id, type: "chat", status: "queued", terminal: false, attempt: 0, head: 1, ...more };
}

interface SocketData {
  readonly offered: string[];
  peer: { readonly frames: Map<string, Inbox<ClientFrame>>; readonly onClose: () => void } | null;
}

export function startScriptedServer(): ScriptedServer {
  const connections = createInbox<Peer>();
  const requests: ScriptedServer["requests"] = createInbox();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request, self) {
      if (new URL(request.url).pathname === "/v1/connect") {
        const offered = (request.headers.get("Sec-WebSocket-Protocol") ?? "").split(", ");
        const data: SocketData = { offered, peer: null };
        const upgraded = self.upgrade(request, {
          data,
          headers: { "Sec-WebSocket-Protocol": "holdline.v1" },
        });
        return upgraded ? undefined : new Response(null, { status: 426 });
      }
      const text = await request.text();
      const body = text === "" ? null : (JSON.parse(text) as Json);
      return new Promise<Response>((respond) => requests.put({ request, body, respond }));
    },
    websocket: {
      data: {} as SocketData,
      open(socket) {
        const frames = new Map<string, Inbox<ClientFrame>>();
        const closed = Promise.withResolvers<void>();
        socket.data.peer = { frames, onClose: closed.resolve };
        connections.put(createPeer(socket, frames, closed.promise));
      },
      message(socket, message) {
        const frame = JSON.parse(String(message)) as ClientFrame;
        if (socket.data.peer !== null) inboxOf(socket.data.peer.frames, frame.type).put(frame);
      },
      close(socket) {
        socket.data.peer?.onClose();
      },
    },
  });
  return {
    url: server.url.origin,
    connection: () => connections.take(),
    requests,
    stop: () => server.stop(true),
  };
}

function inboxOf(frames: Map<string, Inbox<ClientFrame>>, type: string): Inbox<ClientFrame> {
  const inbox = frames.get(type) ?? createInbox<ClientFrame>();
  frames.set(type, inbox);
  return inbox;
}

function createPeer(
  socket: Bun.ServerWebSocket<SocketData>,
  frames: Map<string, Inbox<ClientFrame>>,
  closed: Promise<void>,
): Peer {
  const send = (frame: ServerFrame): void => void socket.send(JSON.stringify(frame));
  return {
    offered: socket.data.offered,
    async next<Type extends ClientFrame["type"]>(type: Type) {
      return (await inboxOf(frames, type).take()) as FrameOf<Type>;
    },
    count: (type) => inboxOf(frames, type).size,
    send,
    welcome(session = "s1", resumed = false, rooms = []) {
      send({
        type: "welcome",
        protocol: 1,
        session: { id: session, userId: "anon_1", resumed, createdAt: "2026-01-01T00:00:00.000Z" },
        token: `token-of-${session}`,
        tokenExpiresAt: Date.UTC(2026, 0, 1, 0, 15),
        jobs: [],
        moreJobs: false,
        rooms,
        heartbeat: { pingMs: 25_000, timeoutMs: 10_000 },
        limits: {
          frameBytes: 65_536,
          eventBytes: 1_048_576,
          queueBytes: 1_048_576,
          rooms: 64,
          attachments: 256,
          resumeMs: 300_000,
        },
        node: "n1",
        at: 0,
      });
    },
    event(seq, kind, data, more = {}) {
      const { job = JOB, attempt = 1, first } = more;
      send({
        type: "event",
        job,
        seq,
        ...(first === undefined ? {} : { first }),
        attempt,
        at: 0,
        kind,
        data,
        ...(kind === "job.succeeded" || kind === "job.failed" ? { terminal: true } : {}),
      });
    },
    audio(seq, payload, attempt = 1) {
      socket.send(encodeBinaryFrame({ kind: "output.audio", attempt, seq, job: JOB, payload }));
    },
    attached(ask, { head, terminal = false }) {
      send({
        type: "attached",
        ...(ask.id === undefined ? {} : { re: ask.id }),
        job: ask.job,
        after: ask.after ?? 0,
        head,
        oldest: 1,
        status: terminal ? "succeeded" : "running",
        attempt: 1,
        terminal,
        recovered: true,
      });
    },
    close: (code) => socket.close(code),
    kill: () => socket.terminate(),
    closed,
  };
}
