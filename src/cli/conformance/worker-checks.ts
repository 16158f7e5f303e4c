/** What a server may expect of a worker (PROTOCOL section 6), asked of a program that is started for it. */
import { sleep, type Clock } from "../../lib/clock.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { expectThat, type Check } from "./check.ts";
import { createScriptedServer, type Handed, type ScriptedServer } from "./scripted-server.ts";

export interface WorkerUnderTest {
  readonly server: ScriptedServer;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** Ends the program and the server it talked to. */
  stop(): Promise<void>;
}

export interface WorkerOptions {
  /** As a shell would start it. */
  readonly command: string;
  readonly type: string;
  readonly input: unknown;
  readonly clock: Clock;
}

/** Two heartbeats and a bit. */
const HEARD_LIMIT_MS = 2 * LIMITS.leaseRenewMs + 2000;
const END_LIMIT_MS = 60_000;
const DOWN_MS = 1500;
const QUIET_MS = 3000;
const LOOK_MS = 20;

export function startWorker({ command, type, input, clock }: WorkerOptions): Promise<WorkerUnderTest> {
  const nowMs = (): number => clock.elapsedMs();
  const pause = (ms: number): Promise<void> => sleep(clock, ms);
  const server = createScriptedServer({ type, input }, { nowMs, pause });
  server.start();
  const variables = [`HOLDLINE_URL=${server.url}`, `HOLDLINE_WORKER_TOKEN=${server.token}`];
  const child = Bun.spawn(["env", ...variables, "sh", "-c", `exec ${command}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  return Promise.resolve({
    server,
    nowMs,
    pause,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      await server.kill();
    },
  });
}

/** The checks, in this order: each begins with a worker that is idle or busy with what the last one left. */
export function workerChecks({ server, nowMs, pause }: WorkerUnderTest): readonly Check[] {
  const check = (name: string, run: () => Promise<void>): Check => ({ name, run });
  const until = async (what: string, holds: () => boolean, limitMs: number): Promise<void> => {
    const lateMs = nowMs() + limitMs;
    while (!holds()) {
      expectThat(nowMs() < lateMs, `${what} within ${limitMs} ms`);
      await pause(LOOK_MS);
    }
  };
  const soundSoFar = ({ faults }: Handed): void => expectThat(faults.length === 0, "no fault", faults);
  /** A job that the worker is busy with. */
  const busy = async (): Promise<Handed> => {
    const job = server.add();
    await until("the job is leased", () => job.leasedMs !== null, HEARD_LIMIT_MS);
    await until("output", () => job.items.length > 0, HEARD_LIMIT_MS);
    return job;
  };
  const stopped = async (job: Handed, limitMs: number): Promise<void> => {
    await until("the run is ended", () => job.ended !== null, limitMs);
    const { length } = job.items;
    await pause(500);
    expectThat(job.items.length === length, "nothing more is written after the end");
    soundSoFar(job);
  };
  let first: Handed | null = null;

  return [
    check("it polls with its name, its types and how much it takes", async () => {
      await until("a poll", () => server.polls.length > 0, 10_000);
      const { worker, types, max = 1, waitMs = 0 } = server.polls[0]?.wish ?? {};
      const isSound = typeof worker === "string" && Array.isArray(types) && Number(max) >= 1;
      expectThat(
        isSound && Number(waitMs) <= LIMITS.workerWaitMs,
        "{worker, types, max, waitMs}",
        server.polls[0]?.wish,
      );
    }),
    check("it is heard of within 5 s of a lease", async () => {
      first = server.add();
      const job = first;
      await until("the job is leased", () => job.leasedMs !== null, HEARD_LIMIT_MS);
      await until(
        "a heartbeat or output",
        () => job.beats.length + job.items.length > 0,
        LIMITS.leaseUnheardMs,
      );
    }),
    check("it sends heartbeats beside its output", async () => {
      const job = first ?? (await busy());
      await until("two heartbeats", () => job.beats.length >= 2 || job.ended !== null, HEARD_LIMIT_MS);
      expectThat(job.beats.length >= 1, "a heartbeat that names the lease");
      soundSoFar(job);
    }),
    check("it goes on with the same run when the server was killed and is back", async () => {
      const job = await busy();
      const before = job.items.length;
      await server.kill();
      await pause(DOWN_MS);
      server.start();
      await until(
        "more output, or the end",
        () => job.items.length > before || job.ended !== null,
        HEARD_LIMIT_MS,
      );
      soundSoFar(job);
      await until("the run is ended", () => job.ended !== null, END_LIMIT_MS);
      expectThat(job.ended?.how === "complete", "it completes", job.ended);
      soundSoFar(job);
    }),
    check("it numbers its items without a gap, completes, and writes nothing afterwards", async () => {
      const job = first ?? (await busy());
      await stopped(job, END_LIMIT_MS);
      expectThat(job.ended?.how === "complete" && job.items.length > 0, "output, then complete", job.ended);
    }),
    check("it stops within 10 s when a heartbeat says cancel", async () => {
      const job = await busy();
      job.state = "cancel";
      await until("it hears of the cancel", () => job.toldMs !== null || job.ended !== null, HEARD_LIMIT_MS);
      const early = "it writes until it hears of the cancel: --input has to keep it busy for 20 s or so";
      expectThat(job.toldMs !== null, early, job.ended?.how);
      await stopped(job, LIMITS.cancelGraceMs);
    }),
    check("it stops without a word when its lease is lost", async () => {
      const job = await busy();
      job.state = "lost";
      await until("it hears of the loss", () => job.toldMs !== null, HEARD_LIMIT_MS);
      await pause(1000);
      const { late } = job;
      await pause(2000);
      expectThat(job.late === late, "it says nothing more of that run");
    }),
    check("it leases nothing while the server is quiet, and does not hurry to ask", async () => {
      server.control = "quiet";
      await pause(200);
      const before = server.polls.length;
      await pause(QUIET_MS);
      const polls = server.polls.length - before;
      expectThat(polls <= 5, `at most 5 polls in ${QUIET_MS} ms`, polls);
      server.control = "run";
    }),
    check("it finishes or releases its runs when it is told to terminate", async () => {
      const job = await busy();
      server.control = "terminate";
      await stopped(job, HEARD_LIMIT_MS);
      server.control = "run";
    }),
  ];
}
