/** A node as operators see it. */
import type { Clock } from "../lib/clock.ts";
import type { NodeObject } from "../protocol/admin.ts";
import type { NodeRecord } from "./store.ts";

export function toNodeObject(node: NodeRecord, clock: Clock): NodeObject {
  const { id, bootId, role, state, version, host, url, startedAt, seenBy, sockets, runs } = node;
  const lastSeenAt = clock.wallMs() - Math.max(clock.steadyMs() - seenBy, 0);
  return {
    id,
    boot: bootId,
    role,
    state,
    version,
    host,
    url,
    startedAt: new Date(startedAt).toISOString(),
    lastSeenAt: new Date(lastSeenAt).toISOString(),
    connections: sockets,
    running: runs,
  };
}
