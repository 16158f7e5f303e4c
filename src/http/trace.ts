/** W3C Trace Context and the correlation id of a call: taken over when they are sound, made when they are not. */
import type { Ids } from "../lib/ids.ts";
import { freshTraceparent } from "../lib/traceparent.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface Trace {
  readonly traceparent: string;
  readonly tracestate: string | null;
  readonly traceId: string;
  readonly correlationId: string | null;
}

/** Version 00 of https://www.w3.org/TR/trace-context/: all-zero ids are invalid. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const PRINTABLE = /^[\x21-\x7e]+$/;
const TRACESTATE_CHARS = 512;

export function readTrace(headers: Headers, ids: Ids): Trace {
  const given = headers.get("traceparent");
  const match = given === null ? null : TRACEPARENT.exec(given);
  const traceId = match?.[1] ?? ids.hex(16);
  const state = match === null ? null : headers.get("tracestate");
  return {
    traceparent: match === null ? freshTraceparent(ids, traceId) : match[0],
    tracestate: state !== null && state.length <= TRACESTATE_CHARS ? state : null,
    traceId,
    correlationId: readCorrelationId(headers.get("x-correlation-id"), ids),
  };
}

function readCorrelationId(given: string | null, ids: Ids): string | null {
  if (given === null) return null;
  return given.length <= LIMITS.correlationIdChars && PRINTABLE.test(given) ? given : ids.any();
}
