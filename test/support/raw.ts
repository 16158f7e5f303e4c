/** HTTP/1.1 over a bare TCP connection: for requests that fetch is too polite to send and answers it would tidy up. */
import { connect, type Socket } from "node:net";
import { within } from "./wait.ts";

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; a repeated header is joined with ", ". */
  readonly headers: Map<string, string>;
  readonly body: string;
}

/** The lines of a request; a `Host` is added unless one is given, and `Connection: close`. */
export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array;
}

export function openTcp(port: number): Promise<Socket> {
  const opened = Promise.withResolvers<Socket>();
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.once("connect", () => opened.resolve(socket));
  socket.once("error", opened.reject);
  return opened.promise;
}

export interface Head {
  readonly status: number;
  readonly headers: Map<string, string>;
  /** Bytes up to and with the empty line. */
  readonly length: number;
}

/** Status line and headers of an answer, or null while they are not complete. */
export function readHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const [statusLine = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  return { status: Number(statusLine.split(" ")[1]), headers, length: end + 4 };
}

function joinChunks(body: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = body.indexOf("\r\n", at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(body.subarray(at, lineEnd).toString("latin1"), 16);
    if (size === 0) return Buffer.concat(parts);
    if (body.length < lineEnd + 2 + size + 2) return null;
    parts.push(body.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}

/** The whole body, or null while more is to come. */
function readBody(head: Head, rest: Buffer, ended: boolean): Buffer | null {
  if (head.headers.get("transfer-encoding") === "chunked") return joinChunks(rest);
  const length = head.headers.get("content-length");
  if (length !== undefined) return rest.length >= Number(length) ? rest.subarray(0, Number(length)) : null;
  return ended || head.status === 101 || head.status === 204 || head.status === 304 ? rest : null;
}

/** Sends bytes as they are; the first answer that comes back, or null if the connection ends without a whole one. */
export async function exchange(port: number, request: string | Uint8Array): Promise<RawAnswer | null> {
  const socket = await openTcp(port);
  const answer = Promise.withResolvers<RawAnswer | null>();
  let bytes: Buffer = Buffer.alloc(0);
  const look = (ended: boolean): void => {
    const head = readHead(bytes);
    const body = head === null ? null : readBody(head, bytes.subarray(head.length), ended);
    if (head !== null && body !== null) {
      answer.resolve({ status: head.status, headers: head.headers, body: body.toString("utf8") });
    } else if (ended) {
      answer.resolve(null);
    }
  };
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    look(false);
  });
  socket.on("close", () => look(true));
  // A reset is one of the ways to be refused.
  socket.on("error", () => undefined);
  socket.write(request);
  try {
    return await within("an answer to a raw request", answer.promise);
  } finally {
    socket.destroy();
  }
}

/** One request, written line by line. */
export function rawRequest(port: number, request: RawRequest): Promise<RawAnswer | null> {
  const given = request.headers ?? [];
  const hasHost = given.some(([name]) => name.toLowerCase() === "host");
  const lines = [
    `${request.method ?? "GET"} ${request.path} HTTP/1.1`,
    ...(hasHost ? [] : [`Host: 127.0.0.1:${port}`]),
    ...given.map(([name, value]) => `${name}: ${value}`),
    ...(given.some(([name]) => name.toLowerCase() === "connection") ? [] : ["Connection: close"]),
  ];
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return exchange(port, Buffer.concat([head, Buffer.from(request.body ?? "")]));
}

/** The headers of a WebSocket handshake. */
export function upgradeHeaders(protocols: string | null): (readonly [string, string])[] {
  return [
    ["Connection", "Upgrade"],
    ["Upgrade", "websocket"],
    ["Sec-WebSocket-Version", "13"],
    ["Sec-WebSocket-Key", Buffer.from("sixteen bytes ok").toString("base64")],
    ...(protocols === null ? [] : ([["Sec-WebSocket-Protocol", protocols]] as const)),
  ];
}
