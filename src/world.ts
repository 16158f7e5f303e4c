/**
 * What a server touches outside of itself: time, chance, the disk, its keys, the network. All of it is passed in, so
 * that a simulation can own it and a seed can replay a run.
 */
import type { Server, WebSocketHandler } from "bun";
import { lookup } from "node:dns/promises";
import { hostname } from "node:os";
import { openTokens, type Tokens, type TokensOptions } from "./access.ts";
import type { Backplane } from "./backplane/backplane.ts";
import { openBackplane, type BackplaneOptions } from "./backplane/open.ts";
import type { Config } from "./config.ts";
import { createSystemClock, type Clock, type SystemClock } from "./lib/clock.ts";
import { createIds, type Ids } from "./lib/ids.ts";
import type { Logger } from "./lib/logger.ts";
import { loadNodeId } from "./node-id.ts";
import { openStorage } from "./storage.ts";
import type { Storage } from "./storage/contract.ts";
import type { Wire } from "./webhooks/send.ts";
import type { SocketData } from "./ws/sockets.ts";

/** As much of the runtime's own options as is used. */
export interface ServeOptions {
  readonly hostname: string;
  readonly port: number;
  readonly reusePort: boolean;
  readonly development: boolean;
  readonly idleTimeout: number;
  readonly maxRequestBodySize: number;
  readonly websocket: WebSocketHandler<SocketData>;
  readonly fetch: (request: Request) => Promise<Response | undefined>;
}

export interface World {
  readonly clock: Clock;
  readonly ids: Ids;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly openStorage: (config: Config, logger: Logger) => Promise<Storage>;
  readonly openBackplane: (options: BackplaneOptions) => Promise<Backplane>;
  readonly openTokens: (options: TokensOptions) => Promise<Tokens>;
  /** The same for every process of one installation. */
  readonly nodeId: (config: Config) => string;
  /** What the machine calls itself. */
  readonly hostName: string;
  /** How webhooks go out. */
  readonly wire: Wire;
  /** Listens; throws when the address is taken. */
  readonly serve: (options: ServeOptions) => Server<SocketData>;
}

/** One of several processes that share a folder and a port. */
export interface Sibling {
  /** Its own name among the nodes. */
  readonly node: string;
}

/** The world as it is; the clock may be another one. */
export function createSystemWorld(
  clock: SystemClock = createSystemClock(),
  sibling: Sibling | null = null,
): World {
  const ids = createIds(clock);
  const nodeId: World["nodeId"] = ({ databaseUrl, dataDir }) =>
    sibling?.node ?? (databaseUrl === "sqlite::memory:" ? `node_${ids.hex(6)}` : loadNodeId(dataDir, ids));
  return {
    clock,
    ids,
    random: Math.random,
    async openStorage(config, logger) {
      const node = { id: () => nodeId(config), several: config.redisUrl !== null, clock };
      const shared = sibling !== null;
      const storage = await openStorage({ ...config, shared, watch: { clock, logger }, node });
      clock.resume(await storage.jobs.steadyMs());
      return storage;
    },
    openBackplane,
    openTokens,
    nodeId,
    hostName: hostname(),
    wire: {
      resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
      fetch: (url, init) => fetch(url, init),
    },
    serve: (options) => Bun.serve({ ...options, reusePort: sibling !== null }),
  };
}
