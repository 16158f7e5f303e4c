/**
 * One of several processes that submit, claim, end and cancel jobs of one database at once. It says that it has opened it;
 * `go` on its input starts it, it says when it has submitted all, and after `finish` it works until nothing waits; then it
 * says what it did.
 */
import { createSystemClock } from "../../src/lib/clock.ts";
import { createIds, type JobId } from "../../src/lib/ids.ts";
import { ownerOf } from "../../src/jobs/holder.ts";
import { openStorage } from "../../src/storage.ts";
import { drive, SESSION } from "../conformance/drive.ts";

export interface ChildOptions {
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly id: string;
  /** Goes through what both go through the other way round. */
  readonly backwards: boolean;
}

export interface ChildReport {
  readonly submitted: readonly JobId[];
  readonly claimed: readonly JobId[];
  readonly keyed: readonly { readonly key: string; readonly id: JobId }[];
  readonly cancels: number;
}

const SHARED = 160;
const BURST = 20;
const ROUNDS = 25;
const KEYS = 12;

interface Talk {
  readonly go: Promise<void>;
  readonly finish: Promise<void>;
  readonly say: (word: object) => void;
}

async function work(options: ChildOptions, { go, finish, say }: Talk): Promise<void> {
  const clock = createSystemClock();
  const storage = await openStorage({
    ...options,
    durability: "process",
    node: { id: () => options.id, several: true, clock },
  });
  const on = drive(storage.jobs, clock);
  const ids = createIds(clock);
  const owner = ownerOf(options.id, "boot");
  const submitted: JobId[] = [];
  const claimed: JobId[] = [];
  const keyed: { key: string; id: JobId }[] = [];
  let cancels = 0;
  let finishing = false;
  void finish.then(() => (finishing = true));
  const inOrder = <One>(list: One[]): One[] => (options.backwards ? list.toReversed() : list);
  const times = (count: number): number[] => inOrder(Array.from({ length: count }, (_, n) => n));

  const submitAll = async (): Promise<void> => {
    for (let n = 0; n < SHARED; n += BURST) {
      const burst = times(BURST).map((m) =>
        on.submit({ id: ids.job(), type: "shared", userId: `user-${(n + m) % 7}` as never }),
      );
      submitted.push(...(await Promise.all(burst)));
    }
  };
  const submitKeyed = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const outcomes = times(KEYS).map(async (n) => {
        const key = `${round}-${n}`;
        const outcome = await on.trySubmit({ id: ids.job(), type: "keyed", key });
        if (outcome.kind === "accepted") keyed.push({ key, id: outcome.job.id });
        else if (outcome.kind === "replayed") keyed.push({ key, id: outcome.id });
        else throw new Error(outcome.kind);
      });
      await Promise.all(outcomes);
    }
  };
  /** Both end the same jobs, and touch those that the other one is at. */
  const meddle = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const open = await on.store.list({
        userId: null,
        status: "queued",
        type: "keyed",
        before: null,
        limit: 8,
      });
      await Promise.all([
        ...inOrder([...open]).map(({ job }) => on.cancel(job.id)),
        on.execute("renew", { owner, leaseMs: 30_000 }),
        on.execute("grant", { leaseMs: 30_000 }),
        on.execute("realign", {}),
        on.sweep({ owner }),
      ]);
      cancels += open.length;
    }
  };
  /** A lane is locked by whoever submits to it, so that these would keep all else apart. */
  const submitLaned = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const lanes = times(4).map((n) => `lane-${n}`);
      await Promise.all(
        lanes.map((lane) => on.submit({ id: ids.job(), type: "laned", sessionId: SESSION, lane })),
      );
    }
  };
  const claimAll = async (): Promise<void> => {
    for (let n = 0; ; n += 1) {
      const last = finishing;
      const runs = await on.claim({
        types: [{ type: "shared", most: 7 }],
        owner,
        secret: `${options.id}-${n}`,
      });
      claimed.push(...runs.map(({ id }) => id));
      await Promise.all(
        runs.map(async (run) => {
          await on.text(run, options.id);
          if ((await on.succeed(run)) !== "succeeded") throw new Error(`${run.id} was lost`);
        }),
      );
      if (last && runs.length === 0) return;
    }
  };
  say({ word: "open" });
  await go;
  const claiming = claimAll();
  await submitAll();
  await Promise.all([submitKeyed(), meddle()]);
  await submitLaned();
  say({ word: "submitted" });
  await claiming;
  say({ word: "report", report: { submitted, claimed, keyed, cancels } satisfies ChildReport });
  await storage.stop();
}

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] ?? "{}") as ChildOptions;
  const go = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const say = (word: object): void => void process.stdout.write(`${JSON.stringify(word)}\n`);
  work(options, { go: go.promise, finish: finish.promise, say }).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${String((error as Error).stack)}\n`);
      process.exit(1);
    },
  );
  for await (const line of console) (line === "go" ? go : finish).resolve();
}
