/** The drivers as the conformance suites open them: fresh for each test, or emptied after it where opening is slow. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Change } from "../../src/jobs/job.ts";
import { createSqliteJobReads } from "../../src/jobs/sqlite/reads.ts";
import { createSqliteJobStore } from "../../src/jobs/sqlite/store.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { createParticipants } from "../../src/storage/participants.ts";
import { createSqliteNodeStore } from "../../src/nodes/sqlite/store.ts";
import { createSqliteRoomHistory } from "../../src/sessions/history/sqlite.ts";
import { createSqliteMachineTokenStore } from "../../src/sessions/machine-tokens-sqlite.ts";
import { createSqliteRevocationStore } from "../../src/sessions/revocations/sqlite.ts";
import type { RevocationStore } from "../../src/sessions/revocations/store.ts";
import { createSqliteSessionStore } from "../../src/sessions/sqlite.ts";
import type { SessionStore } from "../../src/sessions/store.ts";
import { openSqlite } from "../../src/sqlite/database.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { createInlineWriter } from "../../src/sqlite/writer.ts";
import type { OpenedJobStore } from "./job-store.ts";
import type { OpenedRevocationStore } from "./revocation-store.ts";
import type { OpenedSessionStore } from "./session-store.ts";

export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "holdline-test-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export function openInMemory(): Promise<Storage> {
  return openStorage({ databaseUrl: "sqlite::memory:", dataDir: "/unused", durability: "process" });
}

/** A database file as the server opens it, with the writer in its thread. */
export function openThreaded(
  folder: TemporaryFolder,
  durability: "power" | "process" = "process",
): Promise<Storage> {
  const dataDir = join(folder.path, "data");
  return openStorage({ databaseUrl: `sqlite:${join(dataDir, "holdline.db")}`, dataDir, durability });
}

type InlineStorage = Pick<
  Storage,
  "jobs" | "sessions" | "revocations" | "machineTokens" | "roomHistory" | "nodes" | "stop"
>;

/** The same file without thread and lock, which opens in a few milliseconds. */
export function openInline(folder: TemporaryFolder): InlineStorage {
  const path = join(folder.path, "holdline.db");
  const connection = openSqlite({ path, durability: "process" });
  migrate(connection.raw, SQLITE_MIGRATIONS);
  const writer = createInlineWriter(connection.raw, createParticipants(connection));
  return {
    jobs: createSqliteJobStore(writer, createSqliteJobReads(connection)),
    sessions: createSqliteSessionStore(writer, connection),
    revocations: createSqliteRevocationStore(writer, connection),
    machineTokens: createSqliteMachineTokenStore(writer, connection),
    roomHistory: createSqliteRoomHistory(writer, connection),
    nodes: createSqliteNodeStore(writer, connection),
    async stop() {
      await writer.stop();
      connection.close();
    },
  };
}

/** Every method of a store that is there only once `turn` resolved. */
function relay(
  turn: () => Promise<JobStore>,
  listeners: ((changes: readonly Change[]) => void)[],
): Omit<JobStore, "execute"> {
  return {
    onCommitted: (listener) => void listeners.push(listener),
    find: async (id) => (await turn()).find(id),
    findOwn: async (userId, id) => (await turn()).findOwn(userId, id),
    findWithResult: async (id) => (await turn()).findWithResult(id),
    input: async (id) => (await turn()).input(id),
    findByKey: async (key) => (await turn()).findByKey(key),
    events: async (id, query) => (await turn()).events(id, query),
    audioChunks: async (id, after) => (await turn()).audioChunks(id, after),
    list: async (query) => (await turn()).list(query),
    openJobs: async (sessionId, limit) => (await turn()).openJobs(sessionId, limit),
    heads: async (ids) => (await turn()).heads(ids),
    newJobsOf: async (query) => (await turn()).newJobsOf(query),
    cancelable: async (query) => (await turn()).cancelable(query),
    waiting: async () => (await turn()).waiting(),
    position: async (id) => (await turn()).position(id),
    schedules: async () => (await turn()).schedules(),
    webhook: async (id) => (await turn()).webhook(id),
    nextWebhook: async () => (await turn()).nextWebhook(),
    steadyMs: async () => (await turn()).steadyMs(),
  };
}

/** A file that is closed and opened again before every `every`-th command, as if the server had been restarted. */
export async function openReopening(every: number): Promise<OpenedJobStore> {
  const folder = await temporaryFolder();
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const open = (): InlineStorage => {
    const opened = openInline(folder);
    opened.jobs.onCommitted((changes) => {
      for (const listener of listeners) listener(changes);
    });
    return opened;
  };
  let storage = open();
  let turn = Promise.resolve(storage.jobs);
  let pending = 0;
  let commands = 0;
  const reopen = async (): Promise<JobStore> => {
    await storage.stop();
    storage = open();
    return storage.jobs;
  };
  return {
    store: {
      ...relay(() => turn, listeners),
      execute(command) {
        commands += 1;
        // What is given together stays together: only a store at rest is closed.
        if (pending === 0 && commands % every === 0) turn = reopen();
        pending += 1;
        return turn
          .then((jobs) => jobs.execute(command))
          .finally(() => {
            pending -= 1;
          });
      },
    },
    async close() {
      await storage.stop();
      await folder.remove();
    },
  };
}

/** A file that two writers share, as those of two processes do: every command goes to the other one. */
export async function openTakingTurns(): Promise<OpenedJobStore> {
  const folder = await temporaryFolder();
  const path = join(folder.path, "holdline.db");
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const open = () => {
    const connection = openSqlite({ path, durability: "process" });
    migrate(connection.raw, SQLITE_MIGRATIONS);
    const writer = createInlineWriter(connection.raw, createParticipants(connection, { wallMs: null }));
    const jobs = createSqliteJobStore(writer, createSqliteJobReads(connection));
    jobs.onCommitted((changes) => {
      for (const listener of listeners) listener(changes);
    });
    return { jobs, close: () => connection.close() };
  };
  const [one, other] = [open(), open()];
  let commands = 0;
  let pending = 0;
  let present = one;
  return {
    store: {
      ...relay(() => Promise.resolve(one.jobs), listeners),
      async execute(command) {
        // What is given together stays together, in the order in which it was given.
        if (pending === 0) present = commands % 2 === 0 ? one : other;
        commands += 1;
        pending += 1;
        try {
          return await present.jobs.execute(command);
        } finally {
          pending -= 1;
        }
      },
    },
    async close() {
      one.close();
      other.close();
      await folder.remove();
    },
  };
}

/** Later than anything a test waits for. */
const LATE_MS = 9e14;
const AT_LAST = { wallMs: LATE_MS, steadyMs: LATE_MS };

/** Ends and forgets every job by the store's own means, so that the next test finds it empty. */
async function emptyStore(jobs: JobStore, ids: ReadonlySet<JobId>): Promise<void> {
  const most = 10_000;
  await Promise.all(
    [...ids].map((id) => jobs.execute({ op: "cancel", at: AT_LAST, id, reason: "admin", graceMs: 0 })),
  );
  for (let busy = true; busy;) {
    ({ busy } = await jobs.execute({
      op: "sweep",
      random: 0,
      at: AT_LAST,
      owner: "boot:node:after",
      maxLostLeases: 1,
      most,
    }));
  }
  const before = { eventsBefore: 2 * LATE_MS, jobsBefore: 2 * LATE_MS, keysBefore: 2 * LATE_MS };
  while ((await jobs.execute({ op: "retain", at: AT_LAST, ...before, most })) > 0);
}

/** The nodes that the suite's sessions are on. */
const NODES = ["node-1", "node-2"];

/** A restart leaves every session without a socket, and then all of them expire. */
async function emptySessions(sessions: SessionStore): Promise<void> {
  for (const node of NODES) await sessions.recover({ nodeId: node, awayBy: 0, expiresBy: 0, at: 0 });
  await sessions.sweep(LATE_MS, LATE_MS, 10_000);
}

/** A store that the next test finds empty again. */
export function emptyRevocations(store: RevocationStore): OpenedRevocationStore {
  return { store, close: () => store.forget(LATE_MS) };
}

export interface SharedStorage {
  openJobs(): Promise<OpenedJobStore>;
  openSessions(): Promise<OpenedSessionStore>;
  storage(): Promise<Storage>;
  end(): Promise<void>;
}

/** One storage with its writer's thread for all tests of a file: it takes a tenth of a second to open. */
export function shareThreaded(): SharedStorage {
  return shareStorage(async () => {
    const folder = await temporaryFolder();
    return { storage: await openThreaded(folder), remove: () => folder.remove() };
  });
}

export interface OpenedStorage {
  readonly storage: Storage;
  /** What is left when it was stopped. */
  remove(): Promise<void>;
}

/** One storage, opened when it is needed first; each test leaves it empty. */
export function shareStorage(open: () => Promise<OpenedStorage>): SharedStorage {
  let opening: Promise<OpenedStorage> | null = null;
  let listeners: ((changes: readonly Change[]) => void)[] = [];
  const start = async (): Promise<OpenedStorage> => {
    const opened = await open();
    opened.storage.jobs.onCommitted((changes) => {
      for (const listener of listeners) listener(changes);
    });
    return opened;
  };
  return {
    async openSessions() {
      opening ??= start();
      const { sessions } = (await opening).storage;
      return { store: sessions, close: () => emptySessions(sessions) };
    },
    async storage() {
      opening ??= start();
      return (await opening).storage;
    },
    async openJobs() {
      opening ??= start();
      const { storage } = await opening;
      const ids = new Set<JobId>();
      listeners = [(changes) => changes.forEach(({ job }) => void ids.add(job.id))];
      return {
        store: {
          ...relay(() => Promise.resolve(storage.jobs), listeners),
          execute: (command) => storage.jobs.execute(command),
        },
        close: () => emptyStore(storage.jobs, ids),
      };
    },
    async end() {
      if (opening === null) return;
      const opened = await opening;
      await opened.storage.stop();
      await opened.remove();
    },
  };
}
