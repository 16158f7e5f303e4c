/** Reads the URL of a Redis installation: one server, a Sentinel set or a Cluster, with or without TLS. */

export interface RedisHost {
  /** A name or an address; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

export interface RedisCredentials {
  /** null: Redis' own `default` user. */
  readonly user: string | null;
  readonly password: string;
}

export interface RedisPlace {
  readonly kind: "standalone" | "sentinel" | "cluster";
  readonly tls: boolean;
  /** Where to begin: the server, the Sentinels, or nodes of the Cluster. At least one. */
  readonly hosts: readonly RedisHost[];
  /** Of the servers that hold data. */
  readonly credentials: RedisCredentials | null;
  /** Of the Sentinels themselves, where they ask for some. */
  readonly sentinelCredentials: RedisCredentials | null;
  /** The name under which Sentinels watch the master; null unless `kind` is sentinel. */
  readonly master: string | null;
  /** Number of the database; a Cluster has only 0. */
  readonly database: number;
}

const FORM = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:(.*)@)?([^@/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/is;
const PORTS = { standalone: 6379, sentinel: 26_379, cluster: 6379 } as const;
const SENTINEL_OPTIONS: ReadonlySet<string> = new Set(["sentinelUser", "sentinelPassword"]);

/** `%40` → `@`; null when it is no percent-encoding. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function readCredentials(text: string | undefined): RedisCredentials | null | string {
  if (text === undefined) return null;
  const [, user, password] = /^([^:/?#@]*):([^/?#@]+)$/.exec(text) ?? [];
  const [decodedUser, decodedPassword] = [decoded(user ?? ""), decoded(password ?? "")];
  if (password === undefined || decodedUser === null || decodedPassword === null)
    return "needs user:password or :password in front of the @, with / ? # @ : % percent-encoded";
  return { user: decodedUser === "" ? null : decodedUser, password: decodedPassword };
}

function readHost(text: string, defaultPort: number): RedisHost | string {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return "names no host, or one that is not host:port";
  const number = port === undefined ? defaultPort : Number(port);
  return number >= 1 && number <= 65_535 ? { host, port: number } : `has the port ${number}`;
}

function readHosts(text: string, defaultPort: number): readonly RedisHost[] | string {
  const hosts: RedisHost[] = [];
  for (const part of text.split(",")) {
    const host = readHost(part, defaultPort);
    if (typeof host === "string") return host;
    hosts.push(host);
  }
  return hosts;
}

/** `/3` of one server, `/master` or `/master/3` of a Sentinel set, nothing of a Cluster. */
function readPath(kind: RedisPlace["kind"], path: string): Pick<RedisPlace, "master" | "database"> | string {
  const parts = path.split("/").filter((part) => part !== "");
  const master = kind === "sentinel" ? decoded(parts.shift() ?? "") : null;
  if (master === "") return "does not say which master its Sentinels watch: …/mastername";
  const [number = "0", ...rest] = parts;
  if (rest.length > 0 || !/^\d{1,4}$/.test(number)) return "has a path that is not the number of a database";
  if (kind === "cluster" && Number(number) !== 0) return "names a database, and a Cluster has only number 0";
  return { master, database: Number(number) };
}

function readSentinelCredentials(
  kind: RedisPlace["kind"],
  query: string | undefined,
): RedisCredentials | null | string {
  const options = new URLSearchParams(query ?? "");
  const unknown = [...options.keys()].some((name) => !SENTINEL_OPTIONS.has(name));
  if (unknown || (kind !== "sentinel" && options.size > 0)) return "has an option that is not known here";
  const password = options.get("sentinelPassword");
  if (password === null || password === "") return options.size === 0 ? null : "needs a sentinelPassword";
  return { user: options.get("sentinelUser"), password };
}

/**
 * What a URL of one of these forms means; a string says what is wrong with it, without any part that may be secret.
 * `redis://[user:password@]host[:port][/database]`,
 * `redis+sentinel://[user:password@]host[:port],…/master[/database][?sentinelUser=…&sentinelPassword=…]`,
 * `redis+cluster://[user:password@]host[:port],…`; with `rediss` in place of `redis`, over TLS.
 */
export function readRedisUrl(url: string): RedisPlace | string {
  const [, scheme, set, user, authority = "", path = "", query] = FORM.exec(url) ?? [];
  if (scheme === undefined) {
    const other = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1];
    return other === undefined || /^rediss?(?:\+(?:sentinel|cluster))?$/i.test(other)
      ? "is not a URL of Redis"
      : `has the scheme ${other.toLowerCase()}`;
  }
  const kind = (set?.toLowerCase() ?? "standalone") as RedisPlace["kind"];
  const credentials = readCredentials(user);
  if (typeof credentials === "string") return credentials;
  const hosts = readHosts(authority, PORTS[kind]);
  if (typeof hosts === "string") return hosts;
  if (kind === "standalone" && hosts.length > 1)
    return "names several servers: a Sentinel set is redis+sentinel://…, a Cluster redis+cluster://…";
  const at = readPath(kind, path);
  if (typeof at === "string") return at;
  const sentinelCredentials = readSentinelCredentials(kind, query);
  if (typeof sentinelCredentials === "string") return sentinelCredentials;
  return { kind, tls: scheme.toLowerCase() === "rediss", hosts, credentials, sentinelCredentials, ...at };
}

/** The place in words, without anything secret: `cache:6379`, `Cluster 10.0.0.1:7000, 10.0.0.2:7000`. */
export function redisPlaceName({ kind, hosts, master }: RedisPlace): string {
  const list = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(", ");
  if (kind === "standalone") return list;
  return kind === "cluster" ? `Cluster ${list}` : `${master} of the Sentinels ${list}`;
}
