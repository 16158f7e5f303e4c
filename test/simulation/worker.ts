/**
 * A remote worker, reduced to what it does to the store: leases jobs of the type `remote`, writes, renews, ends, and
 * loses its way now and then. Its lease is all that keeps it from writing into another run.
 */
import { instant } from "../../src/lib/clock.ts";
import type { JobCommand, JobOp, JobOutcome, ClaimedJob } from "../../src/jobs/store.ts";
import type { RunEnd } from "../../src/jobs/transitions.ts";
import type { Machine } from "./machine.ts";
import type { Link, Network } from "./network.ts";
import { nowAndThen, strikes, violate, type Scene } from "./scene.ts";
import { label, stepsOf, type Script } from "./script.ts";

const LEASE_MS = 5000;
/** How long a worker waits for an answer before it takes the call for lost. */
const ANSWER_MS = 3000;

type Ask = <Op extends JobOp>(
  command: Omit<JobCommand<Op>, "at"> & { readonly op: Op },
) => Promise<JobOutcome<Op> | "lost">;

function createAsk(scene: Scene, machine: Machine, link: Link): Ask {
  const { timeline, faults } = scene;
  const random = scene.random.fork();
  return (command) => {
    const { promise, resolve } = Promise.withResolvers<JobOutcome<typeof command.op> | "lost">();
    timeline.after(ANSWER_MS, () => resolve("lost"));
    if (strikes(scene, random, faults.lostRequest)) return promise;
    timeline.after(link.latencyMs(), () => {
      const { running } = machine;
      const [only] = running;
      if (only === undefined) return;
      const { clock, storage } = running.length === 1 ? only : random.pick(running);
      const given = { ...command, at: instant(clock) } as unknown as JobCommand<typeof command.op>;
      storage.jobs.execute(given).then(
        (outcome) => {
          if (!strikes(scene, random, faults.lostAnswer))
            timeline.after(link.latencyMs(), () => resolve(outcome));
        },
        () => undefined,
      );
    });
    return promise;
  };
}

export function startWorker(scene: Scene, machine: Machine, network: Network, name: string): void {
  const { timeline, sometimes } = scene;
  const random = scene.random.fork();
  const link = network.createLink(name, random.fork());
  const ask = createAsk(scene, machine, link);
  const owner = `worker:${name}`;
  const pause = (ms: number): Promise<void> => new Promise((resolve) => void timeline.after(ms, resolve));

  /** Asked again when no answer comes: what was taken the first time is known by its number. */
  const insist: Ask = async (command) => {
    for (let tries = 1; tries < 4; tries += 1) {
      const outcome = await ask(command);
      if (outcome !== "lost") return outcome;
      sometimes.reached("a worker repeats itself");
    }
    return ask(command);
  };

  const finish = async ({ job }: ClaimedJob, how: RunEnd): Promise<void> => {
    const outcome = await insist({ op: "end", id: job.id, lease: job.leaseToken, how });
    if (outcome === "lease_lost") sometimes.reached("a worker is too late");
  };

  const work = async (claimed: ClaimedJob): Promise<void> => {
    const script = JSON.parse(claimed.input) as Script;
    const { id, leaseToken: lease, attempt } = claimed.job;
    const held = { id, lease, owner, leaseMs: LEASE_MS, jobBytes: 1_000_000 };
    // Its very first step kills it: nobody ever hears of this run.
    if (stepsOf(script, attempt)[0]?.do === "crash" || strikes(scene, random, 0.1)) return;
    const sign = await insist({ op: "hold", ...held, progress: null, checkpoint: null });
    if (sign === "lost" || typeof sign === "string") return;
    let first = 0;
    for (const [index, step] of stepsOf(script, attempt).entries()) {
      if (step.do === "sleep") await pause(step.ms);
      if (strikes(scene, random, 0.25)) {
        sometimes.reached("a worker loses its way");
        await pause(random.between(1000, 20_000));
      }
      // Gone without a word: the lease runs out.
      if (step.do === "crash" || step.do === "hang") return;
      if (step.do === "fail" || step.do === "throw") {
        const error = { code: "scripted", message: "Told to.", retryable: true, origin: "handler" } as const;
        return finish(claimed, { kind: "error", error, random: random.next() });
      }
      if (step.do !== "text" || step.index !== 0) continue;
      const data = JSON.stringify({ delta: label(attempt, index, step.bytes), index: 0 });
      const items = [[{ kind: "output.text", data }]] as const;
      const taken = await insist({ op: "deliver", ...held, first, items });
      if (typeof taken === "string") return;
      if (taken.kind === "item_gap") violate(scene, "what is written is stored in order", `gap at ${first}`);
      first = taken.next;
    }
    return finish(claimed, { kind: "succeeded", result: JSON.stringify({ wish: script.wish }) });
  };

  const claim = async (): Promise<void> => {
    const types = [{ type: "remote", most: 2 }];
    const secret = random.next().toString(36).slice(2).padEnd(8, "0");
    const claimed = await ask({
      op: "claim",
      types,
      most: 2,
      secret,
      owner,
      leaseMs: LEASE_MS,
      worker: name,
    });
    if (claimed !== "lost") for (const one of claimed.jobs) void work(one);
  };

  const again = (): void => {
    void claim();
    timeline.after(500, again);
  };
  again();
  nowAndThen(scene, random, 2000, () => void ask({ op: "renew", owner, leaseMs: LEASE_MS }));
}
