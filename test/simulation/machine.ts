/** The hosts of the servers: start the real application in a simulated world, kill it, freeze it, and start it again. */
import { createApp, type App } from "../../src/app.ts";
import { loadConfig, type Config } from "../../src/config.ts";
import { pacedLogs } from "../../src/jobs/paced.ts";
import type { Clock } from "../../src/lib/clock.ts";
import {
  idAt,
  type JobId,
  type LeaseToken,
  type SessionId,
  type UserId,
  type Ids,
} from "../../src/lib/ids.ts";
import type { Logger } from "../../src/lib/logger.ts";
import type { Storage } from "../../src/storage/contract.ts";
import type { Disk } from "./disk.ts";
import type { Network } from "./network.ts";
import type { Signals } from "./signals.ts";
import { nowAndThen, violate, type Scene } from "./scene.ts";
import { createScriptHandlers } from "./script.ts";
import { createProcess, createProcessClock, EPOCH_MS, freeze, type Process } from "./timeline.ts";
import { createSimulatedTokens } from "./tokens.ts";

export interface Running {
  readonly process: Process;
  readonly clock: Clock;
  readonly storage: Storage;
  /** Since when nothing has troubled it that ended by itself. */
  readonly sinceMs: number;
}

export interface Machine {
  start(): void;
  /** The process dies this very moment; another one starts soon. */
  crash(process: Process, why: string): void;
  /** Stores of the processes that run now, for whoever would reach them over an API of its own. */
  readonly running: readonly Running[];
  /** Faults are over; a process that stands still does so to the end. */
  heal(): void;
  readonly boots: number;
}

function inWords(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
}

/** Ids that a seed repeats: they sort by age, and say it as real ones do. */
function createSeededIds(scene: Scene): Ids {
  const random = scene.random.fork();
  let count = 0;
  const hex = (bytes: number): string =>
    Array.from({ length: bytes }, () => random.int(256).toString(16).padStart(2, "0")).join("");
  const uuid = (): string => {
    count += 1;
    const order = count.toString(16).padStart(6, "0");
    const at = idAt(scene.timeline.nowMs + EPOCH_MS).slice(0, 13);
    return `${at}-7${order.slice(0, 3)}-8${order.slice(3)}-${hex(6)}`;
  };
  return {
    job: () => uuid() as JobId,
    session: () => uuid() as SessionId,
    anonymousUser: () => `anon_${hex(12)}` as UserId,
    leaseToken: () => hex(16) as LeaseToken,
    any: uuid,
    hex,
  };
}

function configOf({ faults }: Scene): Config {
  const { config } = loadConfig({
    flags: { "database-url": "sqlite::memory:", "auth-secret": "0123456789abcdef0123456789abcdef" },
    env: {},
    cwd: "/",
    readFile: () => null,
  });
  const { queueBytes, attachments, resumeMs, sessionTokenMs, userJobs, concurrency, retentionMs, pingMs } =
    faults;
  return {
    ...config,
    queueBytes,
    attachmentsMax: attachments,
    resumeMs,
    sessionTokenMs,
    userJobs,
    concurrency,
    pingMs,
    pingTimeoutMs: Math.min(pingMs, 10_000),
    drainMs: 3000,
    ratePerMinute: 0,
    framesPerMinute: 0,
    ...(retentionMs === 0 ? {} : { eventsRetentionMs: retentionMs }),
  };
}

/** Lines of the server, in the trace; what it calls an error while nothing was broken on purpose is looked at. */
function createTraceLogger({ trace }: Scene, process: Process): Logger {
  const say =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      const { error } = fields;
      if (process.alive)
        trace.note(
          `${process.name} ${level}: ${message}${error === undefined ? "" : ` (${inWords(error)})`}`,
        );
    };
  const logger: Logger = {
    debug: () => undefined,
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    child: () => logger,
    flush: () => Promise.resolve(),
  };
  return logger;
}

const unreached = (): Promise<never> => Promise.reject(new Error("nothing goes out of a simulation"));

/** One node: the process that runs there now, and its stores as soon as they are open. */
interface Host {
  readonly nodeId: string;
  running: { readonly process: Process; readonly app: App } | null;
  ready: Running | null;
}

export interface MachineParts {
  readonly scene: Scene;
  readonly disk: () => Disk;
  readonly network: Network;
  readonly signals: Signals;
}

export function createMachine({ scene, disk, network, signals }: MachineParts): Machine {
  const { timeline, wall, faults, trace, sometimes } = scene;
  const random = scene.random.fork();
  const ids = createSeededIds(scene);
  const config = configOf(scene);
  const hosts: readonly Host[] = Array.from({ length: faults.nodes }, (_none, index) => ({
    nodeId: `node_${index + 1}`,
    running: null,
    ready: null,
  }));
  let boots = 0;

  const startSoon = (host: Host): void => void timeline.after(random.between(1, 3000), () => boot(host));

  const end = (process: Process, silently: boolean): void => {
    const host = hosts.find(({ running }) => running?.process === process);
    process.alive = false;
    network.died(process, silently);
    signals.died(process);
    if (host === undefined) return;
    host.running = null;
    host.ready = null;
    startSoon(host);
  };

  const crash = (process: Process, why: string): void => {
    if (!process.alive) return;
    trace.note(`${process.name} dies: ${why}`);
    sometimes.reached(`crash: ${why}`);
    end(process, random.chance(0.2));
  };

  const boot = (host: Host): void => {
    boots += 1;
    const { nodeId } = host;
    const process = createProcess(`server-${boots}`);
    trace.note(`${process.name} starts as ${nodeId}`);
    const lateMs = (): number => (scene.faulty ? random.next() * faults.lateMs : 0);
    const clock = createProcessClock({ timeline, wall, process, lateMs, common: hosts.length > 1 });
    const app = createApp({
      config,
      logger: createTraceLogger(scene, process),
      handlers: createScriptHandlers(clock, () => crash(process, "by a poison job")),
      world: {
        clock,
        ids,
        random: () => random.next(),
        openStorage: async () => {
          const opened = disk().open(process, clock);
          const storage = { ...opened, jobs: pacedLogs(opened.jobs, clock) };
          clock.resume(await storage.jobs.steadyMs());
          host.ready = { storage, process, clock, sinceMs: timeline.nowMs };
          return storage;
        },
        openBackplane: async () => signals.join(nodeId, process),
        openTokens: async () => createSimulatedTokens(clock, ids, config.sessionTokenMs),
        nodeId: () => nodeId,
        hostName: "machine",
        // No scene has a webhook.
        wire: { resolve: unreached, fetch: unreached },
        serve: (options) => network.listen(process, options),
      },
    });
    host.running = { process, app };
    app.start().catch((error: unknown) => {
      if (process.alive && !scene.faulty) violate(scene, "a start recovers", String(error));
      crash(process, "it could not start");
    });
    void app.failed.then((error) => {
      trace.note(`${process.name} cannot go on: ${error.message}`);
      timeline.after(random.next() * 50, () => crash(process, "it failed"), process);
    });
  };

  const drain = ({ process, app }: NonNullable<Host["running"]>): void => {
    trace.note(`${process.name} drains`);
    sometimes.reached("drain");
    void app.stop().then(() => {
      if (!process.alive) return;
      trace.note(`${process.name} has drained`);
      sometimes.reached("drained");
      end(process, false);
    });
    // As long as a supervisor waits.
    timeline.after(20_000, () => crash(process, "it did not stop in time"), process);
  };

  /** Does something to one of the processes that run, about every `meanMs`. */
  const befall = (meanMs: number, act: (running: NonNullable<Host["running"]>) => void): void =>
    nowAndThen(scene, random, meanMs, () => {
      const [only = null] = hosts;
      const host = hosts.length === 1 ? only : random.pick(hosts);
      if (host !== null && host.running !== null) act(host.running);
    });

  return {
    crash,
    start() {
      for (const host of hosts) boot(host);
      befall(faults.crashMs, ({ process }) => crash(process, "SIGKILL"));
      befall(faults.drainMs, drain);
      befall(faults.freezeMs, ({ process }) => {
        if (process.frozenUntilMs > timeline.nowMs) return;
        const frozenMs = random.pick([100, 2000, 12_000, 40_000]);
        trace.note(`${process.name} stands still for ${frozenMs} ms`);
        sometimes.reached("the process stands still");
        freeze(process, timeline.nowMs, frozenMs);
      });
      nowAndThen(scene, random, faults.jumpMs, () => {
        const byMs = random.pick([-7_200_000, -5000, -200, 200, 5000, 3_600_000]);
        trace.note(`the wall clock is set by ${byMs} ms`);
        sometimes.reached(`the wall clock goes ${byMs < 0 ? "back" : "forward"}`);
        wall.jump(byMs);
      });
    },
    get running() {
      return hosts.flatMap(({ ready }) => ready ?? []);
    },
    heal() {
      for (const host of hosts) {
        if (host.ready === null) continue;
        const sinceMs = Math.max(timeline.nowMs, host.ready.process.frozenUntilMs);
        host.ready = { ...host.ready, sinceMs };
      }
    },
    get boots() {
      return boots;
    },
  };
}
