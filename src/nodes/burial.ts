/** Gives back what a dead node held: its runs, and the places of its sessions. */
import type { JobStore } from "../jobs/store.ts";
import { instant, type Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { NodeRecord } from "./store.ts";

export interface BurialOptions {
  readonly jobs: Pick<JobStore, "execute">;
  readonly sessions: Pick<Sessions, "abandoned">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxLostLeases: number;
}

/** Runs given back in one command. */
const RECOVERED_MOST = 200;

/** Returns the runs of one boot of a node, or (null) of all; how many. `owner`: who asks, whose own runs stay. */
export async function returnRuns(
  { jobs, clock, logger, maxLostLeases }: BurialOptions,
  { id: node, bootId: boot }: { readonly id: string; readonly bootId: string | null },
  owner: string,
): Promise<number> {
  const most = RECOVERED_MOST;
  let returned = 0;
  for (let busy = true; busy;) {
    const at = instant(clock);
    const reason = "worker_lost";
    const step = await jobs.execute({ op: "recover", at, owner, node, boot, reason, maxLostLeases, most });
    returned += step.recovered;
    if (step.stuck.length > 0)
      logger.error({ node, count: step.stuck.length }, "runs of a dead node could not be returned");
    ({ busy } = step);
  }
  return returned;
}

/** Rejects when the storage does not take it: the next finder goes on. */
export async function giveBack(options: BurialOptions, node: NodeRecord, owner: string): Promise<void> {
  const runs = await returnRuns(options, node, owner);
  await options.sessions.abandoned(node.id);
  options.logger.warn(
    { node: node.id, host: node.host, runs, sockets: node.sockets },
    "a node fell silent: its runs are returned, its sessions may be resumed elsewhere",
  );
}
