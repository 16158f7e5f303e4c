/**
 * A client written from PROTOCOL.md by a stranger: it records every frame in the order of arrival and lets a test wait
 * for one. It shares no code with src/client, so a mistake made there is not made here as well.
 */
import { type Frame, type ReceivedEvent, readBinaryFrame } from "./wire.ts";
import { DEFAULT_LIMIT_MS, within } from "./wait.ts";

export interface ConnectOptions {
  /** Session token or user token, sent as `bearer.<token>`. */
  readonly token?: string;
  /** Session token beside a user token, sent as `session.<token>`. */
  readonly session?: string;
  /** Overrides the offered subprotocols. */
  readonly protocols?: string[];
  readonly headers?: Record<string, string>;
  /** Path and query to connect to. */
  readonly path?: string;
  /** false: pings stay unanswered. */
  readonly pong?: boolean;
  /** Frames sent as soon as the socket is open, without waiting for `welcome`. */
  readonly firstFrames?: readonly object[];
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A frame as it came: JSON ones parsed, binary ones as the event they carry. */
export type Received =
  | { readonly kind: "json"; readonly frame: Frame; readonly bytes: number; readonly atMs: number }
  | { readonly kind: "binary"; readonly event: ReceivedEvent; readonly atMs: number };

export interface Client extends AsyncDisposable {
  readonly socket: WebSocket;
  /** Everything that arrived, in order. */
  readonly received: readonly Received[];
  /** The JSON frames among them. */
  frames(type?: string): Frame[];
  /** Throws before `welcome` has come. */
  readonly welcome: Frame;
  readonly sessionId: string;
  /** The newest session token: of `welcome`, or of a later `token` frame. */
  readonly token: string;
  readonly closed: Closed | null;
  send(frame: object): void;
  sendRaw(data: string | Uint8Array<ArrayBuffer>): void;
  /** The first JSON frame that answers `test`, among those that came already and those to come. */
  waitFor(what: string, test: (frame: Frame) => boolean, limitMs?: number): Promise<Frame>;
  /** Sends with a fresh `id`; the frame that bears it as `re`. */
  ask(frame: object): Promise<Frame>;
  /** Sends `attach`; the `attached` or `error` that answers it. */
  attach(job: string, after?: number): Promise<Frame>;
  /** Events of one job in order of arrival, JSON and binary, folded ones with the range they cover. */
  events(job: string): ReceivedEvent[];
  waitForEvent(job: string, what: string, test: (event: ReceivedEvent) => boolean): Promise<ReceivedEvent>;
  /** The terminal event. */
  waitForEnd(job: string, limitMs?: number): Promise<ReceivedEvent>;
  /** What the socket was closed with. */
  waitForClose(limitMs?: number): Promise<Closed>;
  /** A round trip: whatever the server sent on this socket before it read this has arrived afterwards. */
  settle(): Promise<void>;
  close(): Promise<Closed>;
}

/** The event of a JSON frame. */
function readEventFrame(frame: Frame, bytes: number): ReceivedEvent {
  const seq = frame.seq ?? Number.NaN;
  return {
    job: frame.job ?? "",
    first: frame.first ?? seq,
    seq,
    attempt: frame.attempt ?? Number.NaN,
    at: frame.at ?? Number.NaN,
    kind: frame.kind ?? "",
    data: frame.data ?? {},
    terminal: frame.terminal === true,
    frameBytes: bytes,
  };
}

function eventOf(received: Received): ReceivedEvent | null {
  if (received.kind === "binary") return received.event;
  return received.frame.type === "event" ? readEventFrame(received.frame, received.bytes) : null;
}

function offeredProtocols(options: ConnectOptions): string[] {
  if (options.protocols !== undefined) return options.protocols;
  const offered = ["holdline.v1"];
  if (options.token !== undefined) offered.push(`bearer.${options.token}`);
  if (options.session !== undefined) offered.push(`session.${options.session}`);
  return offered;
}

/** Bun's constructor takes headers too, which the DOM's type does not know. */
const BunWebSocket = WebSocket as unknown as new (
  url: string,
  options: { protocols: string[]; headers?: Record<string, string> },
) => WebSocket;

interface Recording {
  readonly socket: WebSocket;
  readonly received: Received[];
  /** The events among them, by job. */
  readonly events: Map<string, ReceivedEvent[]>;
  closed: Closed | null;
  /** Called after each arrival and after the close. */
  readonly watchers: Set<() => void>;
}

function record(server: { readonly url: string }, options: ConnectOptions): Recording {
  const address = server.url.replace(/^http/, "ws") + (options.path ?? "/v1/connect");
  const socket = new BunWebSocket(address, {
    protocols: offeredProtocols(options),
    ...(options.headers === undefined ? {} : { headers: options.headers }),
  });
  socket.binaryType = "arraybuffer";
  const recording: Recording = { socket, received: [], events: new Map(), closed: null, watchers: new Set() };
  const keep = (item: Received): void => {
    recording.received.push(item);
    const event = eventOf(item);
    if (event === null) return;
    const known = recording.events.get(event.job);
    if (known === undefined) recording.events.set(event.job, [event]);
    else known.push(event);
  };
  const changed = (): void => {
    for (const watcher of recording.watchers) watcher();
  };
  socket.addEventListener("open", () => {
    for (const frame of options.firstFrames ?? []) socket.send(JSON.stringify(frame));
  });
  socket.addEventListener("message", (message: MessageEvent<string | ArrayBuffer>) => {
    const atMs = performance.now();
    if (typeof message.data === "string") {
      const frame = JSON.parse(message.data) as Frame;
      keep({ kind: "json", frame, bytes: Buffer.byteLength(message.data), atMs });
      if (frame.type === "ping" && options.pong !== false)
        socket.send(JSON.stringify({ type: "pong", at: frame.at }));
    } else {
      keep({ kind: "binary", event: readBinaryFrame(new Uint8Array(message.data)), atMs });
    }
    changed();
  });
  socket.addEventListener("close", (event) => {
    recording.closed = { code: event.code, reason: event.reason };
    changed();
  });
  return recording;
}

/**
 * Looks through what has arrived, from the start, and then at each arrival. `find` returns the value, or undefined to
 * go on; each frame is shown to it once. A socket that closes meanwhile ends the wait with an error.
 */
async function watch<Value>(
  recording: Recording,
  what: string,
  find: (received: Received) => Value | undefined,
  limitMs: number = DEFAULT_LIMIT_MS,
): Promise<Value> {
  const found = Promise.withResolvers<Value>();
  let looked = 0;
  const look = (): void => {
    for (; looked < recording.received.length; looked += 1) {
      const received = recording.received[looked];
      const value = received === undefined ? undefined : find(received);
      if (value !== undefined) {
        looked += 1;
        found.resolve(value);
        return;
      }
    }
    if (recording.closed !== null) {
      const { code, reason } = recording.closed;
      found.reject(new Error(`the socket was closed (${code} ${reason}) while waiting for ${what}`));
    }
  };
  recording.watchers.add(look);
  try {
    look();
    return await within(what, found.promise, limitMs);
  } finally {
    recording.watchers.delete(look);
  }
}

async function waitForClose(recording: Recording, limitMs?: number): Promise<Closed> {
  const done = Promise.withResolvers<Closed>();
  const look = (): void => {
    if (recording.closed !== null) done.resolve(recording.closed);
  };
  recording.watchers.add(look);
  try {
    look();
    return await within("the socket to be closed", done.promise, limitMs);
  } finally {
    recording.watchers.delete(look);
  }
}

let lastId = 0;
function freshId(): string {
  lastId += 1;
  return `ask-${lastId}`;
}

function clientOf(recording: Recording): Client {
  const { socket, received } = recording;
  const frames = (type?: string): Frame[] =>
    received.flatMap((item) =>
      item.kind === "json" && (type === undefined || item.frame.type === type) ? [item.frame] : [],
    );
  const welcome = (): Frame => {
    const frame = frames("welcome")[0];
    if (frame === undefined) throw new Error("no welcome came");
    return frame;
  };
  const send = (frame: object): void => socket.send(JSON.stringify(frame));
  const waitFor = (what: string, test: (frame: Frame) => boolean, limitMs?: number): Promise<Frame> =>
    watch(
      recording,
      what,
      (item) => (item.kind === "json" && test(item.frame) ? item.frame : undefined),
      limitMs,
    );
  const waitForEvent = (
    job: string,
    what: string,
    test: (event: ReceivedEvent) => boolean,
    limitMs?: number,
  ) =>
    watch(
      recording,
      `${what} of job ${job}`,
      (item) => {
        const event = eventOf(item);
        return event !== null && event.job === job && test(event) ? event : undefined;
      },
      limitMs,
    );
  const ask = (frame: object): Promise<Frame> => {
    const id = freshId();
    send({ ...frame, id });
    return waitFor(`an answer to ${JSON.stringify(frame)}`, (answer) => answer.re === id);
  };
  const close = (): Promise<Closed> => {
    if (recording.closed === null) socket.close(1000);
    return waitForClose(recording);
  };
  return {
    socket,
    received,
    frames,
    get welcome() {
      return welcome();
    },
    get sessionId() {
      return welcome().session?.id ?? "";
    },
    get token() {
      return frames("token").at(-1)?.token ?? welcome().token ?? "";
    },
    get closed() {
      return recording.closed;
    },
    send,
    sendRaw: (data) => socket.send(data),
    waitFor,
    ask,
    attach: (job, after) => ask({ type: "attach", job, ...(after === undefined ? {} : { after }) }),
    events: (job) => [...(recording.events.get(job) ?? [])],
    waitForEvent,
    waitForEnd: (job, limitMs) => waitForEvent(job, "the terminal event", (event) => event.terminal, limitMs),
    waitForClose: (limitMs) => waitForClose(recording, limitMs),
    settle: async () => {
      // An unknown job is refused with `re`, which makes it a question that changes nothing.
      await ask({ type: "attach", job: "01890a5d-ac96-774b-bcce-b302099a8057" });
    },
    close,
    [Symbol.asyncDispose]: async () => {
      await close();
    },
  };
}

/** Opens a socket and leaves it at that: for connections that may be refused or closed at once. */
export function dial(server: { readonly url: string }, options: ConnectOptions = {}): Client {
  return clientOf(record(server, options));
}

/** Opens a socket and waits for `welcome`. */
export async function connect(
  server: { readonly url: string },
  options: ConnectOptions = {},
): Promise<Client> {
  const client = dial(server, options);
  await client.waitFor("welcome", (frame) => frame.type === "welcome");
  return client;
}
