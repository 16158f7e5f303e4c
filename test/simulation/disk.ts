/**
 * The simulated disk: keeps exactly what was committed, whatever becomes of the processes that use it. In front of it
 * stand the real stores and the real batches of the writer; only the trip to the writer's thread and the moment of the
 * COMMIT are played.
 */
import { Database } from "bun:sqlite";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { createMemoryJobReads } from "../../src/jobs/memory-reads.ts";
import { createMemoryJobs, createMemoryJobTables, copyMemoryJobs } from "../../src/jobs/memory-tables.ts";
import { createJobParticipant, createSqliteJobStore } from "../../src/jobs/sqlite/store.ts";
import { JOBS } from "../../src/jobs/writes.ts";
import type { JobRecord, StoredEvent } from "../../src/jobs/job.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { findInstallation } from "../../src/nodes/installation.ts";
import { createMemoryNodeStore } from "../../src/nodes/memory.ts";
import { createMemoryRoomHistory } from "../../src/sessions/history/memory.ts";
import { createMemoryMachineTokenStore } from "../../src/sessions/machine-tokens-memory.ts";
import { createMemorySessionStore } from "../../src/sessions/memory.ts";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";
import { NO_SESSION_OUTAGE } from "../../src/sessions/outage.ts";
import type { SessionStore } from "../../src/sessions/store.ts";
import { openSqlite } from "../../src/sqlite/database.ts";
import { createNoDisk } from "../../src/sqlite/disk.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { createWriter, type Writer, type WriteRequest, type WriteResult } from "../../src/database/writer.ts";
import { commitBatch, type Participant } from "../../src/sqlite/writer.ts";
import { createMemoryKeyStore } from "../../src/sessions/keys/memory.ts";
import { assembleStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { createParticipants } from "../../src/storage/participants.ts";
import type { Random } from "./random.ts";
import { strikes, type Scene } from "./scene.ts";
import type { Process } from "./timeline.ts";

/** A job as it is stored: what the model compares with. */
export interface StoredJob {
  readonly id: JobId;
  readonly userId: string;
  readonly status: string;
  readonly attempt: number;
  readonly head: number;
  readonly oldest: number;
  readonly leaseToken: string | null;
  readonly leaseBy: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly purged: boolean;
}

/** Looks at what is stored without going through the code that is on trial. */
export interface Look {
  jobs(): readonly StoredJob[];
  job(id: JobId): StoredJob | null;
  events(id: JobId, after: number): readonly StoredEvent[];
}

export interface DiskWatch {
  /** Around each command inside its transaction. */
  around(to: string, command: unknown, run: () => unknown): unknown;
  /** A transaction was committed, whether or not anybody is told. */
  committed(): void;
}

export interface Disk extends Look {
  open(process: Process, clock: Clock): Storage;
  close(): void;
}

export interface DiskOptions {
  readonly scene: Scene;
  readonly watch: DiskWatch;
  /** Kills the process that commits. */
  readonly crash: (process: Process, why: string) => void;
}

type Fate = "well" | "refused" | "statement" | "full" | "lost" | "kept" | "crash before" | "crash after";

/** A database as far as `commitBatch` looks at it. */
interface Transactions {
  readonly begin: () => void;
  readonly commit: () => void;
  readonly rollback: () => void;
}

class SqliteFault extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function drawFate(scene: Scene, random: Random): Fate {
  const { refusedCommit, failingStatement, unknownCommit, crashAtCommit } = scene.faults;
  if (strikes(scene, random, refusedCommit)) return "refused";
  if (strikes(scene, random, failingStatement)) return random.chance(0.5) ? "statement" : "full";
  if (strikes(scene, random, unknownCommit)) return random.chance(0.5) ? "lost" : "kept";
  if (strikes(scene, random, crashAtCommit)) return random.chance(0.5) ? "crash before" : "crash after";
  return "well";
}

/** The database that `commitBatch` believes to have, with the fault that is this batch's. */
function faultyDatabase(transactions: Transactions, fate: Fate): Database {
  let open = false;
  const end = (how: () => void): void => {
    open = false;
    how();
  };
  const database = {
    get inTransaction() {
      return open;
    },
    run(statement: string) {
      if (statement.startsWith("BEGIN")) {
        if (fate === "refused") throw new SqliteFault("SQLITE_BUSY", "database is locked");
        transactions.begin();
        open = true;
      } else if (statement === "ROLLBACK") end(transactions.rollback);
      else if (fate === "full") throw new SqliteFault("SQLITE_FULL", "database or disk is full");
      else if (fate === "lost") {
        end(transactions.rollback);
        throw new SqliteFault("SQLITE_IOERR_FSYNC", "disk I/O error");
      } else {
        end(transactions.commit);
        if (fate === "kept") throw new SqliteFault("SQLITE_IOERR_FSYNC", "disk I/O error");
      }
    },
  };
  return database as unknown as Database;
}

interface Stack {
  readonly process: Process;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether a rollback undoes what was executed. */
  readonly takesBack: boolean;
  readonly transactions: Transactions;
  /** Those of the process that started last: what a start finds is what is there, whoever else is running. */
  readonly participants: () => Readonly<Record<string, Participant>>;
}

/** The writer as a process has it: batches travel to the thread, are committed there, and answers travel back. */
function createSimulatedWriter(options: DiskOptions, stack: Stack): Writer {
  const { process, clock, random } = stack;
  const { scene, watch, crash } = options;
  const { timeline, faults, sometimes } = scene;
  const travelMs = (): number => {
    const ms = random.next() * faults.commitMs;
    return strikes(scene, random, faults.slowCommit) ? ms + random.between(50, 3000) : ms;
  };

  const carryOut = (requests: WriteRequest[]): WriteResult[] => {
    const fate = drawFate(scene, random);
    if (fate !== "well") scene.trace.note(`commit of ${requests.length}: ${fate}`);
    if (fate !== "well") sometimes.reached(`commit ${fate}`);
    // The same one fails again when it is tried on its own: the disk is full for it.
    const failing = fate === "statement" ? requests[stack.takesBack ? random.int(requests.length) : 0] : null;
    const watched = Object.fromEntries(
      Object.entries(stack.participants()).map(([name, inner]) => [
        name,
        {
          rolledBack: () => inner.rolledBack(),
          execute(command: unknown) {
            if (command === failing?.command)
              throw new SqliteFault("SQLITE_FULL", "database or disk is full");
            return watch.around(name, command, () => inner.execute(command));
          },
        },
      ]),
    );
    if (fate === "crash before") {
      crash(process, "before a commit");
      return [];
    }
    try {
      return commitBatch(faultyDatabase(stack.transactions, fate), watched, requests);
    } finally {
      watch.committed();
      if (fate === "kept") sometimes.reached("unknown commit that was applied");
      if (fate === "crash after") crash(process, "between a commit and its answer");
    }
  };

  return createWriter(
    (requests) => {
      const { promise, resolve, reject } = Promise.withResolvers<WriteResult[]>();
      const carried = structuredClone(requests);
      const answer = (settle: () => void): void => {
        const answered = (): void => {
          process.unanswered -= 1;
          settle();
        };
        timeline.after(travelMs(), answered, process);
      };
      const work = (): void => {
        process.unanswered += 1;
        try {
          const results = structuredClone(carryOut(carried));
          answer(() => resolve(results));
        } catch (error) {
          answer(() => reject(error));
        }
      };
      timeline.after(travelMs(), work, process);
      return promise;
    },
    async () => {},
    (run) => void timeline.after(0, run, process),
    clock,
  );
}

/** Rows that the model reads itself, without the stores. */
function lookAtSqlite(raw: Database): Look {
  interface JobRow {
    num: number;
    id: JobId;
    user_id: string;
    status: string;
    attempt: number;
    head: number;
    oldest: number;
    lease_token: string | null;
    lease_by: number | null;
    metadata: string;
    purged_at: number | null;
  }
  const columns =
    "num, id, user_id, status, attempt, head, oldest, lease_token, lease_by, metadata, purged_at";
  const all = raw.query<JobRow, []>(`SELECT ${columns} FROM jobs ORDER BY num`);
  const one = raw.query<JobRow, [string]>(`SELECT ${columns} FROM jobs WHERE id = ?`);
  const log = raw.query<{ seq: number } & Omit<StoredEvent, "seq">, [string, number]>(
    "SELECT e.id & 4194303 AS seq, e.attempt, e.at, e.kind, e.data FROM job_events e JOIN jobs j ON j.id = ?" +
      " WHERE e.id > j.num * 4194304 + ? AND e.id < (j.num + 1) * 4194304 ORDER BY e.id",
  );
  const toJob = (row: JobRow): StoredJob => ({
    id: row.id,
    userId: row.user_id,
    status: row.status,
    attempt: row.attempt,
    head: row.head,
    oldest: row.oldest,
    leaseToken: row.lease_token,
    leaseBy: row.lease_by,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    purged: row.purged_at !== null,
  });
  return {
    jobs: () => all.all().map(toJob),
    job(id) {
      const row = one.get(id);
      return row === null ? null : toJob(row);
    },
    events: (id, after) => log.all(id, after),
  };
}

/** The schema is made once; every seed begins with a copy. */
let template: Uint8Array | null = null;

function openSqliteDisk(options: DiskOptions): Disk {
  const random = options.scene.random.fork();
  if (template === null) {
    const made = openSqlite({ path: ":memory:", durability: "process" });
    migrate(made.raw, SQLITE_MIGRATIONS);
    template = made.raw.serialize();
    made.close();
  }
  const raw = Database.deserialize(template);
  const connection = { raw, orm: drizzle({ client: raw }), close: () => raw.close(true) };
  const transactions: Transactions = {
    begin: () => raw.run("BEGIN IMMEDIATE"),
    commit: () => raw.run("COMMIT"),
    rollback: () => raw.run("ROLLBACK"),
  };
  let current = createParticipants(connection);
  return {
    ...lookAtSqlite(raw),
    open(process, clock) {
      current = createParticipants(connection);
      const writer = createSimulatedWriter(options, {
        process,
        clock,
        random,
        takesBack: true,
        transactions,
        participants: () => current,
      });
      return assembleStorage(writer, connection, {
        signingKeys: createMemoryKeyStore(),
        close: () => undefined,
      });
    },
    close: () => connection.close(),
  };
}

/** The memory drivers on a disk: what they keep outlives the process, and a rollback takes back what it did. */
function openMemoryDisk(options: DiskOptions): Disk {
  const random = options.scene.random.fork();
  const stored = createMemoryJobs();
  const sessionsStored = createMemorySessionStore();
  const nodes = createMemoryNodeStore();
  const revocations = createMemoryRevocationStore();
  let before = copyMemoryJobs(stored);
  const transactions: Transactions = {
    begin() {
      before = copyMemoryJobs(stored);
    },
    commit: () => undefined,
    rollback() {
      stored.rows.clear();
      for (const [id, row] of before.rows) stored.rows.set(id, row);
      stored.steadyMs = before.steadyMs;
      stored.keys.clear();
      for (const [name, key] of before.keys) stored.keys.set(name, key);
    },
  };
  let participants: Readonly<Record<string, Participant>> = {};
  const participant = (): Participant => {
    const fresh = () =>
      createJobParticipant({
        ...createMemoryJobTables(stored),
        begun: () => undefined,
        ending: () => undefined,
        rolledBack: () => undefined,
        commonMs: () => null,
      });
    let current = fresh();
    return {
      execute: (command) => current.execute(command),
      rolledBack() {
        current = fresh();
      },
    };
  };
  const toJob = ({ job }: { job: JobRecord }): StoredJob => ({
    ...job,
    purged: job.purgedAt !== null,
  });
  return {
    jobs: () => [...stored.rows.values()].map(toJob),
    job(id) {
      const row = stored.rows.get(id);
      return row === undefined ? null : toJob(row);
    },
    events: (id, after) => (stored.rows.get(id)?.events ?? []).filter(({ seq }) => seq > after),
    open(process, clock) {
      participants = { [JOBS]: participant() };
      const writer = createSimulatedWriter(options, {
        process,
        clock,
        random,
        takesBack: true,
        transactions,
        participants: () => participants,
      });
      const sessionsWriter = createSimulatedWriter(options, {
        process,
        clock,
        random,
        takesBack: false,
        transactions: { begin: () => undefined, commit: () => undefined, rollback: () => undefined },
        participants: () => ({ sessions: createSessionsParticipant(sessionsStored) }),
      });
      return {
        jobs: createSqliteJobStore(writer, createMemoryJobReads(stored)),
        sessions: createWrittenSessions(sessionsStored, sessionsWriter),
        sessionOutage: NO_SESSION_OUTAGE,
        revocations,
        machineTokens: createMemoryMachineTokenStore(),
        roomHistory: createMemoryRoomHistory(),
        signingKeys: createMemoryKeyStore(),
        nodes,
        installation: () => findInstallation(nodes),
        disk: createNoDisk(),
        onBatch: (listener) => writer.onBatch(listener),
        failed: Promise.race([writer.failed, sessionsWriter.failed]),
        async stop() {
          await writer.stop();
          await sessionsWriter.stop();
        },
      };
    },
    close: () => undefined,
  };
}

interface SessionCall {
  readonly call: keyof SessionStore;
  readonly given: readonly unknown[];
}

/** The memory store does its work before it returns: its promise has its value already. */
function createSessionsParticipant(store: SessionStore): Participant {
  return {
    execute(command) {
      const { call, given } = command as SessionCall;
      const done = (store[call] as (...args: readonly unknown[]) => Promise<unknown>)(...given);
      return Bun.peek(done);
    },
    rolledBack: () => undefined,
  };
}

/** What only reads. */
const READS: ReadonlySet<string> = new Set(["find", "findOwn", "listOf", "page", "inRooms", "count"]);

function createWrittenSessions(store: SessionStore, writer: Writer): SessionStore {
  const calls = (Object.keys(store) as (keyof SessionStore)[])
    .filter((call) => !READS.has(call))
    .map((call) => [
      call,
      (...given: readonly unknown[]) => writer.write("sessions", { call, given } satisfies SessionCall),
    ]);
  return { ...store, ...(Object.fromEntries(calls) as Partial<SessionStore>) };
}

export function createDisk(options: DiskOptions): Disk {
  return options.scene.faults.driver === "memory" ? openMemoryDisk(options) : openSqliteDisk(options);
}
