/**
 * `holdline serve --processes n`: the parent of n processes that listen on one port and share one data folder. It serves
 * nothing itself: it holds the folder, puts another one in the place of one that dies, and passes on that all have to end.
 */
import type { Config } from "../../config.ts";
import { keepAlive, sleep, type Clock } from "../../lib/clock.ts";
import { createIds } from "../../lib/ids.ts";
import { listenProblem } from "../../http/listening.ts";
import type { RootLogger } from "../../lib/logger.ts";
import { isPostgres } from "../../postgres/connection.ts";
import { loadNodeId } from "../../node-id.ts";
import { makeKey } from "../../sessions/keys/store.ts";
import { openKeyStore, prepareShared } from "../../storage.ts";
import type { ExitCode, Host } from "../command.ts";
import { STOP_GRACE_MS, tellFailure } from "../life.ts";
import { type Child, ChildEnded, keepChild } from "./children.ts";

export interface ParentOptions {
  readonly config: Config;
  /** As they were given, for the children. */
  readonly flags: Readonly<Record<string, string>>;
  readonly pretty: boolean;
  readonly logger: RootLogger;
  readonly host: Host;
  readonly clock: Clock;
}

/** How much longer than one child may take to stop, until those that still run are ended. */
const LATE_MS = 2000;

/**
 * Throws when somebody listens there: beside another server that shares ports, ours would start without an error and
 * each of the two would get half of the connections.
 */
function assertFree(config: Config): void {
  try {
    Bun.listen({ hostname: config.host, port: config.port, exclusive: true, socket: { data() {} } }).stop(
      true,
    );
  } catch (error) {
    throw listenProblem(error, config);
  }
}

/** What one process makes and all of them share; the returned function lets go of the folder. */
async function prepare({ config, clock }: ParentOptions): Promise<() => void> {
  const release = prepareShared(config, clock);
  try {
    assertFree(config);
    // Files know no lock: the first key is made here, by one.
    const keys = isPostgres(config.databaseUrl) ? null : await openKeyStore(config);
    await keys?.store.begin(await makeKey(), clock.wallMs());
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

interface Family {
  readonly children: Child[];
  /** No more are started. */
  ending: boolean;
  readonly onDrainAsked: () => void;
}

/** Starts all of them; the first one finds the port when none was chosen. Rejects when one of them cannot start. */
async function startAll(options: ParentOptions, family: Family): Promise<string> {
  const { config, flags, pretty, logger, clock } = options;
  const name = loadNodeId(config.dataDir, createIds(clock));
  const start = (number: number, port: number): Promise<string> => {
    const given = { node: `${name}-${number}`, port, pretty };
    const child = keepChild({ start: given, flags, clock, logger, onDrainAsked: family.onDrainAsked });
    family.children.push(child);
    return child.ready;
  };
  const url = await start(1, config.port);
  if (family.ending) return url;
  const port = Number(new URL(url).port);
  const others = Array.from({ length: config.processes - 1 }, (_, index) => start(index + 2, port));
  await Promise.all(others);
  return url;
}

/** Lets all of them end in order; who takes too long is ended. Resolves with 1 when one of them did not end well. */
async function stopAll({ config, clock }: ParentOptions, family: Family): Promise<ExitCode> {
  const { children } = family;
  family.ending = true;
  const stopping = children.map((child) => child.stop());
  const late = sleep(clock, config.drainMs + STOP_GRACE_MS + LATE_MS).then(() => {
    for (const child of children) child.kill();
  });
  void Promise.all(children.map((child) => child.drained)).then(() => {
    for (const child of children) child.close();
  });
  const ended = Promise.all(stopping);
  await Promise.race([ended, late]);
  const codes = await ended;
  return codes.every((code) => code === 0) ? 0 : 1;
}

/** From the first child to the end of the last one. */
export async function serveProcesses(options: ParentOptions): Promise<ExitCode> {
  const { config, logger, host } = options;
  const signaled = host.untilSignal();
  const asked = Promise.withResolvers<string>();
  const family: Family = { children: [], ending: false, onDrainAsked: () => asked.resolve("drain") };
  const letGo = keepAlive();
  let release: (() => void) | null = null;
  try {
    release = await prepare(options);
    const started = startAll(options, family).then((url) => ({ url }));
    const listening = await Promise.race([started, signaled.then(() => null)]);
    if (listening !== null) logger.announce({ ...listening, processes: config.processes }, "listening");
    const signal = await Promise.race([signaled, asked.promise]);
    logger.info({ signal, drainMs: config.drainMs }, "stopping");
    const code = await stopAll(options, family);
    logger.info({}, "stopped");
    return code;
  } catch (error) {
    await stopAll(options, family);
    tellFailure({ logger, host }, "cannot start", error);
    // What has to be mended by an operator (2) is so for all of them.
    return error instanceof ChildEnded && error.code === 2 ? 2 : 1;
  } finally {
    release?.();
    letGo();
  }
}
