/** What a server knows of its storage, whichever drivers are behind it: the stores, and how they are opened. */
import type { BatchFacts } from "../database/writer.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Clock, Follower } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { Installation, NodeStore } from "../nodes/store.ts";
import type { RoomHistory } from "../sessions/history/history.ts";
import type { KeyStore } from "../sessions/keys/store.ts";
import type { MachineTokenStore } from "../sessions/machine-tokens.ts";
import type { SessionOutage } from "../sessions/outage.ts";
import type { RevocationStore } from "../sessions/revocations/store.ts";
import type { SessionStore } from "../sessions/store.ts";
import type { Disk } from "../sqlite/disk.ts";

export interface Storage {
  readonly jobs: JobStore;
  readonly sessions: SessionStore;
  readonly sessionOutage: SessionOutage;
  readonly revocations: RevocationStore;
  readonly machineTokens: MachineTokenStore;
  readonly roomHistory: RoomHistory;
  readonly signingKeys: KeyStore;
  readonly nodes: NodeStore;
  /** What this database's processes know each other by: made when it is asked for first, and never another. */
  installation(): Promise<Installation>;
  readonly disk: Disk;
  /** Called with every batch of writes that came back. */
  onBatch(listener: (batch: BatchFacts) => void): void;
  /** Resolves when the storage can no longer tell what it holds: the process has to stop. */
  readonly failed: Promise<Error>;
  /** Commits what was given, then closes. */
  stop(): Promise<void>;
}

export interface SessionsPlace {
  /** Redis that keeps the sessions; null or absent: the database does. */
  readonly sessionsRedisUrl?: string | null;
  /** How long a session without a socket lives. */
  readonly resumeMs?: number;
  /** Whose sessions they are: a server, which starts without Redis too; a command, which is over in a moment, needs it. */
  readonly watch?: { readonly clock: Clock; readonly logger: Logger };
}

export interface StorageOptions extends SessionsPlace {
  /** `sqlite:<path>`, `sqlite::memory:` or `postgres://…`. */
  readonly databaseUrl: string;
  /** Made with mode 0700 when it is missing; holds the lock. Unused by a database in memory. */
  readonly dataDir: string;
  readonly durability: "power" | "process";
}

/** The server that opens a storage, as one of many on the same database. */
export interface NodeOptions {
  /** Its name: unlike that of any other, and the same at its next start. Asked once the data folder is there. */
  readonly id: () => string;
  /** Whether there may be others. */
  readonly several: boolean;
  /** Its clock, which follows the database's: whatever it stores takes effect at that time. */
  readonly clock: Clock & Follower;
}

export interface OpenOptions extends StorageOptions {
  /** This is one of several processes: their parent has the folder (`prepareShared`). */
  readonly shared?: boolean;
  /** Without it the commands bring their own time, and no other server may be there. */
  readonly node?: NodeOptions;
  /** Who watches the disk; a command that is over in a moment does not. */
  readonly watch?: { readonly clock: Clock; readonly logger: Logger };
}
