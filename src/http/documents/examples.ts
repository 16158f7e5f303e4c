/** Examples in the two documents, all about one job; test/http/documents.test.ts holds them to the schemas. */
import { ERROR_CODES, type ErrorCode } from "../../protocol/codes.ts";
import type { WebhookObject } from "../../protocol/webhooks.ts";
import type { EventObject, EventsPage, JobObject, OutputObject, TypeObject } from "../../protocol/jobs.ts";
import type { AdminJobObject, NodeObject, ScheduleObject, PushedObject } from "../../protocol/admin.ts";
import type { ProblemObject } from "../../protocol/objects.ts";
import type { PresenceObject, SaidObject } from "../../protocol/rooms.ts";
import type { LeasedObject, WorkerObject } from "../../protocol/workers.ts";
import type { PublishedLimits, SessionCreated, SessionObject, TokenObject } from "../../protocol/sessions.ts";

export const JOB_ID = "0199e3f0-5a10-7c3e-9b1d-2f6a7c8e4d01";
export const SESSION_ID = "0199e3ef-1c00-7a52-8e4f-6b0d9a3c7e11";
const USER_ID = "anon_0199e3ef1c007a52";
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
/** No real token: the three parts of one, cut short. */
const TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzaWQiOiIwMTk5ZTNlZiJ9.c2lnbmF0dXJl";
/** 2025-10-14T15:20:00.000Z */
const AT = 1_760_455_200_000;
const time = (afterMs: number): string => new Date(AT + afterMs).toISOString();

export const submitExample = {
  type: "chat",
  input: { messages: [{ role: "user", content: "Say hello" }] },
  metadata: { page: "front" },
};

const self = `/v1/jobs/${JOB_ID}`;

export const queuedJob: JobObject = {
  id: JOB_ID,
  type: "chat",
  status: "queued",
  terminal: false,
  attempt: 0,
  head: 1,
  createdAt: time(0),
  queue: { position: 1 },
  metadata: { page: "front" },
  traceId: TRACE_ID,
  urls: { self, events: `${self}/events`, output: `${self}/output`, cancel: `${self}/cancel` },
};

const { queue: _, ...unqueued } = queuedJob;

export const endedJob: JobObject = {
  ...unqueued,
  status: "succeeded",
  terminal: true,
  attempt: 1,
  head: 5,
  startedAt: time(4),
  finishedAt: time(640),
  result: { text: "Hello!", model: "built-in" },
};

export const canceledJob: JobObject = {
  ...unqueued,
  status: "canceled",
  terminal: true,
  head: 2,
  finishedAt: time(90),
};

const entry = { job: JOB_ID, attempt: 1 };
export const logExample: readonly EventObject[] = [
  { ...entry, seq: 1, attempt: 0, at: AT, kind: "job.queued", data: { position: 1 } },
  { ...entry, seq: 2, at: AT + 4, kind: "job.started", data: {} },
  { ...entry, seq: 3, at: AT + 60, kind: "output.text", data: { delta: "Hel", index: 0 } },
  { ...entry, seq: 4, at: AT + 110, kind: "output.text", data: { delta: "lo!", index: 0 } },
  {
    ...entry,
    seq: 5,
    at: AT + 640,
    kind: "job.succeeded",
    data: { result: { text: "Hello!", model: "built-in" } },
    terminal: true,
  },
];

export const eventsExample: EventsPage = {
  events: logExample,
  head: 5,
  oldest: 1,
  terminal: true,
  next: null,
};

/** The same log as the two streaming forms have it. */
export const sseExample = logExample
  .map((event) => `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`)
  .join("");
export const ndjsonExample = logExample.map((event) => `${JSON.stringify(event)}\n`).join("");

export const webhookExample: WebhookObject = {
  url: "https://hooks.example.com/done",
  state: "delivered",
  attempts: 2,
  deliveries: [
    { attempt: 1, at: "2026-11-23T05:12:31.007Z", tookMs: 15_004, error: "timeout" },
    { attempt: 2, at: "2026-11-23T05:12:51.260Z", tookMs: 38, status: 204 },
  ],
};

export const outputExample: OutputObject = { text: "Hello!", seq: 4, attempt: 1, data: [] };

export const typesExample: { readonly items: readonly TypeObject[] } = {
  items: [
    {
      type: "chat",
      input: {
        type: "object",
        properties: { messages: { type: "array", items: { type: "object" } } },
        required: ["messages"],
      },
      output: ["text"],
      limits: { maxAttempts: 3, timeoutMs: 600_000 },
    },
  ],
};

export const sessionExample: SessionObject = {
  id: SESSION_ID,
  userId: USER_ID,
  nodeId: "node_5f2c9a",
  createdAt: time(-60_000),
  connectedAt: time(-59_000),
  lastSeenAt: time(0),
  presence: "online",
  rooms: [],
};

export const tokenExample: TokenObject = { token: TOKEN, tokenExpiresAt: Date.parse(time(900_000)) };

export const limitsExample: PublishedLimits = {
  frameBytes: 65_536,
  eventBytes: 1_048_576,
  queueBytes: 1_048_576,
  rooms: 64,
  attachments: 256,
  resumeMs: 300_000,
};

const { connectedAt: __, ...unconnected } = sessionExample;
export const sessionCreatedExample: SessionCreated = {
  session: { ...unconnected, presence: "away" },
  ...tokenExample,
  limits: limitsExample,
};

export const adminJobExample: AdminJobObject = { ...endedJob, userId: USER_ID, sessionId: SESSION_ID };

export const scheduleExample: ScheduleObject = {
  name: "nightly",
  cron: "30 3 * * *",
  timeZone: "Europe/Berlin",
  type: "report",
  userId: "schedule:nightly",
  catchUp: "one",
  next: "2026-11-24T02:30:00.000Z",
  last: { tick: "2026-11-23T02:30:00.000Z", job: "01a2063c-cb40-7d52-8b37-2f1a5c7e9d40" },
};

export const nodeExample: NodeObject = {
  id: "node_5f2c9a1be07d",
  boot: "01a20619-2f08-7c35-9d11-6a8e40b7f213",
  role: "all",
  state: "up",
  version: "0.1.0",
  host: "berlin-2",
  url: "http://10.0.0.12:8787",
  startedAt: time(-3_600_000),
  lastSeenAt: time(-700),
  connections: 12,
  running: 3,
};

export const leasedExample: LeasedObject = {
  jobs: [
    {
      id: JOB_ID,
      type: "render",
      input: { scene: "harbour" },
      attempt: 1,
      leaseToken: "5b1e6f0c7a9d4e2f8b3c1d0e9f8a7b6c-0",
      leaseMs: 30_000,
      timeoutMs: 600_000,
      traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01`,
      metadata: {},
    },
  ],
  control: "run",
};

/** Lines of a worker's output. */
export const itemsExample = [
  { kind: "job.progress", data: { ratio: 0.1, message: "warming up" } },
  { kind: "output.text", data: { delta: "Frame 1. ", index: 0 } },
]
  .map((item) => `${JSON.stringify(item)}\n`)
  .join("");

export const workerExample: WorkerObject = {
  name: "gpu-3",
  tokenId: "0199e3e0-2b00-7d10-a1c2-5e6f7a8b9c0d",
  types: ["render"],
  leases: [JOB_ID],
  polling: 0,
  lastHeardAt: time(-400),
};

export const pushExample = { to: { user: USER_ID }, data: { notice: "Back in five minutes" } };
export const pushedExample: PushedObject = { id: "0199e3f0-7c30-7b12-9d44-1a8e5c2f7b90", delivered: 2 };

export const roomMessageExample = { data: { text: "Hello" } };
export const saidExample: SaidObject = { id: "0199e3f0-7c41-7a3e-8f60-2b9d6e0c1a75" };
export const presenceExample: PresenceObject = {
  members: [{ userId: USER_ID, sessionId: SESSION_ID, status: "online", since: time(-59_000) }],
  count: 1,
};

export const EXAMPLE_AT = AT;
export const EXAMPLE_TIME = time(-60_000);
export const EXAMPLE_USER = USER_ID;

const DETAILS: Partial<Record<ErrorCode, string>> = {
  invalid_request: "/input/messages: Invalid input: expected array, received string",
  cursor_expired: "The log holds 41 to 97; it cannot be read after 3.",
  item_gap: "The next item is 5.",
  payload_too_large: "The body is over bodyBytes (262144 bytes).",
};

const EXTRAS: Partial<Record<ErrorCode, Partial<ProblemObject>>> = {
  item_gap: { next: 5 },
  invalid_request: {
    errors: [{ pointer: "/input/messages", detail: "Invalid input: expected array, received string" }],
  },
  cursor_expired: { reason: "trimmed", oldest: 41, head: 97, outputUrl: `${self}/output` },
  payload_too_large: { limit: "bodyBytes", limitBytes: 262_144 },
};

/** A problem of this code, as an answer bears it. */
export function problemExample(code: ErrorCode): ProblemObject {
  const { status, title, retryable } = ERROR_CODES[code];
  return {
    type: `urn:holdline:problem:${code}`,
    title,
    status,
    detail: DETAILS[code] ?? `${title}.`,
    instance: self,
    code,
    traceId: TRACE_ID,
    retryable,
    ...EXTRAS[code],
  };
}
