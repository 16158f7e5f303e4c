/**
 * One of several processes that write a file at once: submits, claims, appends and ends until it is told to stop, and
 * then tells what it did. `sharing.ts <data folder> <name>`; whoever started it holds the folder.
 */
import { join } from "node:path";
import type { JobId } from "../../src/lib/ids.ts";
import { openStorage } from "../../src/storage.ts";
import { drive, nextJobId, type HeldRun } from "../conformance/drive.ts";

/** Most that wait at a time, of all processes. */
export const QUEUE_JOBS = 40;
/** Most of the one user of all processes. */
export const USER_JOBS = 60;

export interface Told {
  readonly accepted: readonly JobId[];
  /** As `<job>/<attempt>`. */
  readonly claimed: readonly string[];
  readonly ended: readonly JobId[];
  readonly refused: Readonly<Record<"queue_full" | "too_many_jobs" | "reused" | "replayed", number>>;
  /** Jobs in the queue when one was accepted. */
  readonly mostQueued: number;
  /** Longest wait for one commit, and all of them together. */
  readonly longestMs: number;
  readonly commits: number;
  readonly tookMs: number;
}

async function work(dataDir: string, name: string, shouldStop: () => boolean): Promise<Told> {
  const databaseUrl = `sqlite:${join(dataDir, "holdline.db")}`;
  const storage = await openStorage({ databaseUrl, dataDir, durability: "process", shared: true });
  const on = drive(storage.jobs);
  const told = {
    accepted: [] as JobId[],
    claimed: [] as string[],
    ended: [] as JobId[],
    refused: { queue_full: 0, too_many_jobs: 0, reused: 0, replayed: 0 },
    mostQueued: 0,
    longestMs: 0,
    commits: 0,
    tookMs: 0,
  };
  const timed = async <Value>(commit: Promise<Value>): Promise<Value> => {
    const begunMs = performance.now();
    const value = await commit;
    told.longestMs = Math.max(told.longestMs, performance.now() - begunMs);
    told.commits += 1;
    return value;
  };
  const submit = async (round: number): Promise<void> => {
    // Ids rise across processes as well: their order is their age.
    const id = `${nextJobId().slice(0, 9)}${name}${nextJobId().slice(10)}` as JobId;
    // Every fourth key is asked for by every process.
    const key = round % 4 === 0 ? `key-${round}` : `key-${name}-${round}`;
    const limits = { queueJobs: QUEUE_JOBS, userJobs: USER_JOBS };
    const outcome = await timed(on.trySubmit({ id, type: "shared", key, ...limits }));
    if (outcome.kind !== "accepted") {
      told.refused[outcome.kind] += 1;
      return;
    }
    told.accepted.push(outcome.job.id);
    told.mostQueued = Math.max(told.mostQueued, outcome.position);
  };
  const run = async (held: HeldRun): Promise<void> => {
    told.claimed.push(`${held.id}/${held.attempt}`);
    await timed(on.text(held, "one", "two"));
    await timed(on.text(held, "three"));
    if ((await timed(on.succeed(held, name))) === "succeeded") told.ended.push(held.id);
  };
  const begunMs = performance.now();
  for (let round = 0; !shouldStop(); round += 1) {
    const [claimed] = await Promise.all([
      timed(
        on.claim({
          types: [{ type: "shared", most: 5 }],
          most: 5,
          owner: `boot:${name}:1`,
          secret: `${name}-${round}`,
        }),
      ),
      ...Array.from({ length: 8 }, (_, n) => submit(8 * round + n)),
    ]);
    await Promise.all(claimed.map(run));
  }
  told.tookMs = performance.now() - begunMs;
  await storage.stop();
  return told;
}

if (import.meta.main) {
  const [dataDir = "", name = ""] = process.argv.slice(2);
  let stopped = false;
  process.once("message", () => {
    stopped = true;
  });
  const told = await work(dataDir, name, () => stopped);
  process.stdout.write(JSON.stringify(told));
  process.disconnect?.();
}
