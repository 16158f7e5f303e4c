/** Reaching Redis the way this server needs it: the one place that makes clients, and that knows their time-outs. */
import { isIP } from "node:net";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { readRedisUrl, redisPlaceName, type RedisPlace } from "../lib/redis-url.ts";
import { createRedisOutages, type RedisOutages } from "./outages.ts";

export interface RedisOpening {
  /** One of the forms of `readRedisUrl`; throws when it is not. */
  readonly url: string;
  /** What the connection is for, as `CLIENT LIST` and the log show it. */
  readonly name: string;
  readonly logger: Logger;
  /** Tells of outages of several connections as of one; without it, those of this one are told. */
  readonly outages?: RedisOutages;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export interface OpenedRedis<Client extends Redis | Cluster = Redis | Cluster> {
  /**
   * Connects by itself, and again whenever it has to. A command that cannot be sent at once, that is not answered in
   * time or whose connection breaks rejects: it is never kept for later, and never sent twice. One that was sent may
   * have been carried out all the same.
   */
  readonly client: Client;
  /** Whether commands can be sent right now. */
  readonly ready: boolean;
  close(): void;
}

const CONNECT_MS = 3000;
/** Longest that a command waits for its answer. */
const COMMAND_MS = 2000;
/** A connection on which nothing came for as long, though something was asked, is given up. */
const DEAF_MS = 3000;
/** Waits between tries to connect; a quarter is certain, so that nobody spins. */
const RECONNECT = { baseMs: 100, mostMs: 2000 };

function reconnectMs(failures: number, random: () => number): number {
  return RECONNECT.baseMs / 4 + backoffMs(RECONNECT, failures, random());
}

/** What every connection has, whatever kind of installation it leads to. */
function sharedOptions({ tls, credentials }: RedisPlace, name: string) {
  return {
    connectionName: `holdline-${name}`,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    socketTimeout: DEAF_MS,
    // Without these a command waits in memory for a server that comes back, or is carried out twice.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Whoever subscribes does so by itself on `ready`: it has to know when it hears again.
    autoResubscribe: false,
    lazyConnect: true,
    // A master that became a replica: the next connection finds the new one.
    reconnectOnError: ({ message }: Error): boolean => message.startsWith("READONLY"),
    ...(tls ? { tls: {} } : {}),
    ...(credentials === null ? {} : { password: credentials.password }),
    ...(credentials?.user ? { username: credentials.user } : {}),
  } satisfies RedisOptions;
}

/** TLS needs to be told the name that the certificate is for (RFC 6066 section 3: an address is none). */
function tlsFor({ tls }: RedisPlace, host: string): Pick<RedisOptions, "tls"> {
  return tls && isIP(host) === 0 ? { tls: { servername: host } } : {};
}

function sentinelOptions(place: RedisPlace, random: () => number) {
  const { hosts, master, tls, sentinelCredentials } = place;
  return {
    sentinels: [...hosts],
    name: master ?? "",
    sentinelRetryStrategy: (failures: number) => reconnectMs(failures, random),
    sentinelCommandTimeout: COMMAND_MS,
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
    ...(sentinelCredentials === null ? {} : { sentinelPassword: sentinelCredentials.password }),
    ...(sentinelCredentials?.user ? { sentinelUsername: sentinelCredentials.user } : {}),
  } satisfies RedisOptions;
}

/** Which of the hosts is tried first: the one after this share (0 to 1) of all, and so many further. */
export interface FirstHost {
  readonly share: number;
  readonly next: number;
}

const AT_THE_BEGINNING: FirstHost = { share: 0, next: 0 };

/**
 * One connection. Into a Cluster it leads to one of the nodes of the URL, and after a failure to the next: what is
 * published at one node of a Cluster is heard at all of them (Redis Cluster specification, "Publish/Subscribe"), and on
 * one connection it keeps its order.
 */
function openOne(
  place: RedisPlace,
  { name, random }: RedisOpening,
  { share, next: ahead }: FirstHost,
): Redis {
  const { length } = place.hosts;
  const hostAt = (turn: number) => place.hosts[(Math.floor(share * length) + ahead + turn) % length];
  const first = hostAt(0);
  if (first === undefined) throw new Error("a URL of Redis without a host was let through");
  const options: RedisOptions & { replyMapping: "legacy" } = {
    replyMapping: "legacy",
    ...sharedOptions(place, name),
    ...(place.kind === "sentinel"
      ? sentinelOptions(place, random)
      : { ...first, ...tlsFor(place, first.host) }),
    db: place.database,
    retryStrategy(failures: number): number {
      const next = hostAt(turns);
      turns += 1;
      // The options of a client are read each time it connects.
      if (place.kind === "cluster" && next !== undefined)
        Object.assign(client.options, next, tlsFor(place, next.host));
      return reconnectMs(failures, random);
    },
  };
  let turns = 1;
  const client: Redis = new Redis(options);
  return client;
}

function openCluster(place: RedisPlace, { name, random }: RedisOpening): Cluster {
  const { enableOfflineQueue: _, ...shared } = sharedOptions(place, name);
  return new Cluster([...place.hosts], {
    enableOfflineQueue: false,
    lazyConnect: true,
    // Names stay names: a certificate is for a name, seldom for the address behind it.
    dnsLookup: (address, done) => done(null, address),
    clusterRetryStrategy: (failures) => reconnectMs(failures, random),
    slotsRefreshTimeout: COMMAND_MS,
    redisOptions: shared,
  });
}

function opened<Client extends Redis | Cluster>(
  client: Client,
  opening: RedisOpening,
  place: string,
): OpenedRedis<Client> {
  const { clock, random, name, outages = createRedisOutages(opening.logger, name) } = opening;
  let closed = false;
  let failures = 0;
  outages.watch(client, place);
  const connect = (): void => {
    // Whatever it rejects with was an event before.
    if (!closed) void client.connect().catch(() => {});
  };
  // The client gives up where nothing but a new try can help, such as a name that cannot be resolved.
  client.on("end", () => void clock.after(reconnectMs((failures += 1), random), connect));
  client.on("ready", () => {
    failures = 0;
  });
  connect();
  return {
    client,
    get ready() {
      return client.status === "ready";
    },
    close() {
      closed = true;
      client.disconnect();
    },
  };
}

function placeOf({ url }: RedisOpening): RedisPlace {
  const place = readRedisUrl(url);
  if (typeof place === "string") throw new Error(`the URL of Redis ${place}`);
  return place;
}

/** For commands on keys. All keys of one command or script need one hash tag, since it may be a Cluster. */
export function openRedis(opening: RedisOpening): OpenedRedis {
  const place = placeOf(opening);
  const client =
    place.kind === "cluster" ? openCluster(place, opening) : openOne(place, opening, AT_THE_BEGINNING);
  return opened(client, opening, redisPlaceName(place));
}

/** For publishing, or for subscribing: one connection, on which order is kept. `first` matters for a Cluster alone. */
export function openRedisLine(
  opening: RedisOpening,
  first: FirstHost = AT_THE_BEGINNING,
): OpenedRedis<Redis> {
  const place = placeOf(opening);
  return opened(openOne(place, opening, first), opening, redisPlaceName(place));
}
