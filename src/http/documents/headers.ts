/** Headers that many operations share, in words. */
import { LIMITS } from "../../protocol/limits.ts";
import type { HeaderName } from "./describe.ts";
import type { Header, Parameter } from "./shape.ts";

const text = { type: "string" } as const;
const seconds = { type: "integer", minimum: 0 } as const;

type SharedHeader = HeaderName | "X-Trace-Id" | "RateLimit" | "RateLimit-Policy";

export const HEADERS: Readonly<Record<SharedHeader, Header>> = {
  "X-Trace-Id": {
    description: "Names the call in traces and in the log.",
    schema: { type: "string", pattern: "^[0-9a-f]{32}$" },
  },
  Location: { description: "Path of what was made.", schema: { type: "string", format: "uri-reference" } },
  "Retry-After": { description: "Seconds to wait before asking again.", schema: seconds },
  ETag: { description: "For `If-None-Match`.", schema: text },
  "Idempotent-Replayed": {
    description: "`true`: the key was used before; this is the job it made.",
    schema: { const: "true" },
  },
  "Preference-Applied": { description: "The wait that was granted (RFC 7240).", schema: text },
  "Content-Range": { description: "Which bytes of how many (RFC 9110).", schema: text },
  "Accept-Ranges": {
    description: "`bytes` once the job has ended, before `none`.",
    schema: { type: "string", enum: ["bytes", "none"] },
  },
  Upgrade: { description: "`websocket`.", schema: text },
  "Sec-WebSocket-Protocol": {
    description: "The subprotocol; never an entry that bears a token.",
    schema: text,
  },
  "WWW-Authenticate": { description: "RFC 6750 challenge.", schema: text },
  RateLimit: { description: "What is left of the quota.", schema: text },
  "RateLimit-Policy": { description: "The quota.", schema: text },
};

/** Taken by every call of the API. */
export const TRACE_PARAMETERS: Readonly<Record<string, Parameter>> = {
  traceparent: {
    name: "traceparent",
    in: "header",
    description: "W3C trace context; without it a new trace begins.",
    schema: text,
  },
  tracestate: {
    name: "tracestate",
    in: "header",
    description: "Kept beside `traceparent`.",
    schema: text,
  },
  "X-Correlation-Id": {
    name: "X-Correlation-Id",
    in: "header",
    description: `Kept with the job and given back; at most ${LIMITS.correlationIdChars} printable characters.`,
    schema: { type: "string", maxLength: LIMITS.correlationIdChars },
  },
};
