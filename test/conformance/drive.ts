/** Commands to a job store in few words, on a time of their own: what the conformance suite is written in. */
import { expect } from "bun:test";
import type { Change, JobRecord, JobSpec, RunError, StoredEvent } from "../../src/jobs/job.ts";
import type {
  ClaimOutcome,
  JobCommand,
  JobCommands,
  JobOp,
  JobOutcome,
  JobStore,
  SubmitOutcome,
} from "../../src/jobs/store.ts";
import { instant, type Clock, type Instant } from "../../src/lib/clock.ts";
import type { JobId, LeaseToken, SessionId, UserId } from "../../src/lib/ids.ts";
import type { CancelReason } from "../../src/protocol/events.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

/** Far apart, so that a store that mistakes wall time for steady time is caught. */
const WALL_MS = 1_800_000_000_000;
const STEADY_MS = 5_000_000.25;

/** This process, as the owner of its leases. */
export const OWNER = "boot:node:here";
export const USER = "user-1" as UserId;
export const SESSION = "session-1" as SessionId;

let ids = 0;

/** UUIDs in rising order: as jobs get them, without chance. */
export function nextJobId(): JobId {
  ids += 1;
  return `01890000-0000-7000-8000-${ids.toString(16).padStart(12, "0")}` as JobId;
}

export function specOf(options: Partial<JobSpec> = {}): JobSpec {
  return {
    id: nextJobId(),
    userId: USER,
    sessionId: null,
    type: "work",
    metadata: {},
    priority: LIMITS.priorityDefault,
    lane: null,
    runAt: null,
    delayMs: null,
    startWithinMs: null,
    timeoutMs: LIMITS.timeoutDefaultMs,
    firstOutputMs: null,
    idleMs: null,
    maxAttempts: LIMITS.maxAttemptsDefault,
    retryAfterOutput: true,
    cancelOnDisconnect: false,
    orphanMs: LIMITS.orphanDefaultMs,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: null,
    correlationId: null,
    retryOf: null,
    webhookUrl: null,
    webhookAfterMs: 0,
    ...options,
  };
}

export interface SubmitOptions extends Partial<JobSpec> {
  readonly input?: string;
  readonly key?: string;
  readonly route?: string;
  readonly fingerprint?: string;
  readonly userJobs?: number;
  readonly queueJobs?: number;
}

export interface ClaimOptions {
  readonly types?: readonly { readonly type: string; readonly most: number }[];
  readonly most?: number;
  readonly owner?: string;
  readonly leaseMs?: number;
  readonly worker?: string;
  readonly secret?: string;
}

export interface HeldRun {
  readonly id: JobId;
  readonly lease: LeaseToken;
  readonly attempt: number;
}

export const ERROR: RunError = {
  code: "upstream_error",
  message: "The upstream failed.",
  retryable: true,
  origin: "upstream",
};

export interface Drive {
  readonly store: JobStore;
  /** Everything the store announced, in order. */
  readonly announced: readonly Change[];
  now(): Instant;
  pass(byMs: number): void;
  /** Somebody sets the wall clock; the steady one goes on as it did. */
  setWall(byMs: number): void;
  execute<Op extends JobOp>(op: Op, given: JobCommands[Op]["in"]): Promise<JobOutcome<Op>>;
  trySubmit(options?: SubmitOptions): Promise<SubmitOutcome>;
  /** A job that must be accepted. */
  submit(options?: SubmitOptions): Promise<JobId>;
  tryClaim(options?: ClaimOptions): Promise<ClaimOutcome>;
  /** The runs of one claim; of type `work` when nothing else is said. */
  claim(options?: ClaimOptions): Promise<HeldRun[]>;
  /** A new job of a type of its own, claimed at once. */
  started(options?: SubmitOptions & ClaimOptions): Promise<HeldRun>;
  /** The next run of a job that is ready. */
  again(id: JobId, options?: ClaimOptions): Promise<HeldRun>;
  text(run: HeldRun, ...deltas: string[]): Promise<JobOutcome<"append">>;
  succeed(run: HeldRun, result?: unknown): Promise<JobOutcome<"end">>;
  fail(
    run: HeldRun,
    how?: Partial<RunError> & { random?: number; retryAfterMs?: number },
  ): Promise<JobOutcome<"end">>;
  release(run: HeldRun): Promise<JobOutcome<"end">>;
  cancel(id: JobId, reason?: CancelReason, graceMs?: number): Promise<JobOutcome<"cancel">>;
  /** Time passes until the lease of a remote worker ran out, and is noticed. */
  sweep(options?: Partial<JobCommands["sweep"]["in"]>): Promise<boolean>;
  recover(options?: Partial<JobCommands["recover"]["in"]>): Promise<JobOutcome<"recover">>;
  /** Retention of everything older than now, in one go. */
  retain(
    options?: Partial<JobCommands["retain"]["in"]>,
  ): Promise<{ readonly steps: number; readonly rows: number }>;
  job(id: JobId): Promise<JobRecord>;
  log(id: JobId): Promise<readonly StoredEvent[]>;
  kinds(id: JobId): Promise<string[]>;
  /** The newest entry, its data parsed. */
  last(id: JobId): Promise<{ readonly kind: string; readonly attempt: number; readonly data: unknown }>;
}

/** One promise of the contract, and what shows that it is kept, on a store that holds nothing yet. */
export type Check = (promise: string, body: (drive: Drive) => Promise<void>) => void;

/** JSON of an entry that is no bytes. */
export function dataOf(event: StoredEvent | undefined): unknown {
  expect(typeof event?.data).toBe("string");
  return JSON.parse(String(event?.data));
}

export function textItem(delta: string, index = 0): { kind: "output.text"; data: string } {
  return { kind: "output.text", data: JSON.stringify({ delta, index }) };
}

const EVERYTHING = { after: 0, limit: 1_000_000, bytes: Number.POSITIVE_INFINITY };

/** `clock`: the time of others, which the drive then keeps to; without one it has a time of its own. */
export function drive(store: JobStore, clock?: Clock): Drive {
  let passedMs = 0;
  let setMs = 0;
  let secrets = 0;
  const announced: Change[] = [];
  store.onCommitted((changes) => announced.push(...changes));
  const now = (): Instant =>
    clock === undefined
      ? { wallMs: Math.floor(WALL_MS + passedMs + setMs), steadyMs: STEADY_MS + passedMs }
      : instant(clock);

  const execute: Drive["execute"] = (op, given) =>
    // The pair is right by its type; TypeScript cannot follow a union through the spread.
    store.execute({ op, at: now(), ...given } as unknown as JobCommand<typeof op>);

  const job = async (id: JobId): Promise<JobRecord> => {
    const found = await store.find(id);
    if (found === null) throw new Error(`job ${id} is not there`);
    return found;
  };
  const log = (id: JobId): Promise<readonly StoredEvent[]> => store.events(id, EVERYTHING);

  const trySubmit: Drive["trySubmit"] = ({
    input = "{}",
    key,
    route = "POST /v1/jobs",
    fingerprint = "same",
    userJobs = Number.POSITIVE_INFINITY,
    queueJobs = Number.POSITIVE_INFINITY,
    ...options
  } = {}) => {
    const spec = specOf(options);
    const idempotency = key === undefined ? null : { userId: spec.userId, route, key, fingerprint };
    return execute("submit", { spec, input, idempotency, userJobs, queueJobs });
  };

  const submit: Drive["submit"] = async (options) => {
    const outcome = await trySubmit(options);
    if (outcome.kind !== "accepted") throw new Error(`the job was not accepted: ${outcome.kind}`);
    return outcome.job.id;
  };

  const tryClaim: Drive["tryClaim"] = ({
    types = [{ type: "work", most: 1000 }],
    most = 1000,
    owner = OWNER,
    leaseMs = LIMITS.leaseMs,
    worker,
    secret,
  } = {}) => {
    secrets += 1;
    return execute("claim", {
      types,
      most,
      owner,
      leaseMs,
      secret: secret ?? `secret-${secrets}`,
      ...(worker === undefined ? {} : { worker }),
    });
  };

  const claim: Drive["claim"] = async (options) =>
    (await tryClaim(options)).jobs.map(({ job: { id, leaseToken, attempt } }) => ({
      id,
      lease: leaseToken,
      attempt,
    }));

  const again: Drive["again"] = async (id, options) => {
    const { type } = await job(id);
    const runs = await claim({ types: [{ type, most: 1 }], ...options });
    const [run] = runs;
    if (run?.id !== id) throw new Error(`job ${id} was not claimed`);
    return run;
  };

  const end = (run: HeldRun, how: JobCommands["end"]["in"]["how"]): Promise<JobOutcome<"end">> =>
    execute("end", { id: run.id, lease: run.lease, how });

  return {
    store,
    announced,
    now,
    pass(byMs) {
      passedMs += byMs;
    },
    setWall(byMs) {
      setMs += byMs;
    },
    execute,
    trySubmit,
    submit,
    tryClaim,
    claim,
    again,
    async started({ types, most, owner, leaseMs, worker, secret, ...options } = {}) {
      const id = await submit({ type: `work-${ids}`, ...options });
      const given = { types, most, owner, leaseMs, worker, secret };
      const said = Object.entries(given).filter(([, value]) => value !== undefined);
      return again(id, Object.fromEntries(said));
    },
    text: (run, ...deltas) =>
      execute("append", {
        id: run.id,
        lease: run.lease,
        items: deltas.map((delta) => textItem(delta)),
        jobBytes: LIMITS.jobBytes,
      }),
    succeed: (run, result = null) => end(run, { kind: "succeeded", result: JSON.stringify(result) }),
    fail: (run, { random = 0, retryAfterMs, ...error } = {}) =>
      end(run, {
        kind: "error",
        error: { ...ERROR, ...error },
        random,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      }),
    release: (run) => end(run, { kind: "released" }),
    cancel: (id, reason = "requested", graceMs = LIMITS.cancelGraceMs) =>
      execute("cancel", { id, reason, graceMs }),
    sweep: async (options) =>
      (
        await execute("sweep", {
          owner: OWNER,
          maxLostLeases: LIMITS.maxLostLeases,
          most: 200,
          random: 0,
          ...options,
        })
      ).busy,
    recover: (options) =>
      execute("recover", {
        owner: OWNER,
        node: "node",
        boot: null,
        reason: "restart",
        maxLostLeases: LIMITS.maxLostLeases,
        most: 200,
        ...options,
      }),
    async retain(options) {
      const before = now().wallMs;
      const given = { eventsBefore: before, jobsBefore: before, keysBefore: before, most: 1000, ...options };
      let rows = 0;
      for (let steps = 1; ; steps += 1) {
        const deleted = await execute("retain", given);
        expect(deleted).toBeWithin(0, given.most + 1);
        rows += deleted;
        if (deleted === 0) return { steps, rows };
      }
    },
    job,
    log,
    kinds: async (id) => (await log(id)).map(({ kind }) => kind),
    async last(id) {
      const event = (await log(id)).at(-1);
      if (event === undefined) throw new Error(`job ${id} has no log`);
      return { kind: event.kind, attempt: event.attempt, data: dataOf(event) };
    },
  };
}
