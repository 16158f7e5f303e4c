/**
 * How a command reaches an installation on this machine. What it reads comes from the database. What it changes goes
 * through the server that runs on it, which has to tell sockets and runs; through the database when no server runs.
 */
import type { Config } from "../config.ts";
import { createRegistry } from "../handlers/registry.ts";
import {
  createOperator,
  createOperatorReads,
  type OperatorReads,
  type OperatorWrites,
} from "../http/operator.ts";
import { createSubmitter } from "../http/submit.ts";
import { createOrphans } from "../jobs/orphans.ts";
import { createSystemClock } from "../lib/clock.ts";
import { createIds } from "../lib/ids.ts";
import { createLogger } from "../lib/logger.ts";
import type { AdminJobObject } from "../protocol/admin.ts";
import { issueMachineToken } from "../sessions/machine-tokens.ts";
import { createRevocations } from "../sessions/revocations.ts";
import { DatabaseInUseError } from "../postgres/place.ts";
import { FolderInUseError } from "../sqlite/lock.ts";
import { openStorage, openStorageBeside, type StorageBeside } from "../storage.ts";
import type { Storage } from "../storage/contract.ts";
import type { Flag } from "./command.ts";
import { addressOf, givenAddress } from "./health.ts";

const ANSWER_MS = 30_000;
/** Life of the token that a command makes for its own call. */
const OWN_TOKEN_MS = 60_000;

export const URL_FLAG: Flag = {
  name: "url",
  value: "URL",
  description: "Where the running server listens, if not where the configuration says",
};

/** Calls `use` with a view of the database, whether or not a server runs on it. Throws when there is none yet. */
export async function withReads<Result>(
  config: Config,
  use: (reads: OperatorReads) => Promise<Result>,
): Promise<Result> {
  const storage = await openStorageBeside(config);
  try {
    return await use(createOperatorReads({ ...storage, ...config, clock: createSystemClock() }));
  } finally {
    await storage.stop();
  }
}

/** The same things as the server does, with nobody connected and nothing running. */
function writesOf(config: Config, { jobs, sessions, sessionOutage, revocations }: Storage): OperatorWrites {
  const clock = createSystemClock();
  const ids = createIds(clock);
  const logger = createLogger({ level: "silent", pretty: false });
  const orphans = createOrphans({ store: jobs, clock, logger, absentMs: async () => 0 });
  const registry = createRegistry([]);
  return createOperator({
    jobs,
    sessions,
    sessionOutage,
    schedules: config.schedules,
    clock,
    submitter: createSubmitter({
      ...config,
      store: jobs,
      registry,
      clock,
      ids,
      webhookProblem: () => null,
      onSubmit: () => {},
    }),
    revocations: createRevocations(revocations),
    async endSession(id) {
      const at = Math.round(clock.wallMs());
      const lived = await sessions.end(id, at, at + config.sessionTokenMs + config.resumeMs);
      if (lived) await orphans.loggedOut(id);
    },
  });
}

interface Line {
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What nobody answering there means to whoever typed the command. */
  readonly unanswered: () => Promise<string>;
}

/** Of several nodes any will do; one at the configured address of this machine is only the first guess. */
async function unansweredAt(address: string, nodes: StorageBeside["nodes"]): Promise<string> {
  const places = (await nodes.list()).flatMap(({ id, state, url }) =>
    state === "up" && url !== "" && url !== address ? [`${url} (${id})`] : [],
  );
  const nobody = `no server of this installation answers at ${address}`;
  if (places.length === 0) return `${nobody}: say where it listens (--port, --url)`;
  return `${nobody}; one listens at ${places.join(", ")}: name it with --url`;
}

/** What a problem body says, or the status where it is none. */
async function reasonOf(answer: Response): Promise<string> {
  const body: unknown = await answer.json().catch(() => null);
  const detail = typeof body === "object" && body !== null && "detail" in body ? body.detail : null;
  return typeof detail === "string" ? detail : `the server answered ${answer.status}`;
}

function createCall({
  address,
  headers,
  unanswered,
}: Line): (path: string, body?: unknown) => Promise<Response> {
  return async (path, body) => {
    const answer = await fetch(`${address}/v1/admin/${path}`, {
      method: "POST",
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MS),
      // The variables of a proxy are for the world outside, and this is a call to a neighbour.
      proxy: false,
    }).catch(async (cause: unknown) => {
      throw new Error(await unanswered(), { cause });
    });
    if (answer.ok) return answer;
    const elsewhere = answer.status === 401 ? ` (is ${address} a server of this installation?)` : "";
    throw new Error((await reasonOf(answer)) + elsewhere);
  };
}

/** The same things, done by the running server. */
function writesThrough(line: Line): OperatorWrites {
  const call = createCall(line);
  const jobOf = async (answer: Promise<Response>): Promise<AdminJobObject> =>
    (await (await answer).json()) as AdminJobObject;
  return {
    cancel: (id) => jobOf(call(`jobs/${encodeURIComponent(id)}/cancel`)),
    retry: (id) => jobOf(call(`jobs/${encodeURIComponent(id)}/retry`)),
    revoke: async (body) => void (await call("revocations", body)),
  };
}

async function throughServer<Result>(
  { config, url }: Place,
  { machineTokens, nodes }: StorageBeside,
  use: (writes: OperatorWrites) => Promise<Result>,
): Promise<Result> {
  const address = url === undefined ? addressOf(config) : givenAddress(url);
  const parts = { store: machineTokens, clock: createSystemClock(), ids: createIds() };
  const spec = {
    kind: "admin",
    name: "command line",
    types: null,
    rooms: null,
    ttlMs: OWN_TOKEN_MS,
  } as const;
  const { secret, token } = await issueMachineToken(parts, spec);
  // In open mode a server answers to loopback names only, also where it listens on another address.
  const host: Record<string, string> = url === undefined ? { host: `127.0.0.1:${config.port}` } : {};
  try {
    const headers = { ...host, authorization: `Bearer ${secret}` };
    const unanswered = (): Promise<string> => unansweredAt(address, nodes);
    return await use(writesThrough({ address, headers, unanswered }));
  } finally {
    await machineTokens.remove(token.id);
  }
}

export interface Place {
  readonly config: Config;
  /** `--url`, as it was written. */
  readonly url: string | undefined;
}

/** Calls `use` with the means to change things, by the running server or in its absence. Throws when there is no database yet. */
export async function withWrites<Result>(
  place: Place,
  use: (writes: OperatorWrites) => Promise<Result>,
): Promise<Result> {
  const beside = await openStorageBeside(place.config);
  try {
    // Alone, and at the time of the database: what it stores is judged by that of the servers to come.
    const node = { id: () => "command", several: false, clock: createSystemClock() };
    const storage = await openStorage({ ...place.config, node }).catch((error: unknown) => {
      if (error instanceof FolderInUseError || error instanceof DatabaseInUseError) return null;
      throw error;
    });
    if (storage === null) return await throughServer(place, beside, use);
    try {
      return await use(writesOf(place.config, storage));
    } finally {
      await storage.stop();
    }
  } finally {
    await beside.stop();
  }
}
