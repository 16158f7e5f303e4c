/** An OpenAI-compatible server that answers what a test tells it to, and remembers what it was asked. */
import type { Server, Socket } from "bun";

export interface Asked {
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface FakeUpstream extends Disposable {
  /** With a slash at its end, as an operator may write it. */
  readonly url: string;
  readonly asked: Asked[];
}

type Answer = (request: Request) => Response | Promise<Response>;

/** Answers every request with what `answer` makes of it. */
export function serveUpstream(answer: Answer): FakeUpstream {
  const asked: Asked[] = [];
  const server: Server<undefined> = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push({ path: pathname, headers: request.headers, body: await request.json() });
      return answer(request);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/v1/`,
    asked,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

export interface RawUpstream extends Disposable {
  readonly url: string;
  /** Ends every connection, in the middle of whatever it is. */
  readonly hangUp: () => void;
}

/** A server below HTTP: sends `bytes` to whoever asks, and nothing more. For answers that break the protocol. */
export function serveBytes(bytes: string): RawUpstream {
  const sockets: Socket[] = [];
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        sockets.push(socket);
        socket.write(bytes);
      },
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    hangUp() {
      for (const socket of sockets) socket.end();
    },
    [Symbol.dispose]: () => server.stop(true),
  };
}

/** One event of a stream. */
export const event = (data: unknown): string =>
  `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

export const delta = (content: string, finish: string | null = null): string =>
  event({ model: "up-1", choices: [{ index: 0, delta: { content }, finish_reason: finish }] });

export const DONE = event("[DONE]");

/** A stream whose chunks are exactly these; `hang` leaves it open. */
export function streamOf(
  chunks: Iterable<string | Uint8Array<ArrayBuffer>>,
  options: { readonly hang?: boolean; readonly onCancel?: () => void } = {},
): Response {
  const iterator = chunks[Symbol.iterator]();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { value, done } = iterator.next();
      if (done !== true) controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
      else if (options.hang === true) return new Promise(() => undefined);
      else controller.close();
      return undefined;
    },
    cancel: () => options.onCancel?.(),
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
}
