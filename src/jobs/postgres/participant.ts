/** Carries out batches of job commands on PostgreSQL: fetches what they touch, lets execute.ts decide, writes back. */
import type { Clock, Instant } from "../../lib/clock.ts";
import type { PostgresClient } from "../../postgres/connection.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import type { WriteResult } from "../../database/writer.ts";
import { execute, type Executed } from "../execute.ts";
import type { JobCommand, JobOp } from "../store.ts";
import { createFetched, fetchWanted, type Fetched, type Wanted } from "./fetched.ts";
import { createView, NeedsMore, type QueueFacts, type View } from "./view.ts";
import { writeBack } from "./write-back.ts";

/**
 * These ask about all jobs, or change many at once, by statements of their own. What was changed before them has to be
 * written by then, so each of them is carried out alone; they are rare.
 */
const ALONE: ReadonlySet<JobOp> = new Set([
  "sweep",
  "recover",
  "renew",
  "grant",
  "realign",
  "claimWebhooks",
  "retain",
]);

/** Jobs that wait for later that are looked at, to find the first that is not being changed. */
const NEXT_MOST = 100;
/** How long what is remembered of the queue is good, beside other processes that change it. */
const FRESH_MS = 1000;
/** As long as it is good enough to refuse somebody by it: others may have emptied the queue since. */
const REFUSE_MS = 250;

function taking(command: JobCommand, at: Instant): JobCommand {
  return { ...command, at };
}

/** In order, cut around those that have to be alone. */
function cut(commands: readonly JobCommand[]): JobCommand[][] {
  const parts: JobCommand[][] = [];
  for (const command of commands) {
    const last = parts.at(-1);
    if (last === undefined || ALONE.has(command.op) || ALONE.has(last[0]?.op ?? command.op))
      parts.push([command]);
    else last.push(command);
  }
  return parts;
}

/** What can be told beforehand from the commands alone. */
function foresee(commands: readonly JobCommand[]): Wanted {
  const submits = commands.flatMap((command) =>
    command.op === "submit" || command.op === "tick" ? [command] : [],
  );
  const claims = commands.flatMap((command) => (command.op === "claim" ? [command] : []));
  const limits = new Map<string, number>();
  for (const { types, most } of claims) {
    for (const { type, most: ofType } of types) {
      const limit = Math.min(ofType, most);
      if (limit > 0) limits.set(type, (limits.get(type) ?? 0) + limit);
    }
  }
  const times = claims.map(({ at }) => at.steadyMs);
  const keys = submits.flatMap(({ idempotency }) => idempotency ?? []);
  return {
    jobs: [...new Set(commands.flatMap((command) => ("id" in command ? [command.id] : [])))],
    keys,
    users: [...new Set(submits.map(({ spec }) => spec.userId))],
    lanes: submits.flatMap(({ spec: { sessionId, lane } }) =>
      sessionId === null || lane === null ? [] : [{ sessionId, lane }],
    ),
    nums: submits.length,
    schedules: [
      ...new Set(
        commands.flatMap((command) =>
          command.op === "schedule" ? [command.name] : command.op === "tick" ? [command.schedule.name] : [],
        ),
      ),
    ],
    ...(limits.size === 0
      ? {}
      : {
          ready: {
            steadyMs: Math.max(...times),
            types: [...limits].map(([type, limit]) => ({ type, limit })),
          },
        }),
    ...(times.length === 0 ? {} : { next: { steadyMs: Math.min(...times), limit: NEXT_MOST } }),
  };
}

/** How much waits, whose turn it is, how far time had come. Of an own process exact; of others as of a second ago. */
function createMemory(clock: Clock) {
  let known: QueueFacts | null = null;
  let readAt = 0;
  /** As the open transaction leaves it. */
  let pending: QueueFacts | null = null;
  let hasMoved = false;
  /** Turns only go forward, whatever is read. */
  const served = new Map<number, number>();

  const read = async (client: PostgresClient): Promise<QueueFacts> => {
    const [row] = await client.unsafe(
      `SELECT (SELECT count(*) FROM jobs WHERE due = 0)::int + (SELECT count(*) FROM jobs WHERE due = 1)::int
         + (SELECT count(*) FROM jobs WHERE due = 2)::int AS queued,
       coalesce((SELECT steady_ms FROM clock WHERE id = 1), 0) AS steady`,
    );
    const turns = await client.unsafe(
      `SELECT p AS priority, greatest(
         (SELECT max(turn) FROM jobs WHERE priority = p AND finished_at IS NULL AND attempt > 0),
         (SELECT min(turn) FROM jobs WHERE priority = p AND due = 1))::float8 AS turn
       FROM generate_series(0, 9) AS p`,
    );
    for (const { priority, turn } of turns as unknown as { priority: number; turn: number | null }[])
      if (turn !== null) served.set(priority, Math.max(served.get(priority) ?? 0, turn));
    return { queued: Number(row?.["queued"]), served: new Map(served), steadyMs: Number(row?.["steady"]) };
  };

  return {
    /** Whether too much time has passed to refuse somebody. Then it is read anew, unless this transaction has changed it. */
    isStale(): boolean {
      if (hasMoved || clock.elapsedMs() <= readAt + REFUSE_MS) return false;
      known = null;
      pending = null;
      return true;
    },
    async facts(client: PostgresClient, now: Instant | null): Promise<QueueFacts> {
      if (pending !== null) return pending;
      if (known === null || clock.elapsedMs() > readAt + FRESH_MS) {
        known = await read(client);
        readAt = clock.elapsedMs();
      }
      // The time of the installation is kept by whoever keeps it, not by the commands.
      pending = now === null ? known : { ...known, steadyMs: now.steadyMs };
      return pending;
    },
    moved({ book, changed }: View): void {
      if (pending === null) return;
      hasMoved = true;
      pending = {
        queued: pending.queued + book.queued,
        served: new Map(book.served),
        steadyMs: changed.steadyMs ?? pending.steadyMs,
      };
    },
    ended(committed: boolean): void {
      if (committed && pending !== null)
        for (const [priority, turn] of pending.served) served.set(priority, turn);
      if (pending !== null) known = committed ? pending : null;
      pending = null;
      hasMoved = false;
    },
  };
}

function failed(error: unknown): WriteResult {
  return { ok: false, why: "defect", message: String(error) };
}

function isQueueFull(result: WriteResult): boolean {
  if (!result.ok) return false;
  const { outcome } = result.value as Executed<JobOp>;
  return (outcome as { readonly kind?: unknown } | null)?.kind === "queue_full";
}

/** One attempt on a fresh view. Throws NeedsMore; a command that throws anything else is put into `failures`. */
function carryOut(
  commands: readonly JobCommand[],
  fetched: Fetched,
  facts: QueueFacts,
  failures: Map<number, WriteResult>,
): { readonly view: View; readonly results: WriteResult[] } {
  for (;;) {
    const view = createView(fetched, facts);
    const results: WriteResult[] = [];
    const isDone = commands.every((command, index) => {
      const failure = failures.get(index);
      if (failure !== undefined) {
        results.push(failure);
        return true;
      }
      try {
        results.push({ ok: true, value: execute(view.tables, command) });
        return true;
      } catch (error) {
        if (error instanceof NeedsMore) throw error;
        // What it had changed by then is forgotten with the view.
        failures.set(index, failed(error));
        return false;
      }
    });
    if (isDone) return { view, results };
  }
}

export function createPostgresJobParticipant(clock: Clock): PostgresParticipant {
  const memory = createMemory(clock);

  const part = async (
    commands: readonly JobCommand[],
    client: PostgresClient,
    now: Instant | null,
  ): Promise<WriteResult[]> => {
    const fetched = createFetched();
    let facts = await memory.facts(client, now);
    const failures = new Map<number, WriteResult>();
    if (!ALONE.has(commands[0]?.op ?? "submit")) await fetchWanted(client, fetched, foresee(commands));
    for (;;) {
      try {
        const { view, results } = carryOut(commands, fetched, facts, failures);
        if (results.some(isQueueFull) && memory.isStale()) {
          facts = await memory.facts(client, now);
          continue;
        }
        await writeBack(client, view.changed);
        memory.moved(view);
        return results;
      } catch (error) {
        if (!(error instanceof NeedsMore)) throw error;
        await fetchWanted(client, fetched, error.wanted);
      }
    }
  };

  return {
    async execute(commands, client, now) {
      const results: WriteResult[] = [];
      const given = commands as readonly JobCommand[];
      const timed = now === null ? given : given.map((command) => taking(command, now));
      for (const some of cut(timed)) results.push(...(await part(some, client, now)));
      return results;
    },
    ended: (committed) => memory.ended(committed),
  };
}
