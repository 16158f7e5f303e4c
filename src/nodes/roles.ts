/** What a node takes part in by its role: the one table behind what it serves and what it runs. */
import type { NodeRole } from "../protocol/admin.ts";

/**
 * `sockets`: `/v1/connect`. `sessions`: the routes of sessions. `api`: every other route for users and workers, and the
 * pages. `jobs`: runs in this process, and whatever time brings: schedules, lost leases, webhooks, retention.
 * Health, metrics and the admin API are everybody's.
 */
export type Duty = "sockets" | "sessions" | "api" | "jobs";

const DUTIES: Readonly<Record<NodeRole, readonly Duty[]>> = {
  all: ["sockets", "sessions", "api", "jobs"],
  gateway: ["sockets", "sessions"],
  api: ["sessions", "api"],
  worker: ["jobs"],
};

export function has(role: NodeRole, duty: Duty): boolean {
  return DUTIES[role].includes(duty);
}

/** Whether clients of a node can be served by one of role `other`, in part at least. A worker has none, which anybody serves. */
export function servesClientsOf(role: NodeRole, other: NodeRole): boolean {
  const duties = DUTIES[role].filter((duty) => duty === "sockets" || duty === "api");
  return duties.length === 0 || duties.some((duty) => has(other, duty));
}

/** Roles of nodes that have a duty. */
export function rolesWith(duty: Duty): readonly NodeRole[] {
  return (Object.keys(DUTIES) as NodeRole[]).filter((role) => has(role, duty));
}

/** Duties that none of these roles has. */
export function missingFrom(roles: readonly NodeRole[]): readonly Duty[] {
  return DUTIES.all.filter((duty) => !roles.some((role) => has(role, duty)));
}
