/** The storage on a PostgreSQL server: brings its schema up, opens the writer and the readers, and gives the stores. */
import { createPostgresJobParticipant } from "../jobs/postgres/participant.ts";
import { createPostgresJobReads, type JobReads } from "../jobs/postgres/reads.ts";
import { createPostgresJobStore } from "../jobs/postgres/store.ts";
import { JOBS } from "../jobs/writes.ts";
import { createSystemClock, type Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { findInstallation } from "../nodes/installation.ts";
import {
  createNodeParticipant,
  createNodeReads,
  createPostgresNodeStore,
  NODES,
} from "../nodes/postgres/store.ts";
import { inWords, placeOf } from "../postgres/in-words.ts";
import { assertPostgresVersion, openPool, refusingReads, type PostgresPool } from "../postgres/connection.ts";
import { assertSchema, migrate, schemaOf } from "../postgres/migrate.ts";
import { NewerSchemaError } from "../database/migrations.ts";
import type { ServerClaim } from "../postgres/place.ts";
import { startTimekeeper } from "../postgres/time.ts";
import { POSTGRES_MIGRATIONS } from "../postgres/migrations.ts";
import { startPostgresWriter, type PostgresParticipant } from "../postgres/writer.ts";
import {
  createPostgresRoomHistory,
  createRoomHistoryParticipant,
  createRoomHistoryReads,
  ROOM_HISTORY,
} from "../sessions/history/postgres.ts";
import {
  createMachineTokenParticipant,
  createMachineTokenReads,
  createPostgresMachineTokenStore,
  MACHINE_TOKENS,
} from "../sessions/postgres/machine-tokens.ts";
import {
  createPostgresSessionStore,
  createSessionParticipant,
  createSessionReads,
  SESSIONS,
} from "../sessions/postgres/sessions.ts";
import {
  createPostgresRevocationStore,
  createRevocationParticipant,
  createRevocationReads,
  REVOCATIONS,
} from "../sessions/revocations/postgres.ts";
import { NO_SESSION_OUTAGE } from "../sessions/outage.ts";
import {
  createKeyParticipant,
  createKeyReads,
  createPostgresKeyStore,
  SIGNING_KEYS,
  type PostgresKeyStore,
} from "../sessions/postgres/keys.ts";
import { takeOverFolder } from "../sessions/keys/take-over.ts";
import { createNoDisk } from "../sqlite/disk.ts";
import type { OpenOptions, Storage, StorageOptions } from "./contract.ts";

function createParticipants(clock: Clock): Readonly<Record<string, PostgresParticipant>> {
  return {
    [JOBS]: createPostgresJobParticipant(clock),
    [SESSIONS]: createSessionParticipant(),
    [REVOCATIONS]: createRevocationParticipant(),
    [MACHINE_TOKENS]: createMachineTokenParticipant(),
    [ROOM_HISTORY]: createRoomHistoryParticipant(),
    [NODES]: createNodeParticipant(),
    [SIGNING_KEYS]: createKeyParticipant(),
  };
}

interface PostgresStorage extends Storage {
  readonly signingKeys: PostgresKeyStore;
}

interface Opening {
  readonly options: StorageOptions;
  readonly claim: ServerClaim | null;
  readonly keepsTime: boolean;
  readonly clock: Clock;
  readonly logger: Logger | null;
}

async function assemble(
  { options, claim, keepsTime, clock, logger }: Opening,
  pool: PostgresPool,
): Promise<PostgresStorage> {
  const writer = await startPostgresWriter({
    url: options.databaseUrl,
    durability: options.durability,
    id: crypto.randomUUID(),
    claim,
    keepsTime,
    participants: createParticipants(clock),
    clock,
    logger,
  });
  const reads = <Reads extends object>(some: Reads): Reads => refusingReads(clock, pool, some);
  const nodes = createPostgresNodeStore(writer, reads(createNodeReads(pool)));
  return {
    jobs: createPostgresJobStore(writer, reads(createPostgresJobReads(pool))),
    sessions: createPostgresSessionStore(writer, reads(createSessionReads(pool))),
    sessionOutage: NO_SESSION_OUTAGE,
    revocations: createPostgresRevocationStore(writer, reads(createRevocationReads(pool))),
    machineTokens: createPostgresMachineTokenStore(writer, reads(createMachineTokenReads(pool))),
    roomHistory: createPostgresRoomHistory(writer, reads(createRoomHistoryReads(pool))),
    signingKeys: createPostgresKeyStore(writer, reads(createKeyReads(pool))),
    nodes,
    installation: () => findInstallation(nodes),
    disk: createNoDisk(),
    onBatch: (listener) => writer.onBatch(listener),
    failed: writer.failed,
    async stop() {
      await writer.stop();
      await pool.close();
    },
  };
}

async function open(opening: Opening): Promise<PostgresStorage> {
  const { databaseUrl } = opening.options;
  const pool = openPool(databaseUrl);
  try {
    return await inWords(databaseUrl, assemble(opening, pool));
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** The schema step. Throws NewerSchemaError, and in words why the server cannot be used. */
export async function migratePostgres({ databaseUrl }: StorageOptions): Promise<readonly number[]> {
  const pool = openPool(databaseUrl);
  try {
    await inWords(databaseUrl, assertPostgresVersion(pool));
    return await inWords(databaseUrl, migrate(databaseUrl, POSTGRES_MIGRATIONS));
  } finally {
    await pool.close();
  }
}

/** What a look from outside tells. Throws in words when it cannot be reached or used; changes nothing. */
export async function lookIntoPostgres({ databaseUrl }: StorageOptions): Promise<{
  readonly place: string;
  readonly version: string;
  readonly schema: number;
}> {
  const pool = openPool(databaseUrl);
  try {
    const version = await inWords(databaseUrl, assertPostgresVersion(pool));
    const schema = await inWords(databaseUrl, schemaOf(pool));
    if (schema > POSTGRES_MIGRATIONS.length) throw new NewerSchemaError(schema, POSTGRES_MIGRATIONS.length);
    return { place: placeOf(databaseUrl), version, schema };
  } finally {
    await pool.close();
  }
}

/** Takes over what an earlier version kept in the data folder. */
async function openServer(opening: Opening): Promise<PostgresStorage> {
  const storage = await open(opening);
  try {
    await takeOverFolder(opening.options.dataDir, storage.signingKeys, opening.logger);
    return storage;
  } catch (error) {
    await storage.stop();
    throw error;
  }
}

/** For a server. Rejects with DatabaseInUseError when its place is taken, and as `migratePostgres`. */
export async function openPostgres(options: OpenOptions): Promise<Storage> {
  await migratePostgres(options);
  const { databaseUrl, node } = options;
  const { clock = createSystemClock(), logger = null } = options.watch ?? {};
  if (node === undefined) {
    const claim = { nodeId: null, several: false };
    return openServer({ options, claim, keepsTime: false, clock, logger });
  }
  const starting = startTimekeeper({ url: databaseUrl, clock: node.clock, logger });
  const timekeeper = await inWords(databaseUrl, starting);
  try {
    const claim = { nodeId: node.id(), several: node.several };
    const storage = await openServer({ options, claim, keepsTime: true, clock, logger });
    return {
      ...storage,
      async stop() {
        await storage.stop();
        timekeeper.stop();
      },
    };
  } catch (error) {
    timekeeper.stop();
    throw error;
  }
}

/** Beside a server that runs on it: the schema is as it has to be, or this throws. */
export async function openPostgresBeside(
  options: StorageOptions,
): Promise<Storage & { readonly jobs: JobReads }> {
  const pool = openPool(options.databaseUrl);
  try {
    await inWords(options.databaseUrl, assertPostgresVersion(pool));
    await inWords(options.databaseUrl, assertSchema(pool, POSTGRES_MIGRATIONS));
  } finally {
    await pool.close();
  }
  return open({ options, claim: null, keepsTime: false, clock: createSystemClock(), logger: null });
}
