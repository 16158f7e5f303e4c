/**
 * The model: what was committed, as the disk has it, and what may therefore be true anywhere else. It hears of every
 * transaction, every answer and every frame in the moment in which it happens, and says which promise it breaks.
 */
import type { StoredEvent } from "../../src/jobs/job.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { isTerminalKind } from "../../src/protocol/events.ts";
import { isTerminalStatus } from "../../src/protocol/jobs.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { DiskWatch, Look, StoredJob } from "./disk.ts";
import { violate, type Scene } from "./scene.ts";

/** A job of the model: its log as it was committed, entry by entry. */
export interface KnownJob {
  readonly id: JobId;
  readonly userId: string;
  /** Names the one thing that was asked for (the idempotency key that came with it). */
  readonly wish: string;
  readonly log: StoredEvent[];
  terminal: boolean;
  /** Runs that were lost with whoever had them. */
  lost: number;
  /** First entry that can still be read. */
  oldest: number;
  /** Its user deleted it. */
  purged: boolean;
}

export interface Model extends DiskWatch {
  readonly jobs: ReadonlyMap<JobId, KnownJob>;
  job(id: string): KnownJob | null;
  /** Compares everything that is stored with what was seen being stored. */
  audit(): void;
}

interface FencedCommand {
  readonly op: string;
  readonly id?: JobId;
  readonly lease?: string;
  readonly owner?: string;
  readonly seq?: number;
}

const FENCED = new Set(["append", "end", "checkpoint", "deliver", "hold"]);

/** What an answer to a fenced command looks like when nothing was written. */
function wasRefused(outcome: unknown): boolean {
  return outcome === "lease_lost" || outcome === "output_too_large";
}

function sameData(a: string | Uint8Array, b: string | Uint8Array): boolean {
  return typeof a === "string" || typeof b === "string" ? a === b : Bun.deepEquals(a, b);
}

export function createModel(scene: Scene, look: () => Look): Model {
  const jobs = new Map<JobId, KnownJob>();
  const wishes = new Map<string, JobId>();
  const { sometimes } = scene;

  const learn = (stored: StoredJob): KnownJob => {
    const wish = stored.metadata["wish"] ?? stored.id;
    const job: KnownJob = {
      id: stored.id,
      userId: stored.userId,
      wish,
      log: [],
      terminal: false,
      lost: 0,
      oldest: 1,
      purged: false,
    };
    jobs.set(job.id, job);
    const twin = wishes.get(wish);
    if (twin !== undefined) violate(scene, "one key is one job", `${wish} made both ${twin} and ${job.id}`);
    wishes.set(wish, job.id);
    return job;
  };

  const take = (job: KnownJob, event: StoredEvent): void => {
    const previous = job.log.at(-1);
    const where = `job ${job.wish} seq ${event.seq} ${event.kind}`;
    if (event.seq !== job.log.length + 1)
      violate(scene, "seq has no gap and no repeat", `${where} follows ${job.log.length}`);
    if (job.terminal) violate(scene, "nothing follows the terminal event", where);
    if (event.attempt < (previous?.attempt ?? 0)) violate(scene, "attempts only grow", where);
    if (event.kind === "output.reset") sometimes.reached(`output.reset ${String(event.data)}`);
    if (event.kind === "job.retrying") {
      const reason = reasonOf(event);
      sometimes.reached(`job.retrying ${reason}`);
      if (reason === "restart" || reason === "worker_lost") job.lost += 1;
      if (job.lost >= LIMITS.maxLostLeases)
        violate(scene, "a lost lease is counted", `${where}: ${job.lost} lost`);
    }
    if (isTerminalKind(event.kind)) {
      job.terminal = true;
      sometimes.reached(`${event.kind}${event.kind === "job.failed" ? ` ${errorOf(event)}` : ""}`);
    }
    job.log.push(event);
    scene.trace.note(`stored ${job.wish} ${event.seq} ${event.kind} a${event.attempt}`);
  };

  /**
   * Of jobs that are deleted or have ended, before retention took it in the very commit in which it was written: it is
   * announced all the same.
   */
  const going = new Map<JobId, readonly StoredEvent[]>();

  const compare = (stored: StoredJob): void => {
    const job = jobs.get(stored.id) ?? learn(stored);
    job.oldest = stored.oldest;
    if (stored.purged && !job.purged) sometimes.reached("a job is deleted");
    job.purged = stored.purged;
    if (stored.head === job.log.length) return;
    if (stored.head < job.log.length) {
      violate(scene, "what is stored stays", `job ${job.wish}: ${stored.head} of ${job.log.length} are left`);
      return;
    }
    const added = look().events(job.id, job.log.length);
    const from = added[0]?.seq ?? Infinity;
    const gone = (going.get(job.id) ?? []).filter(({ seq }) => seq < from);
    for (const event of [...gone, ...added]) take(job, event);
    if (stored.head !== job.log.length)
      violate(
        scene,
        "seq has no gap and no repeat",
        `job ${job.wish}: head ${stored.head}, log ${job.log.length}`,
      );
    if (isTerminalStatus(stored.status as "queued") !== job.terminal)
      violate(scene, "a job ends with its terminal event", `job ${job.wish} is ${stored.status}`);
    const held = stored.status === "running" || stored.status === "canceling";
    if (held !== (stored.leaseToken !== null))
      violate(
        scene,
        "who runs holds a lease",
        `job ${job.wish} is ${stored.status}, lease ${stored.leaseToken}`,
      );
  };

  return {
    jobs,
    job: (id) => jobs.get(id as JobId) ?? null,

    around(to, command, run) {
      const { op, id, lease, seq } = command as FencedCommand;
      if (to === "jobs" && op === "retain") {
        for (const stored of look().jobs())
          if (stored.purged || isTerminalStatus(stored.status as "queued"))
            going.set(stored.id, look().events(stored.id, jobs.get(stored.id)?.log.length ?? 0));
      }
      if (to !== "jobs" || id === undefined) return run();
      const before = look().job(id);
      const done = run();
      const { outcome } = done as { outcome: unknown };
      if (FENCED.has(op)) {
        const holds =
          before !== null &&
          before.leaseToken === lease &&
          (before.status === "running" || before.status === "canceling");
        if (wasRefused(outcome)) {
          if (outcome === "lease_lost") sometimes.reached(`lease lost: ${op}`);
        } else if (!holds && look().job(id)?.head !== before?.head) {
          violate(
            scene,
            "only the current lease writes",
            `${op} of job ${before?.metadata["wish"]} by ${lease}`,
          );
        } else if (op === "end" && holds && before.status === "canceling") {
          sometimes.reached("the end of a run meets its cancel");
        }
      }
      if (op === "acknowledge" && outcome === true && (before === null || seq !== before.head)) {
        violate(scene, "a receipt is for what there is", `seq ${seq} of job ${before?.metadata["wish"]}`);
      }
      return done;
    },

    committed() {
      for (const stored of look().jobs()) compare(stored);
      going.clear();
    },

    audit() {
      for (const stored of look().jobs()) {
        const job = jobs.get(stored.id);
        if (job === undefined || stored.purged) continue;
        for (const event of look().events(stored.id, stored.oldest - 1)) {
          const known = job.log[event.seq - 1];
          const same =
            known !== undefined &&
            known.attempt === event.attempt &&
            known.kind === event.kind &&
            known.at === event.at &&
            sameData(known.data, event.data);
          if (!same) violate(scene, "the same seq is the same bytes", `job ${job.wish} seq ${event.seq}`);
        }
      }
    },
  };
}

function reasonOf({ data }: StoredEvent): string {
  return String((JSON.parse(String(data)) as { reason?: string }).reason);
}

function errorOf({ data }: StoredEvent): string {
  return (JSON.parse(String(data)) as { error: { code: string } }).error.code;
}
