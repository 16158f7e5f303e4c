/** Which faults a seed brings, how often, and in what world: each seed draws its own, so that kinds meet that rarely do. */
import type { Random } from "./random.ts";

export interface Faults {
  readonly driver: "sqlite" | "memory";
  readonly browsers: number;
  readonly strangers: number;
  readonly workers: number;
  /** How long faults go on, and new work comes. */
  readonly spanMs: number;

  // Settings of the server
  readonly queueBytes: number;
  readonly attachments: number;
  readonly resumeMs: number;
  readonly sessionTokenMs: number;
  readonly userTokenMs: number;
  readonly userJobs: number;
  readonly concurrency: number;
  readonly retentionMs: number;
  readonly pingMs: number;

  // The disk: probabilities for each commit
  readonly commitMs: number;
  readonly slowCommit: number;
  readonly refusedCommit: number;
  readonly failingStatement: number;
  readonly unknownCommit: number;
  readonly crashAtCommit: number;

  // The process and its host: mean time between two of them, 0 = never
  readonly crashMs: number;
  readonly drainMs: number;
  readonly freezeMs: number;
  readonly jumpMs: number;
  /** How late timers may be. */
  readonly lateMs: number;

  // The network
  readonly latencyMs: number;
  readonly spikes: number;
  readonly cutMs: number;
  readonly darkMs: number;
  readonly partitionMs: number;
  readonly lostRequest: number;
  readonly lostAnswer: number;
  readonly hungCall: number;
  readonly repeatedCall: number;
  readonly slowReaders: number;
  /** Bytes that are under way to a client before its socket makes the server wait. */
  readonly windowBytes: number;
  /** Whether a close is heard by the handler within the call, as some runtimes do. */
  readonly closesAtOnce: boolean;

  // Several nodes: what becomes of a signal between them
  readonly nodes: number;
  readonly lostSignal: number;
  readonly repeatedSignal: number;
  readonly lateSignal: number;

  // People
  readonly actMs: number;
  readonly reload: number;
  readonly logOut: number;
  readonly twoTabs: number;
}

/** A fault that this seed has, or not. */
function perhaps(random: Random, value: () => number): number {
  return random.chance(0.4) ? value() : 0;
}

export function drawFaults(random: Random): Faults {
  const rate = (most: number) => (): number => random.next() * most;
  const mean = (least: number, most: number) => (): number => random.between(least, most);
  return {
    driver: random.chance(0.3) ? "memory" : "sqlite",
    browsers: random.between(1, 3),
    strangers: random.chance(0.5) ? 1 : 0,
    workers: random.chance(0.6) ? 1 : 0,
    spanMs: random.between(20_000, 60_000),

    queueBytes: random.pick([256, 1024, 4096, 1_048_576]),
    attachments: random.pick([1, 2, 4, 256, 256]),
    resumeMs: random.pick([5000, 20_000, 300_000, 300_000]),
    sessionTokenMs: random.pick([3000, 15_000, 900_000, 900_000]),
    userTokenMs: random.pick([8000, 40_000, 3_600_000, 3_600_000]),
    userJobs: random.pick([2, 1000, 1000, 1000]),
    concurrency: random.pick([1, 2, 4, 1000]),
    retentionMs: random.pick([3000, 15_000, 0, 0, 0]),
    pingMs: random.pick([1000, 5000, 25_000]),

    commitMs: random.pick([0, 0.5, 3, 20]),
    slowCommit: perhaps(random, rate(0.1)),
    refusedCommit: perhaps(random, rate(0.1)),
    failingStatement: perhaps(random, rate(0.05)),
    unknownCommit: perhaps(random, rate(0.06)),
    crashAtCommit: perhaps(random, rate(0.02)),

    crashMs: perhaps(random, mean(3000, 30_000)),
    drainMs: perhaps(random, mean(5000, 40_000)),
    freezeMs: perhaps(random, mean(4000, 30_000)),
    jumpMs: perhaps(random, mean(3000, 30_000)),
    lateMs: random.pick([0, 1, 30]),

    latencyMs: random.pick([0.2, 5, 40, 200]),
    spikes: perhaps(random, rate(0.1)),
    cutMs: perhaps(random, mean(1000, 10_000)),
    darkMs: perhaps(random, mean(2000, 15_000)),
    partitionMs: perhaps(random, mean(3000, 20_000)),
    lostRequest: perhaps(random, rate(0.3)),
    lostAnswer: perhaps(random, rate(0.3)),
    hungCall: perhaps(random, rate(0.1)),
    repeatedCall: perhaps(random, rate(0.3)),
    slowReaders: perhaps(random, rate(1)),
    windowBytes: random.pick([64, 512, 4096, 65_536]),
    closesAtOnce: random.chance(0.5),

    actMs: random.pick([300, 1000, 3000]),
    reload: perhaps(random, rate(0.2)),
    logOut: perhaps(random, rate(0.1)),
    twoTabs: perhaps(random, rate(0.1)),

    nodes: random.chance(0.4) ? 2 : 1,
    lostSignal: random.pick([0, 0.05, 0.3, 0.7]),
    repeatedSignal: perhaps(random, rate(0.5)),
    lateSignal: perhaps(random, rate(0.5)),
  };
}

/** The names of what this seed has switched on, for a report. */
export function describeFaults(faults: Faults): string {
  const shown = Object.entries(faults).filter(([, value]) => value !== 0 && value !== false);
  return shown
    .map(([name, value]) => `${name}=${typeof value === "number" ? Number(value.toPrecision(3)) : value}`)
    .join(" ");
}
