/**
 * The client for browsers (and Bun): one session, any number of jobs. It keeps the session connected, submits each job
 * exactly once, and delivers each job's events to the application exactly once and in order.
 */
import type { BinaryFrame } from "../protocol/binary.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { JobObject, SubmitBody } from "../protocol/jobs.ts";
import { createAcks } from "./acks.ts";
import { createApi, type Fetch } from "./api.ts";
import { type ClientClock, createBrowserClock } from "./clock.ts";
import { type ConnectionState, createConnection, type Credential } from "./connection.ts";
import { createEarlyEvents } from "./early.ts";
import { createEmitter } from "./emitter.ts";
import { ClientError } from "./errors.ts";
import type { Gap } from "./follow.ts";
import { type FrameNote, noteReceived, noteSent } from "./frame-note.ts";
import type { JobHandle } from "./handle.ts";
import { createJob, type JobLinks, type LiveJob } from "./job.ts";
import { fromBinaryFrame, fromTextFrame } from "./job-events.ts";
import { type ClientStorage, createMemory, type RememberedJob } from "./memory.ts";
import { type Ask, createRequests } from "./requests.ts";
import { createRooms, type JoinOptions, type RoomHandle } from "./rooms.ts";
import type { SocketClass } from "./socket.ts";
import { newIdempotencyKey, submitJob } from "./submit.ts";

export interface ClientOptions {
  /** The server's base URL (`http` or `https`). */
  readonly url: string;
  /** A user token, or a function that gets one. Not needed in open mode, or if a cookie carries it. */
  readonly credential?: Credential;
  /** For servers with `HOLDLINE_AUTH_BINDING=strict`: sends the user token with every call. */
  readonly strictBinding?: boolean;
  readonly fetch?: Fetch;
  readonly webSocket?: SocketClass;
  /** Keeps session and cursors across a reload. Default: `sessionStorage`; null keeps nothing. */
  readonly storage?: ClientStorage | null;
  /** A number from 0 to 1 (exclusive). */
  readonly random?: () => number;
  readonly clock?: ClientClock;
}

export interface SubmitExtras {
  /** Generated when absent. The same key with the same body always yields the same job. */
  readonly idempotencyKey?: string;
  /** Called when an attempt to submit failed and is repeated after `delayMs`. */
  readonly onRetry?: (error: ClientError, delayMs: number) => void;
}

export interface ClientListeners {
  state: ConnectionState;
  /** Every frame, in both directions. */
  frame: FrameNote;
  /** Entries of a job were missing or overlapped and have been requested again. */
  gap: Gap & { readonly job: string };
  message: Extract<ServerFrame, { type: "message" }>;
  presence: Extract<ServerFrame, { type: "presence" }>;
}

export interface Client {
  readonly state: ConnectionState;
  readonly sessionId: string | null;
  /** Jobs that had not ended when the storage was last written. Follow them with `job(id)`. */
  readonly remembered: readonly RememberedJob[];
  on<Name extends keyof ClientListeners>(
    name: Name,
    listener: (value: ClientListeners[Name]) => void,
  ): () => void;
  /** Opens a session, or resumes the one in the storage. While offline: retries now instead of after the back-off. */
  connect(): void;
  /** Submits a job. The handle exists at once, so no event can be missed; `accepted` settles with the server's answer. */
  submit(body: SubmitBody, extras?: SubmitExtras): JobHandle;
  /** Follows a job by its id from `after` (default 0, its beginning). Returns the existing handle if there is one. */
  job(id: string, start?: { readonly after?: number; readonly type?: string }): JobHandle;
  /**
   * Enters a room and stays in it, across reconnects and new sessions, until it is left. The handle exists at once; for a
   * room that was entered before it is the same one.
   */
  join(room: string, how?: JoinOptions): RoomHandle;
  /** Sends a frame (`presence`, `refresh`, …). Resolves when the server answers ok, rejects with its error. */
  request(frame: Ask): Promise<void>;
  /** Measures the round trip to the server, in ms. */
  roundTripMs(): Promise<number>;
  /** Makes an HTTP call with the session's token. `path` starts at the server's root. */
  fetch(path: string): Promise<Response>;
  /** For demos and tests: cuts the socket as a network failure would, and stays offline for `holdMs` (default 0). */
  dropConnection(holdMs?: number): void;
  /** Forgets the session and its jobs. The next `connect` starts anew. */
  forget(): void;
  /** Writes the storage now, such as on `pagehide`. */
  save(): void;
  /** Closes the connection. Handles stay as they are until `connect` is called again. */
  close(): void;
}

/** The id of no job. Detaching it changes nothing and is answered at once, which is how the round trip is measured. */
export const NO_JOB = "00000000-0000-0000-0000-000000000000";

/** Lanes whose newest job is remembered; beyond that, the least recently used one is forgotten. */
const MOST_LANES = 64;

export function createClient(options: ClientOptions): Client {
  const clock = options.clock ?? createBrowserClock();
  const random = options.random ?? Math.random;
  const strictBinding = options.strictBinding ?? false;
  const base = new URL(options.url).origin;
  const storage = options.storage === undefined ? pageStorage() : options.storage;
  const memory = createMemory({ storage, clock, key: `holdline:${base}` });
  const emitter = createEmitter<ClientListeners>();
  const early = createEarlyEvents();
  const jobs = new Map<string, LiveJob>();
  /** The newest job of each lane that was submitted here. */
  const lanes = new Map<string, LiveJob>();
  const waiting = new Set<(error: ClientError | null) => void>();
  /** Counts the welcomes, to tell whether a job was submitted on the connection that is open now. */
  let epoch = 0;

  const connection = createConnection({
    url: `${base.replace(/^http/, "ws")}/v1/connect`,
    socketClass: options.webSocket ?? WebSocket,
    clock,
    random,
    credential: options.credential ?? null,
    strictBinding,
    memory,
    onFrame: hear,
    onSent(frame, raw) {
      if (emitter.has("frame")) emitter.emit("frame", noteSent(frame, raw));
    },
    onState: changed,
  });
  const requests = createRequests((frame) => connection.send(frame));
  const request = (frame: Ask): Promise<void> =>
    new Promise((resolve, reject) => {
      const offline = (): void => reject(new ClientError("offline", "Not connected."));
      const sent = requests.ask(frame, (answer) => {
        if (answer === null) offline();
        else if (answer.type === "error") reject(new ClientError(answer.code, answer.detail));
        else resolve();
      });
      if (!sent) offline();
    });
  const rooms = createRooms({ clock, random, requests, request, sessionId: () => memory.sessionId });
  const acks = createAcks({ clock, send: (frame) => connection.send(frame) });
  const api = createApi({
    url: base,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    clock,
    token,
    userToken: () => (strictBinding ? connection.userToken : null),
    async renewed(refused) {
      if (memory.token !== refused) return;
      connection.drop(0);
      await online();
    },
  });
  const links: JobLinks = {
    clock,
    random,
    memory,
    requests,
    acks,
    fetchJob: (id) => api.json<JobObject>({ path: `/v1/jobs/${id}` }),
    async cancelJob(id) {
      await api.json<JobObject>({ method: "POST", path: `/v1/jobs/${id}/cancel` });
    },
    onGap: (gap) => emitter.emit("gap", gap),
    onDone: (id) => jobs.delete(id),
  };

  function hear(frame: ServerFrame | BinaryFrame, raw: string | ArrayBuffer): void {
    const live = "job" in frame ? jobs.get(frame.job) : undefined;
    const replayUntil = live?.replayUntil ?? 0;
    if (emitter.has("frame")) emitter.emit("frame", noteReceived(frame, raw, replayUntil));
    if ("payload" in frame || frame.type === "event") {
      const event =
        "payload" in frame ? fromBinaryFrame(frame, replayUntil) : fromTextFrame(frame, replayUntil);
      if (live === undefined) early.keep(event, typeof raw === "string" ? raw.length : raw.byteLength);
      else live.receive(event);
    } else if (frame.type === "attached" && frame.re === undefined) {
      live?.attachedAnew(frame);
    } else if (frame.type === "error" && frame.job !== undefined) {
      live?.letGo(frame);
    } else if (
      frame.type === "attached" ||
      frame.type === "history" ||
      frame.type === "ok" ||
      frame.type === "error"
    ) {
      requests.answered(frame);
    } else if (frame.type === "message") {
      rooms.message(frame);
      emitter.emit("message", frame);
    } else if (frame.type === "presence") {
      rooms.presence(frame);
      emitter.emit("presence", frame);
    }
  }

  function changed(state: ConnectionState): void {
    if (state.phase === "online") {
      epoch += 1;
      for (const live of jobs.values()) live.attach();
      acks.flush();
      rooms.online(state.welcome);
    } else if (state.phase !== "connecting") {
      early.clear();
      requests.abandon();
      rooms.offline();
      for (const live of jobs.values()) live.disconnected();
    }
    emitter.emit("state", state);
    if (state.phase === "online") settleWaiting(null);
    else if (state.phase === "closed") {
      acks.stop();
      settleWaiting(new ClientError("closed", `Not connected (${state.cause}).`));
    }
  }
  function settleWaiting(error: ClientError | null): void {
    const settled = [...waiting];
    waiting.clear();
    for (const settle of settled) settle(error);
  }

  /** Resolves when online; rejects when the client is closed or stops. */
  function online(): Promise<void> {
    const { phase } = connection.state;
    if (phase === "online") return Promise.resolve();
    if (phase === "closed") return Promise.reject(new ClientError("closed", "Not connected."));
    return new Promise((resolve, reject) => {
      waiting.add((error) => (error === null ? resolve() : reject(error)));
    });
  }
  async function token(): Promise<string> {
    // A token that only comes from the storage may be worthless: the first welcome shows.
    if (memory.token === null || epoch === 0 || connection.state.phase === "closed") await online();
    if (memory.token === null) throw new ClientError("offline", "There is no session.");
    return memory.token;
  }

  /**
   * The server cancels the one before when it accepts this one; its user should not hear it for as long as that takes,
   * nor what still plays of one that has ended.
   */
  function takeLane(lane: string, live: LiveJob): void {
    lanes.get(lane)?.silence();
    lanes.delete(lane);
    lanes.set(lane, live);
    const [oldest] = lanes.keys();
    if (lanes.size > MOST_LANES && oldest !== undefined) lanes.delete(oldest);
  }

  async function handIn(live: LiveJob, body: SubmitBody, extras: SubmitExtras): Promise<void> {
    const startedIn = connection.state.phase === "online" ? epoch : null;
    try {
      const { job, replayed } = await submitJob(
        { api, clock, random },
        {
          body,
          idempotencyKey: extras.idempotencyKey ?? newIdempotencyKey(random),
          signal: live.givenUp,
          onRetry: (error, delayMs) => extras.onRetry?.(error, delayMs),
        },
      );
      if (jobs.has(job.id)) {
        throw new ClientError("already_followed", "This job has a handle already: see client.job(id).");
      }
      jobs.set(job.id, live);
      // Handed in and accepted under one connection: the server attached it there by itself.
      const expected = !replayed && connection.state.phase === "online" && epoch === startedIn;
      const kept = early.take(job.id);
      live.accept(job, expected);
      if (expected) for (const event of kept ?? []) live.receive(event);
    } catch (cause) {
      live.refuse(
        cause instanceof ClientError ? cause : new ClientError("bad_answer", String(cause), { cause }),
      );
    }
  }

  return {
    get state() {
      return connection.state;
    },
    get sessionId() {
      return memory.sessionId;
    },
    remembered: memory.jobs(),
    on: (name, listener) => emitter.on(name, listener),
    connect() {
      connection.connect();
    },
    submit(body, extras = {}) {
      const live = createJob(links, 0);
      if (body.lane !== undefined) takeLane(body.lane, live);
      void handIn(live, body, extras);
      return live.handle;
    },
    job(id, start = {}) {
      const known = jobs.get(id);
      if (known !== undefined) return known.handle;
      const live = createJob(links, start.after ?? 0);
      jobs.set(id, live);
      live.accept({ id, type: start.type ?? "" }, false);
      return live.handle;
    },
    join: (room, how = {}) => rooms.join(room, how),
    request,
    roundTripMs: () =>
      new Promise((resolve, reject) => {
        const sentAtMs = clock.steadyMs();
        const offline = (): void => reject(new ClientError("offline", "Not connected."));
        const sent = requests.ask({ type: "detach", job: NO_JOB }, (answer) => {
          if (answer === null) offline();
          else resolve(clock.steadyMs() - sentAtMs);
        });
        if (!sent) offline();
      }),
    fetch: (path) => api.send({ path }),
    dropConnection(holdMs = 0) {
      connection.drop(holdMs);
    },
    forget() {
      connection.close(0, "forgotten");
      for (const live of jobs.values()) live.handle.close();
      for (const job of memory.jobs()) memory.untrack(job.id);
      memory.forgetSession();
    },
    save() {
      memory.save();
    },
    close() {
      connection.close(0, "closed");
      memory.save();
    },
  };
}

/** The page's sessionStorage; null where there is none or the browser forbids it. */
function pageStorage(): ClientStorage | null {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
