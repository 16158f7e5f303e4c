/** The host of the server: starts the real application in a simulated world, kills it, freezes it, and starts it again. */
import { createApp, type App } from "../../src/app.ts";
import { loadConfig, type Config } from "../../src/config.ts";
import { pacedLogs } from "../../src/jobs/paced.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { JobId, LeaseToken, SessionId, UserId, Ids } from "../../src/lib/ids.ts";
import type { Logger } from "../../src/lib/logger.ts";
import type { Storage } from "../../src/storage.ts";
import type { Disk } from "./disk.ts";
import type { Network } from "./network.ts";
import { nowAndThen, violate, type Scene } from "./scene.ts";
import { createScriptHandlers } from "./script.ts";
import { createProcess, createProcessClock, freeze, type Process } from "./timeline.ts";
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
  /** Stores of the process that runs now, for whoever would reach them over an API of its own. */
  readonly running: Running | null;
  /** Faults are over; a process that stands still does so to the end. */
  heal(): void;
  readonly boots: number;
}

function inWords(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
}

/** Ids that a seed repeats: a counter in front, so that they sort by age. */
function createSeededIds(scene: Scene): Ids {
  const random = scene.random.fork();
  let count = 0;
  const hex = (bytes: number): string =>
    Array.from({ length: bytes }, () => random.int(256).toString(16).padStart(2, "0")).join("");
  const uuid = (): string => {
    count += 1;
    return `${count.toString(16).padStart(8, "0")}-0000-7000-8000-${hex(6)}`;
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

export function createMachine(scene: Scene, disk: () => Disk, network: Network): Machine {
  const { timeline, wall, faults, trace, sometimes } = scene;
  const random = scene.random.fork();
  const ids = createSeededIds(scene);
  const config = configOf(scene);
  let running: { readonly process: Process; readonly app: App } | null = null;
  let ready: Running | null = null;
  let boots = 0;

  const startSoon = (): void => void timeline.after(random.between(1, 3000), boot);

  const end = (process: Process, silently: boolean): void => {
    process.alive = false;
    if (running?.process === process) running = null;
    if (ready?.process === process) ready = null;
    scene.unanswered = 0;
    network.died(process, silently);
    startSoon();
  };

  const crash = (process: Process, why: string): void => {
    if (!process.alive) return;
    trace.note(`${process.name} dies: ${why}`);
    sometimes.reached(`crash: ${why}`);
    end(process, random.chance(0.2));
  };

  const boot = (): void => {
    boots += 1;
    const process = createProcess(`server-${boots}`);
    trace.note(`${process.name} starts`);
    const lateMs = (): number => (scene.faulty ? random.next() * faults.lateMs : 0);
    const clock = createProcessClock({ timeline, wall, process, lateMs });
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
          ready = { storage, process, clock, sinceMs: timeline.nowMs };
          return storage;
        },
        openTokens: async () => createSimulatedTokens(clock, ids, config.sessionTokenMs),
        nodeId: () => "node_1",
        hostName: "machine",
        // No scene has a webhook.
        wire: { resolve: unreached, fetch: unreached },
        serve: (options) => network.listen(process, options),
      },
    });
    running = { process, app };
    app.start().catch((error: unknown) => {
      if (process.alive && !scene.faulty) violate(scene, "a start recovers", String(error));
      crash(process, "it could not start");
    });
    void app.failed.then((error) => {
      trace.note(`${process.name} cannot go on: ${error.message}`);
      timeline.after(random.next() * 50, () => crash(process, "it failed"), process);
    });
  };

  const drain = (): void => {
    if (running === null) return;
    const { process, app } = running;
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

  return {
    crash,
    start() {
      boot();
      nowAndThen(scene, random, faults.crashMs, () => {
        if (running !== null) crash(running.process, "SIGKILL");
      });
      nowAndThen(scene, random, faults.drainMs, drain);
      nowAndThen(scene, random, faults.freezeMs, () => {
        if (running === null || running.process.frozenUntilMs > timeline.nowMs) return;
        const frozenMs = random.pick([100, 2000, 12_000, 40_000]);
        trace.note(`${running.process.name} stands still for ${frozenMs} ms`);
        sometimes.reached("the process stands still");
        freeze(running.process, timeline.nowMs, frozenMs);
      });
      nowAndThen(scene, random, faults.jumpMs, () => {
        const byMs = random.pick([-7_200_000, -5000, -200, 200, 5000, 3_600_000]);
        trace.note(`the wall clock is set by ${byMs} ms`);
        sometimes.reached(`the wall clock goes ${byMs < 0 ? "back" : "forward"}`);
        wall.jump(byMs);
      });
    },
    get running() {
      return ready;
    },
    heal() {
      if (ready === null) return;
      const sinceMs = Math.max(timeline.nowMs, ready.process.frozenUntilMs);
      ready = { ...ready, sinceMs };
    },
    get boots() {
      return boots;
    },
  };
}
