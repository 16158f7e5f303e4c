/** Which paths a node answers by its role (docs/protocol.md section 7). */
import { rolesWith, has, type Duty } from "../nodes/roles.ts";
import type { NodeRole } from "../protocol/admin.ts";
import { Refusal } from "../protocol/error.ts";

const EVERYBODYS = /^\/(?:v1\/admin\/|healthz$|readyz$|metrics$)/;

/** null: every node answers. */
function dutyOf(path: string): Duty | null {
  if (EVERYBODYS.test(path)) return null;
  if (path === "/v1/connect") return "sockets";
  return /^\/v1\/sessions(?:\/|$)/.test(path) ? "sessions" : "api";
}

/** Throws `not_found`, and where to ask instead, when nodes of this role do not answer here. */
export function refuseByRole(role: NodeRole, path: string): void {
  const duty = dutyOf(path);
  if (duty === null || has(role, duty)) return;
  throw new Refusal(
    "not_found",
    `This node has the role ${role} and does not serve this; nodes with the role ${rolesWith(duty).join(" or ")} do.`,
  );
}
