/** An HTTP endpoint below HTTP: a test writes each byte of the answer, or leaves it out, and sees what was asked. */
import { createServer, type Socket } from "node:net";
import { until } from "./wait.ts";

export interface AskedOf {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** One request and the connection that waits for its answer. */
export interface Exchange extends AskedOf {
  readonly write: (bytes: string | Uint8Array) => void;
  /** The head of an answer; `headers` as lines. */
  readonly head: (status: string, ...headers: string[]) => void;
  /** One chunk of a chunked answer; without bytes, the last. */
  readonly chunk: (bytes?: string | Uint8Array) => void;
  /** Ends the connection, wherever it is. */
  readonly end: () => void;
  /** Breaks the connection off, as a machine does that has crashed. */
  readonly reset: () => void;
  /** Resolves when the other side has closed the connection. */
  readonly gone: Promise<void>;
}

export interface EndpointServer extends AsyncDisposable {
  readonly url: string;
  /** The exchanges on this path so far, once there are that many. */
  askedOf(path: string, count: number): Promise<readonly Exchange[]>;
}

const HEAD_END = "\r\n\r\n";

function exchangeOn(socket: Socket, gone: Promise<void>, asked: AskedOf): Exchange {
  const write: Exchange["write"] = (bytes) => void socket.write(bytes);
  return {
    ...asked,
    write,
    head: (status, ...headers) =>
      write(`HTTP/1.1 ${status}\r\n${headers.map((line) => `${line}\r\n`).join("")}\r\n`),
    chunk(bytes = "") {
      const buffer = Buffer.from(bytes);
      write(Buffer.concat([Buffer.from(`${buffer.length.toString(16)}\r\n`), buffer, Buffer.from("\r\n")]));
    },
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    gone,
  };
}

/** Answers each request by the function under its path. */
export async function serveEndpoint(
  answers: Readonly<Record<string, (exchange: Exchange) => void | Promise<void>>>,
): Promise<EndpointServer> {
  const asked: Exchange[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const gone = new Promise<void>((resolve) => {
      socket.once("close", () => {
        sockets.delete(socket);
        resolve();
      });
    });
    // A client that leaves in the middle is what some of these tests are about.
    socket.on("error", () => undefined);
    let received = "";
    socket.on("data", (bytes) => {
      received += bytes.toString("utf8");
      const end = received.indexOf(HEAD_END);
      if (end === -1) return;
      const [first = "", ...lines] = received.slice(0, end).split("\r\n");
      const headers = new Headers(
        lines.map((line) => line.split(/:\s*(.*)/s).slice(0, 2) as [string, string]),
      );
      const body = received.slice(end + HEAD_END.length);
      if (Buffer.byteLength(body) < Number(headers.get("content-length") ?? 0)) return;
      received = "";
      const [method = "", path = ""] = first.split(" ");
      const exchange = exchangeOn(socket, gone, { method, path, headers, body });
      asked.push(exchange);
      void answers[path]?.(exchange);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the endpoint has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    askedOf: (path, count) =>
      until(`${count} requests to ${path}`, () => {
        const found = asked.filter((one) => one.path === path);
        return found.length >= count && found;
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
