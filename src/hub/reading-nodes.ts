/**
 * Which other nodes read which logs, so that nobody else is told of every entry. What they say is kept for a while only
 * and is never relied on: whoever is not told finds out at its next look.
 */
import type { Recipients, Signal } from "../backplane/backplane.ts";
import type { JobSummary } from "../jobs/job.ts";
import type { Clock } from "../lib/clock.ts";
import type { JobId } from "../lib/ids.ts";
import { createLru } from "../lib/lru.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface ReadingNodesOptions {
  readonly tell: (signal: Signal, to: Recipients) => void;
  readonly clock: Clock;
}

export interface ReadingNodes {
  /** The node reads these, and may have missed what was committed here a moment ago. */
  read(node: string, jobs: readonly JobId[]): void;
  /** A run of the job has begun here. */
  started(job: JobId): void;
  /** The logs of these jobs have grown here. */
  grew(jobs: readonly JobSummary[]): void;
  /** What others said may not have been heard: until they have said it again, all of them are told. */
  missed(): void;
}

export function createReadingNodes({ tell, clock }: ReadingNodesOptions): ReadingNodes {
  /** Until when each node is to be told, by job; those of which nothing was heard for longest come first. */
  const nodesOf = new Map<JobId, Map<string, number>>();
  /** Until when all are told of a run that has just begun: who reads it has not said so yet. */
  const young = new Map<JobId, number>();
  /** What was committed here last. */
  const latest = createLru<JobId, JobSummary>(LIMITS.grownJobs);
  const soon = (): number => clock.steadyMs() + LIMITS.readingMs;
  /** Nobody has been asked yet. */
  let allUntilMs = soon();

  const forgetSilent = (nodes: Map<string, number>, nowMs: number): void => {
    for (const [node, untilMs] of nodes) if (untilMs <= nowMs) nodes.delete(node);
  };
  const forgetOldest = (nowMs: number): void => {
    for (const [id, nodes] of nodesOf) {
      forgetSilent(nodes, nowMs);
      if (nodes.size > 0) return;
      nodesOf.delete(id);
    }
  };

  const forgetGrownUp = (nowMs: number): void => {
    for (const [id, untilMs] of young) {
      if (untilMs > nowMs) return;
      young.delete(id);
    }
  };
  return {
    read(node, jobs) {
      const nowMs = clock.steadyMs();
      const untilMs = soon();
      forgetOldest(nowMs);
      const unheard: JobSummary[] = [];
      for (const id of jobs) {
        const known = nodesOf.get(id);
        if (known === undefined && nodesOf.size >= LIMITS.readJobs) {
          // Who finds no place is told with all others.
          allUntilMs = untilMs;
          continue;
        }
        const nodes = known ?? new Map<string, number>();
        forgetSilent(nodes, nowMs);
        const job = nodes.has(node) ? undefined : latest.get(id);
        if (job !== undefined) unheard.push(job);
        nodes.set(node, untilMs);
        nodesOf.delete(id);
        nodesOf.set(id, nodes);
      }
      if (unheard.length > 0) tell({ kind: "jobs", jobs: unheard }, { node });
    },

    started(job) {
      const nowMs = clock.steadyMs();
      forgetGrownUp(nowMs);
      young.delete(job);
      young.set(job, nowMs + LIMITS.youngRunMs);
    },

    grew(jobs) {
      const nowMs = clock.steadyMs();
      forgetGrownUp(nowMs);
      const toAll: JobSummary[] = [];
      const toNode = new Map<string, JobSummary[]>();
      for (const job of jobs) {
        latest.set(job.id, job);
        if (nowMs < allUntilMs || young.has(job.id)) {
          toAll.push(job);
          continue;
        }
        for (const [node, untilMs] of nodesOf.get(job.id) ?? []) {
          if (untilMs <= nowMs) continue;
          const told = toNode.get(node);
          if (told === undefined) toNode.set(node, [job]);
          else told.push(job);
        }
      }
      if (toAll.length > 0) tell({ kind: "jobs", jobs: toAll }, "all");
      for (const [node, told] of toNode) tell({ kind: "jobs", jobs: told }, { node });
    },

    missed() {
      allUntilMs = soon();
    },
  };
}
