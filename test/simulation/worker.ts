/**
 * A remote worker, reduced to what it does to the store: leases jobs of the type `remote`, writes, renews, ends, and
 * loses its way now and then. Its lease is all that keeps it from writing into another run.
 */
import { instant } from "../../src/lib/clock.ts";
import type { JobCommand, JobOp, JobOutcome, ClaimedJob } from "../../src/jobs/store.ts";
import type { Machine } from "./machine.ts";
import type { Link, Network } from "./network.ts";
import { nowAndThen, strikes, type Scene } from "./scene.ts";
import { stepsOf, wholeText, type Script } from "./script.ts";

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
      const running = machine.running;
      if (running === null) return;
      const given = { ...command, at: instant(running.clock) } as unknown as JobCommand<typeof command.op>;
      running.storage.jobs.execute(given).then(
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

  const work = async ({ job, input }: ClaimedJob): Promise<void> => {
    const script = JSON.parse(input) as Script;
    const { id, leaseToken: lease, attempt } = job;
    for (const step of stepsOf(script, attempt)) {
      if (step.do === "sleep") await pause(step.ms);
      if (strikes(scene, random, 0.15)) {
        sometimes.reached("a worker loses its way");
        await pause(random.between(1000, 20_000));
      }
      // Gone without a word: the lease runs out.
      if (step.do === "crash" || step.do === "hang") return;
      if (step.do === "fail" || step.do === "throw") {
        const error = { code: "scripted", message: "Told to.", retryable: true, origin: "handler" } as const;
        const how = { kind: "error", error, random: random.next() } as const;
        if ((await ask({ op: "end", id, lease, how })) === "lease_lost")
          sometimes.reached("a worker is too late");
        return;
      }
    }
    const delta = wholeText(script, attempt);
    if (delta !== "") {
      const items = [{ kind: "output.text", data: JSON.stringify({ delta, index: 0 }) }] as const;
      // What got no answer may have been written: to repeat it could double it, so the run is given up.
      if ((await ask({ op: "append", id, lease, items, jobBytes: 1_000_000 })) !== "ok") return;
    }
    const how = { kind: "succeeded", result: JSON.stringify({ wish: script.wish }) } as const;
    if ((await ask({ op: "end", id, lease, how })) === "lease_lost")
      sometimes.reached("a worker is too late");
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
