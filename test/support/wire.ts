/**
 * The wire as PROTOCOL.md prints it, retyped by hand. Tests read answers through these shapes and not through
 * src/protocol, so that a slip there cannot excuse itself. Fields are optional: a test states which ones must be there.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface ErrorBody {
  code: string;
  message: string;
  retryable: boolean;
  attempt: number;
  origin: string;
}

/** `data` of an event, all kinds in one. */
export interface EventData {
  position?: number;
  ratio?: number;
  message?: string;
  reason?: string;
  delayMs?: number;
  error?: ErrorBody;
  delta?: string;
  index?: number;
  codec?: string;
  sampleRate?: number;
  channels?: number;
  bytes?: string;
  result?: Json;
}

/** An event over HTTP, or the matching fields of an `event` frame. */
export interface EventBody {
  job: string;
  seq: number;
  first?: number;
  attempt: number;
  at: number;
  kind: string;
  data: EventData;
  terminal?: boolean;
}

export interface JobBody {
  id: string;
  type: string;
  status: string;
  terminal: boolean;
  attempt: number;
  head: number;
  createdAt: string;
  runAt?: string;
  startedAt?: string;
  finishedAt?: string;
  progress?: { ratio?: number; message?: string };
  result?: Json;
  error?: ErrorBody;
  queue?: { position: number };
  metadata: Record<string, string>;
  traceId: string;
  retryOf?: string;
  deliveredAt?: string;
  urls: { self: string; events: string; output: string; cancel: string };
}

export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  traceId: string;
  retryable: boolean;
  errors?: { pointer: string; detail: string }[];
  reason?: string;
  oldest?: number;
  head?: number;
  outputUrl?: string;
}

export interface EventsPage {
  events: EventBody[];
  head: number;
  oldest: number;
  terminal: boolean;
  next: number | null;
}

export interface OutputBody {
  text: string;
  texts?: { index: number; text: string }[];
  seq: number;
  attempt: number;
  data: Json[];
  audio?: { format: { codec: string; sampleRate: number; channels: number }; bytes: number; url: string };
}

export interface SessionBody {
  id: string;
  userId: string;
  nodeId: string;
  createdAt: string;
  connectedAt?: string;
  lastSeenAt: string;
  presence: string;
  rooms: string[];
}

export interface LimitsBody {
  frameBytes: number;
  eventBytes: number;
  queueBytes: number;
  rooms: number;
  attachments: number;
  resumeMs: number;
}

export interface SessionCreatedBody {
  session: SessionBody;
  token: string;
  tokenExpiresAt: number | string;
  limits: LimitsBody;
}

export interface WelcomeJob {
  id: string;
  type: string;
  status: string;
  attempt: number;
  head: number;
  terminal: boolean;
}

export interface MemberBody {
  userId: string;
  sessionId: string;
  status: string;
  since: string;
}

/** Any JSON frame of the server; which fields it has depends on `type`. */
export interface Frame {
  type: string;
  re?: string;
  // event, attached
  job?: string;
  seq?: number;
  first?: number;
  attempt?: number;
  at?: number;
  kind?: string;
  data?: EventData;
  terminal?: boolean;
  after?: number;
  head?: number;
  oldest?: number;
  status?: string;
  recovered?: boolean;
  reason?: string;
  output?: OutputBody;
  // message, presence
  room?: string;
  to?: string;
  id?: string;
  from?: { userId: string; sessionId: string } | null;
  joined?: MemberBody[];
  left?: MemberBody[];
  changed?: MemberBody[];
  count?: number;
  whole?: boolean;
  // error, goodbye
  code?: string | number;
  detail?: string;
  retryable?: boolean;
  reconnect?: boolean;
  reconnectAfterMs?: number;
  // welcome, token
  protocol?: number;
  session?: { id: string; userId: string; resumed: boolean; createdAt: string };
  token?: string;
  tokenExpiresAt?: number;
  jobs?: WelcomeJob[];
  moreJobs?: boolean;
  rooms?: string[];
  heartbeat?: { pingMs: number; timeoutMs: number };
  limits?: LimitsBody;
  node?: string;
}

/** What one entry of a job's log looked like when it came over a socket. */
export interface ReceivedEvent {
  job: string;
  /** First entry a folded frame covers; equal to `seq` otherwise. */
  first: number;
  seq: number;
  attempt: number;
  /** null for a binary frame, which has none. */
  at: number | null;
  kind: string;
  data: EventData;
  terminal: boolean;
  /** Payload of a binary frame. */
  bytes?: Uint8Array;
  /** Size of the frame on the wire. */
  frameBytes: number;
}

/** The parts of a binary frame, read by hand after PROTOCOL section 5; throws on anything that is not one. */
export function readBinaryFrame(frame: Uint8Array): ReceivedEvent {
  if (frame.byteLength < 24) throw new Error(`binary frame of ${frame.byteLength} bytes`);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint8(0) !== 1) throw new Error(`binary frame of version ${view.getUint8(0)}`);
  const kind = [undefined, "output.audio", "output.data"][view.getUint8(1)];
  if (kind === undefined) throw new Error(`binary frame of kind ${view.getUint8(1)}`);
  const hex = Buffer.from(frame.subarray(8, 24)).toString("hex");
  const seq = view.getUint32(4);
  return {
    job: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-"),
    first: seq,
    seq,
    attempt: view.getUint16(2),
    at: null,
    kind,
    data: {},
    terminal: false,
    bytes: frame.slice(24),
    frameBytes: frame.byteLength,
  };
}
