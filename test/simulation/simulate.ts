/** One run of one seed, from an empty disk through its faults until everything has ended: what was broken, and the trace. */
import { checkLog } from "../support/log-checker.ts";
import { toEventText } from "../../src/jobs/event-text.ts";
import type { EventBody } from "../support/wire.ts";
import { createBrowser, type Browser } from "./browser.ts";
import { createDeliveries, textAfter, type Deliveries } from "./deliveries.ts";
import { createDisk, type Disk } from "./disk.ts";
import { describeFaults, drawFaults } from "./faults.ts";
import { createMachine, type Machine } from "./machine.ts";
import { createModel, type Model } from "./model.ts";
import type { HttpWatch } from "./calls.ts";
import { createNetwork } from "./network.ts";
import { createRandom } from "./random.ts";
import { violate, type Scene } from "./scene.ts";
import { wholeText, type Script } from "./script.ts";
import { createSignals } from "./signals.ts";
import { startStranger } from "./stranger.ts";
import { createTimeline, createWallClock } from "./timeline.ts";
import { sessionOf } from "./tokens.ts";
import { createSometimes, createTrace, type Sometimes } from "./trace.ts";
import { startWorker } from "./worker.ts";

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  /** Two runs of a seed have the same. */
  readonly hash: string;
  readonly faults: string;
  readonly lines: readonly string[];
  readonly jobs: number;
  readonly events: number;
  readonly virtualMs: number;
}

export interface SimulateOptions {
  readonly sometimes?: Sometimes;
  /** Keeps the whole trace instead of its end. */
  readonly keepAll?: boolean;
}

/** How long everything may take to end when nothing goes wrong any more. */
const END_MS = 1_800_000;
/** A job may stay held this long past its lease: one sweep, and what its commit takes. */
const SWEEP_MS = 5000;
/** How long a server needs to be up before it is judged by it. */
const SETTLED_MS = 15_000;

function watchHttp(scene: Scene, model: Model, deliveries: Deliveries): HttpWatch {
  return {
    answered({ method, path, token, by }, status, body) {
      if (status === 500) violate(scene, "nothing fails inside", `${by} ${method} ${path}: ${body}`);
      if (method === "POST" && path === "/v1/jobs" && status === 202) {
        const { id } = JSON.parse(body) as { id: string };
        if (model.job(id) === null) violate(scene, "accepted means stored", `${by} ${id}`);
      }
      if (method === "DELETE" && path === "/v1/sessions/current" && status === 204) {
        scene.sometimes.reached("a session is logged out");
        deliveries.ended(sessionOf(token));
      }
      const [, id] = /^\/v1\/jobs\/([^/?]+)/.exec(path) ?? [];
      if (id === undefined || status >= 300) return;
      const { sub, userId } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as {
        sub?: string;
        userId?: string;
      };
      if (model.job(id)?.userId !== (sub ?? userId))
        violate(
          scene,
          "no event reaches who may not have it",
          `${by} ${method} ${path} was answered ${status}`,
        );
    },
  };
}

/** What only shows when everything has ended. */
function judgeLogs(scene: Scene, model: Model, scripts: ReadonlyMap<string, Script>): void {
  model.audit();
  for (const job of model.jobs.values()) {
    // The wall clock may have been set: `at` is shown, not compared.
    const log = job.log.map((event) => ({ ...(JSON.parse(toEventText(job.id, event)) as EventBody), at: 0 }));
    if (job.terminal)
      for (const problem of checkLog(log)) violate(scene, "a log is sound", `${job.wish}: ${problem}`);
    const last = job.log.at(-1);
    const script = scripts.get(job.wish);
    if (script === undefined || last === undefined) continue;
    const [said, whole] = [textAfter(job, job.log.length), wholeText(script, last.attempt)];
    const isWhole = last.kind === "job.succeeded" ? said === whole : whole.startsWith(said);
    if (!isWhole)
      violate(scene, "what is written is stored in order", `${job.wish}: “${said}” of “${whole}”`);
  }
}

function judgeLeases(scene: Scene, machine: Machine, disk: Disk): void {
  const settled = machine.running.find(({ sinceMs }) => scene.timeline.nowMs - sinceMs >= SETTLED_MS);
  if (settled === undefined || scene.faulty) return;
  const nowMs = settled.clock.steadyMs();
  for (const { metadata, leaseBy, status } of disk.jobs()) {
    const isHeld = status === "running" || status === "canceling";
    if (isHeld && leaseBy !== null && leaseBy + SWEEP_MS < nowMs)
      violate(scene, "no job stays running past its lease", `${metadata["wish"]} by ${nowMs - leaseBy} ms`);
  }
}

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const random = createRandom(seed);
  const timeline = createTimeline();
  const faults = drawFaults(random.fork());
  const scene: Scene = {
    seed,
    random,
    timeline,
    wall: createWallClock(timeline),
    trace: createTrace(timeline, options.keepAll ?? false),
    sometimes: options.sometimes ?? createSometimes(),
    faults,
    faulty: true,
    violations: [],
  };
  const model = createModel(scene, () => disk);
  const disk: Disk = createDisk({
    scene,
    watch: model,
    crash: (process, why) => machine.crash(process, why),
  });
  const deliveries = createDeliveries(scene, model);
  const network = createNetwork(scene, { ...deliveries, ...watchHttp(scene, model, deliveries) });
  const signals = createSignals(scene);
  const machine: Machine = createMachine({ scene, disk: () => disk, network, signals });
  const scripts = new Map<string, Script>();
  const browsers: Browser[] = [];

  machine.start();
  for (let number = 1; number <= faults.browsers; number += 1) {
    const user = random.pick(["ann", "bob"]);
    browsers.push(createBrowser({ scene, model, network, scripts, name: `browser-${number}`, user }));
  }
  for (const browser of browsers) browser.start();
  for (let number = 1; number <= faults.strangers; number += 1) {
    const user = random.pick(["ann", "mallory"]);
    startStranger({ scene, model, network, name: `stranger-${number}`, user });
  }
  for (let number = 1; number <= faults.workers; number += 1)
    startWorker(scene, machine, network, `worker-${number}`);

  await timeline.run(() => scene.violations.length > 0, faults.spanMs);
  scene.faulty = false;
  scene.trace.note("faults end");
  machine.heal();
  for (const browser of browsers) browser.heal();
  let lookMs = 0;
  const unfinished = (): string | null => {
    for (const { wish, terminal } of model.jobs.values()) if (!terminal) return `job ${wish} has not ended`;
    return browsers.map((browser) => browser.waitsFor()).find((what) => what !== null) ?? null;
  };
  const done = (): boolean => {
    if (scene.violations.length > 0) return true;
    if (timeline.nowMs < lookMs) return false;
    lookMs = timeline.nowMs + 500;
    judgeLeases(scene, machine, disk);
    return unfinished() === null;
  };
  if (!(await timeline.run(done, faults.spanMs + END_MS)))
    violate(scene, "accepted is answered", unfinished() ?? "nothing is left");
  if (scene.violations.length === 0) judgeLogs(scene, model, scripts);
  const outcome: Outcome = {
    seed,
    violations: scene.violations,
    hash: scene.trace.hash,
    faults: describeFaults(faults),
    lines: scene.trace.lines,
    jobs: model.jobs.size,
    events: timeline.events,
    virtualMs: timeline.nowMs,
  };
  disk.close();
  return outcome;
}
