/**
 * What a client must know after a page reload: the session's token, and how far the application got with each
 * unfinished job. Written through to a storage, at most every quarter of a second.
 */
import type { ClientClock, ClientTimer } from "./clock.ts";

/** The part of the Web Storage API that is used. */
export type ClientStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface RememberedJob {
  readonly id: string;
  readonly type: string;
  /** Last seq that was given to the application. */
  readonly cursor: number;
}

export interface Memory {
  /** The session's token; null before the first welcome and after `forgetSession`. */
  readonly token: string | null;
  readonly sessionId: string | null;
  /** Jobs not known to have ended, oldest first. */
  jobs(): readonly RememberedJob[];
  setToken(token: string): void;
  setSession(sessionId: string, token: string): void;
  /** Drops the session; its jobs stay, they belong to the user. */
  forgetSession(): void;
  track(job: RememberedJob): void;
  untrack(jobId: string): void;
  /** Writes now what waits to be written: for `pagehide`. */
  save(): void;
}

export interface MemoryOptions {
  readonly storage: ClientStorage | null;
  readonly key: string;
  readonly clock: ClientClock;
}

interface Stored {
  token: string | null;
  sessionId: string | null;
  jobs: RememberedJob[];
}

const SAVE_EVERY_MS = 250;

/** A memory filled from the storage. What is stored and cannot be read counts as nothing. */
export function createMemory(options: MemoryOptions): Memory {
  const { storage, key, clock } = options;
  const stored = read(storage, key);
  const jobs = new Map(stored.jobs.map((job) => [job.id, job]));
  let { token, sessionId } = stored;
  let timer: ClientTimer | null = null;

  function save(): void {
    timer?.cancel();
    timer = null;
    try {
      storage?.setItem(key, JSON.stringify({ token, sessionId, jobs: [...jobs.values()] } satisfies Stored));
    } catch {
      // A full or forbidden storage costs the resume after a reload and nothing else.
    }
  }
  function saveSoon(): void {
    timer ??= clock.after(SAVE_EVERY_MS, save);
  }

  return {
    get token() {
      return token;
    },
    get sessionId() {
      return sessionId;
    },
    jobs: () => [...jobs.values()],
    setToken(next) {
      token = next;
      save();
    },
    setSession(id, next) {
      sessionId = id;
      token = next;
      save();
    },
    forgetSession() {
      token = null;
      sessionId = null;
      save();
    },
    track(job) {
      jobs.set(job.id, job);
      saveSoon();
    },
    untrack(jobId) {
      if (jobs.delete(jobId)) save();
    },
    save,
  };
}

function isJob(value: unknown): value is RememberedJob {
  const { id, type, cursor } = (value ?? {}) as Readonly<Record<string, unknown>>;
  return typeof id === "string" && typeof type === "string" && Number.isSafeInteger(cursor);
}

/** Other scripts of the page may write there too, so that nothing is taken for granted. */
function read(storage: ClientStorage | null, key: string): Stored {
  let found: unknown = null;
  try {
    found = JSON.parse(storage?.getItem(key) ?? "null");
  } catch {
    // As if nothing were there.
  }
  const { token, sessionId, jobs } = (found ?? {}) as Readonly<Record<string, unknown>>;
  return {
    token: typeof token === "string" ? token : null,
    sessionId: typeof sessionId === "string" ? sessionId : null,
    jobs: Array.isArray(jobs) ? jobs.filter(isJob) : [],
  };
}
