/** The socket in words: what each frame is for, how the binary frame is laid out, what each close asks of the client. */
import { BINARY_HEADER_BYTES } from "../../protocol/binary.ts";
import { CLOSE_CODES, mayReconnect, type CloseName } from "../../protocol/codes.ts";
import type { ServerFrame, WelcomeFrame } from "../../protocol/frames.ts";
import {
  EXAMPLE_AT,
  EXAMPLE_TIME,
  EXAMPLE_USER,
  JOB_ID,
  limitsExample,
  SESSION_ID,
  tokenExample,
} from "./examples.ts";
import type { ClientFrameType, ServerFrameType } from "./schemas.ts";
import type { BinaryField, CloseCode } from "./shape.ts";

export interface FrameWords {
  readonly summary: string;
  readonly example: unknown;
  /** Frames of the server that answer it. */
  readonly answers?: readonly ServerFrameType[];
}

const okOrError: readonly ServerFrameType[] = ["ok", "error"];

export const CLIENT_FRAMES: Readonly<Record<ClientFrameType, FrameWords>> = {
  attach: {
    summary:
      "Follow a job from its seq `after` on, 0 being the beginning. Everything after it comes, then what is new.",
    example: { type: "attach", id: "1", job: JOB_ID, after: 3 },
    answers: ["attached", "error"],
  },
  detach: {
    summary: "Follow it no longer.",
    example: { type: "detach", job: JOB_ID },
    answers: okOrError,
  },
  ack: {
    summary:
      "Handled up to here. Of the terminal event it is the receipt: the job is not listed in `welcome` again.",
    example: { type: "ack", job: JOB_ID, seq: 5 },
    answers: okOrError,
  },
  join: {
    summary:
      "Enter a room. A `presence` frame follows that says who is there; with `after`, where the room keeps a history, the messages since that one.",
    example: { type: "join", id: "2", room: "lobby" },
    answers: ["ok", "history", "error"],
  },
  leave: { summary: "Leave it.", example: { type: "leave", room: "lobby" }, answers: okOrError },
  say: {
    summary: "A message to everybody in a room one is in, oneself included.",
    example: { type: "say", room: "lobby", data: { text: "Hello" } },
    answers: okOrError,
  },
  presence: {
    summary: "How the user is to be seen in rooms, while there is a socket.",
    example: { type: "presence", status: "busy" },
    answers: okOrError,
  },
  refresh: {
    summary: "A new user token of the same user, before the old one ends.",
    example: { type: "refresh", token: tokenExample.token },
    answers: okOrError,
  },
  pong: { summary: "The answer to `ping`, with its `at`.", example: { type: "pong", at: EXAMPLE_AT } },
};

const welcome: WelcomeFrame = {
  type: "welcome",
  protocol: 1,
  session: { id: SESSION_ID, userId: EXAMPLE_USER, resumed: true, createdAt: EXAMPLE_TIME },
  ...tokenExample,
  jobs: [{ id: JOB_ID, type: "chat", status: "running", attempt: 1, head: 4, terminal: false }],
  moreJobs: false,
  rooms: [],
  heartbeat: { pingMs: 25_000, timeoutMs: 10_000 },
  limits: limitsExample,
  node: "node_5f2c9a",
  at: EXAMPLE_AT,
};

export const SERVER_FRAMES: {
  readonly [Type in ServerFrameType]: {
    readonly summary: string;
    readonly example: Extract<ServerFrame, { readonly type: Type }>;
    readonly reply?: ClientFrameType;
  };
} = {
  welcome: {
    summary:
      "The first frame: the session, its token, and its open jobs. Nothing of a listed job flows until it is attached.",
    example: welcome,
  },
  event: {
    summary:
      "One entry of the log of a job, or several of its texts folded into one (`first`). The terminal one is the last.",
    example: {
      type: "event",
      job: JOB_ID,
      seq: 4,
      attempt: 1,
      at: EXAMPLE_AT,
      kind: "output.text",
      data: { delta: "lo!", index: 0 },
    },
  },
  attached: {
    summary:
      "The answer to `attach`. `recovered: false` says that the log could not be read from there, and why.",
    example: {
      type: "attached",
      re: "1",
      job: JOB_ID,
      after: 3,
      head: 4,
      oldest: 1,
      status: "running",
      attempt: 1,
      terminal: false,
      recovered: true,
    },
  },
  message: {
    summary: "A message in a room, or a push of the operator (`to` in place of `room`).",
    example: {
      type: "message",
      room: "lobby",
      id: "0199e3f0-6b20-7d41-8c5a-3e9f1b7d2a60",
      from: { userId: EXAMPLE_USER, sessionId: SESSION_ID },
      data: { text: "Hello" },
      at: EXAMPLE_AT,
    },
  },
  history: {
    summary:
      "What becomes of a `join` with `after`: the messages since then come behind it, or it says that it cannot tell them.",
    example: {
      type: "history",
      re: "2",
      room: "lobby",
      after: "0199e3f0-6b20-7d41-8c5a-3e9f1b7d2a60",
      recovered: true,
    },
  },
  presence: {
    summary: "Who came, went or changed in a room.",
    example: {
      type: "presence",
      room: "lobby",
      joined: [{ userId: EXAMPLE_USER, sessionId: SESSION_ID, status: "online", since: EXAMPLE_TIME }],
      left: [],
      changed: [],
      count: 2,
    },
  },
  token: {
    summary: "A fresh session token; the older one stays good until its own end.",
    example: { type: "token", ...tokenExample },
  },
  ping: {
    summary: "Are you there? To be answered by `pong` with the same `at`.",
    example: { type: "ping", at: EXAMPLE_AT },
    reply: "pong",
  },
  ok: { summary: "Done; only where the frame had an `id`.", example: { type: "ok", re: "2" } },
  error: {
    summary: "Refused. A code of the list that HTTP has too; `re` names the frame if it had an `id`.",
    example: {
      type: "error",
      re: "1",
      code: "not_found",
      detail: "No such job.",
      retryable: false,
    },
  },
  goodbye: {
    summary: "Comes before every close that the server starts.",
    example: {
      type: "goodbye",
      code: 4000,
      reason: "draining",
      reconnect: true,
      reconnectAfterMs: 740,
    },
  },
};

export const BINARY_LAYOUT: readonly BinaryField[] = [
  { name: "version", offset: 0, bytes: 1, description: "1" },
  { name: "kind", offset: 1, bytes: 1, description: "1 = `output.audio`, 2 = `output.data` as bytes" },
  { name: "attempt", offset: 2, bytes: 2, description: "Number of the run, big endian" },
  { name: "seq", offset: 4, bytes: 4, description: "Number of the entry in the log of the job, big endian" },
  { name: "job", offset: 8, bytes: 16, description: "The job's UUID as bytes" },
  {
    name: "payload",
    offset: BINARY_HEADER_BYTES,
    bytes: null,
    description:
      "The chunk; audio holds whole samples. Audio without any is an entry of a job that another one of its lane took the place of: its sound is not sent any more",
  },
];

const ADVICE: Readonly<Record<CloseName, string>> = {
  draining: "Come back after `reconnectAfterMs` of the goodbye.",
  slow_consumer: "Reconnect and resume: nothing was lost, but too much waited.",
  heartbeat_timeout: "Reconnect and resume.",
  overloaded: "Back off, then reconnect.",
  internal: "Back off, then reconnect.",
  token_expired: "Fetch a fresh user token, then reconnect with both tokens.",
  unauthenticated: "Log in.",
  session_gone: "Open a new session and attach to its jobs.",
  revoked: "Log in.",
  replaced: "Nothing: another connection took the session over.",
  protocol_error: "Correct the client: too many frames were malformed.",
  too_many_sessions: "Close another session.",
};

/** The runtime's own close for a frame over `frameBytes` (RFC 6455 section 7.4.1). */
const MESSAGE_TOO_BIG = 1009;

export const CLOSES: readonly CloseCode[] = [
  ...(Object.entries(CLOSE_CODES) as [CloseName, number][]).map(([name, code]) => ({
    code,
    name,
    reconnect: mayReconnect(code),
    advice: ADVICE[name],
  })),
  {
    code: MESSAGE_TOO_BIG,
    name: "message too big",
    reconnect: false,
    advice: "Correct the client: a frame was over `frameBytes`.",
  },
];
