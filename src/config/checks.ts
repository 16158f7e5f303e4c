/** What one value alone cannot tell: settings that contradict each other, and settings of parts that are not there yet. */
import { IN_DATABASE, isLoopback, isOwnDatabase, isRedisUrl } from "./formats.ts";
import { BUILTIN_TYPES } from "./type-tables.ts";
import { variableOf } from "./names.ts";
import { DEFAULT_COOKIE, type SettingKey, type Settings } from "./settings.ts";

/** What is wrong with `key`, as the end of a sentence, and how to put it right. */
export interface Finding {
  readonly key: SettingKey;
  readonly problem: string;
  readonly allowed: string | null;
}

interface Unavailable {
  readonly key: SettingKey;
  /** The values that are refused; without it, any value that differs from the default. */
  readonly when?: (value: Settings[SettingKey]) => boolean;
  /** true: only warned about, because the variable is often set for a whole machine. */
  readonly warned?: true;
  /** What this version takes. */
  readonly allowed: string;
}

const NOT_SET = "not set";

/**
 * Settings that are part of the contract and that this version cannot honour. They are refused, not ignored: a server
 * that silently runs without the authentication it was given would be open. Whoever builds the part deletes its line.
 */
const UNAVAILABLE: readonly Unavailable[] = [{ key: "otlpEndpoint", warned: true, allowed: NOT_SET }];

function isUsed({ key, when }: Unavailable, settings: Settings, defaults: Settings): boolean {
  const value = settings[key];
  if (when !== undefined) return value !== null && when(value);
  return JSON.stringify(value) !== JSON.stringify(defaults[key]);
}

/** Refusals and warnings for what this version does not have. */
export function findUnavailable(
  settings: Settings,
  defaults: Settings,
): { refused: readonly Finding[]; warned: readonly Finding[] } {
  const used = UNAVAILABLE.filter((entry) => isUsed(entry, settings, defaults));
  const finding = ({ key, allowed }: Unavailable): Finding => {
    return { key, problem: "is not available in this version yet", allowed };
  };
  return {
    refused: used.filter((entry) => entry.warned === undefined).map(finding),
    warned: used.filter((entry) => entry.warned === true).map(finding),
  };
}

/** A sentence on how little of a setting this version has; null when it has all of it. */
export function availabilityOf(key: SettingKey): string | null {
  const entry = UNAVAILABLE.find((unavailable) => unavailable.key === key);
  if (entry === undefined) return null;
  return entry.allowed === NOT_SET
    ? "Not available in this version yet."
    : `In this version only ${entry.allowed}.`;
}

export const AUTH_SOURCES = ["authSecret", "authJwksUrl", "authPublicKey"] as const;

/** Open mode: no key of user tokens is configured, so every new session is somebody anonymous. */
export function isOpenMode(settings: Settings): boolean {
  return AUTH_SOURCES.every((key) => settings[key] === null);
}

interface Check {
  /** The keys it looks at: a check is left out when one of them has a problem of its own. */
  readonly reads: readonly SettingKey[];
  readonly find: (settings: Settings) => Finding | null;
}

/** What an operator without a user-token key can do; the key is offered as soon as this version has it. */
function waysOutOfOpenMode(): string {
  const open = `${variableOf("auth")}=open if anyone who reaches it may use it, or a loopback host such as 127.0.0.1`;
  const offersKey = !UNAVAILABLE.some(({ key }) => key === "authSecret");
  return offersKey ? `a key of user tokens (${AUTH_SOURCES.map(variableOf).join(", ")}), ${open}` : open;
}

/** A setting that says something about another one, which is not set. */
function needs(key: SettingKey, other: SettingKey): Check {
  return {
    reads: [key, other],
    find: (settings) =>
      settings[key] === null || settings[other] !== null
        ? null
        : { key, problem: `has no effect without ${variableOf(other)}`, allowed: null },
  };
}

type ListKey = "webhookHosts" | "webhookSecrets" | "webhookNetworks";

/** A list that says something about another one, which is empty. */
function needsEntries(key: ListKey, other: ListKey, lacks: string): Check {
  return {
    reads: [key, other],
    find: (settings) =>
      settings[key].length === 0 || settings[other].length > 0
        ? null
        : { key, problem: `${lacks} ${variableOf(other)}`, allowed: null },
  };
}

/** Where sessions can be, beside the very URL of the database. */
function isSessionsPlace(value: string): boolean {
  return value === IN_DATABASE || isRedisUrl(value);
}

/** A setting about user tokens in a server that has no key to verify one: its operator believes it is not open. */
function needsAuthSource(key: SettingKey, isSet: (settings: Settings) => boolean): Check {
  return {
    reads: [key, ...AUTH_SOURCES],
    find: (settings) => {
      if (!isSet(settings) || !isOpenMode(settings)) return null;
      const names = AUTH_SOURCES.map(variableOf).join(", ");
      return { key, problem: `has no effect without a key of user tokens (${names})`, allowed: null };
    },
  };
}

const CHECKS: readonly Check[] = [
  {
    reads: AUTH_SOURCES,
    find: (settings) => {
      const [first, second, ...more] = AUTH_SOURCES.filter((key) => settings[key] !== null);
      if (first === undefined || second === undefined) return null;
      const names = [first, second, ...more].map(variableOf).join(", ");
      return {
        key: second,
        problem: "is one key of user tokens too many",
        allowed: `exactly one of ${names}`,
      };
    },
  },
  {
    reads: ["auth", ...AUTH_SOURCES],
    find: (settings) =>
      settings.auth === null || isOpenMode(settings)
        ? null
        : {
            key: "auth",
            problem: "contradicts the key of user tokens that is set as well",
            allowed: "one of the two",
          },
  },
  {
    reads: ["host", "auth", ...AUTH_SOURCES],
    find: ({ host, ...settings }) =>
      settings.auth !== null || !isOpenMode({ host, ...settings }) || isLoopback(host)
        ? null
        : {
            key: "host",
            problem: `"${host}" can be reached from other machines, and no key of user tokens is configured`,
            allowed: waysOutOfOpenMode(),
          },
  },
  {
    reads: ["role", "redisUrl"],
    find: ({ role, redisUrl }) =>
      role === "all" || redisUrl !== null
        ? null
        : {
            key: "role",
            problem: `"${role}" leaves the rest to other nodes, and ${variableOf("redisUrl")}, by which nodes find each other, is not set`,
            allowed: `all, or another role together with ${variableOf("redisUrl")}`,
          },
  },
  {
    reads: ["role", "redisUrl", "databaseUrl"],
    find: ({ role, redisUrl, databaseUrl }) =>
      role === "all" || redisUrl === null || !isOwnDatabase(databaseUrl)
        ? null
        : {
            key: "role",
            problem: `"${role}" leaves the rest to other nodes, and a database file of its own is shared with none`,
            allowed: `all, or another role together with ${variableOf("databaseUrl")}=postgres://…`,
          },
  },
  needsAuthSource("authIssuer", ({ authIssuer }) => authIssuer !== null),
  needsAuthSource("authAudience", ({ authAudience }) => authAudience !== null),
  needsAuthSource("authBinding", ({ authBinding }) => authBinding === "strict"),
  needsAuthSource("authCookie", ({ authCookie }) => authCookie !== DEFAULT_COOKIE),
  {
    reads: ["workerTypes"],
    find: ({ workerTypes }) => {
      const taken = workerTypes.find((type) => BUILTIN_TYPES.includes(type));
      return taken === undefined
        ? null
        : { key: "workerTypes", problem: `names ${taken}, which is built in`, allowed: "other names" };
    },
  },
  {
    reads: ["sessionsUrl", "databaseUrl"],
    find: ({ sessionsUrl, databaseUrl }) =>
      sessionsUrl === null || sessionsUrl === databaseUrl || isSessionsPlace(sessionsUrl)
        ? null
        : {
            key: "sessionsUrl",
            problem: `names a database other than ${variableOf("databaseUrl")}, which sessions cannot be kept in`,
            allowed: `${IN_DATABASE}, or a Redis URL`,
          },
  },
  needsEntries("webhookHosts", "webhookSecrets", "cannot be told of without"),
  needsEntries("webhookSecrets", "webhookHosts", "sign nothing without"),
  needsEntries("webhookNetworks", "webhookHosts", "have no effect without"),
  {
    reads: ["processes", "redisUrl"],
    find: ({ processes, redisUrl }) =>
      processes === 1 || redisUrl !== null
        ? null
        : {
            key: "processes",
            problem: `is ${processes}, and several processes tell each other over Redis what happens`,
            allowed: `1, or any number with ${variableOf("redisUrl")}=redis://…`,
          },
  },
  {
    reads: ["processes", "databaseUrl"],
    find: ({ processes, databaseUrl }) =>
      processes === 1 || databaseUrl !== "sqlite::memory:"
        ? null
        : {
            key: "processes",
            problem: `is ${processes}, and a database in memory belongs to one process`,
            allowed: "1, or a database in a file or on a PostgreSQL server",
          },
  },
  needs("chatKey", "chatUrl"),
  needs("chatModel", "chatUrl"),
  needs("speechKey", "speechUrl"),
  needs("speechModel", "speechUrl"),
];

/**
 * What is allowed and seldom meant. Redis beside a file: whoever wants several machines, and forgets the database they
 * share, has servers that do not know of each other.
 */
const DOUBTS: readonly Check[] = [
  {
    reads: ["redisUrl", "databaseUrl", "processes"],
    find: ({ redisUrl, databaseUrl, processes }) =>
      redisUrl === null || processes > 1 || !isOwnDatabase(databaseUrl)
        ? null
        : {
            key: "redisUrl",
            problem: `joins no servers that each have a database file of their own: nodes share a PostgreSQL database (${variableOf("databaseUrl")}=postgres://…), processes of one machine its data folder (${variableOf("processes")})`,
            allowed: null,
          },
  },
];

/** What may be other than its operator believes, and is no reason not to start. */
export function findDoubts(settings: Settings): readonly Finding[] {
  return DOUBTS.flatMap(({ find }) => find(settings) ?? []);
}

/** Every contradiction among settings that are good one by one; `failed` names those that are not. */
export function findContradictions(settings: Settings, failed: ReadonlySet<SettingKey>): readonly Finding[] {
  return CHECKS.filter(({ reads }) => !reads.some((key) => failed.has(key))).flatMap(
    ({ find }) => find(settings) ?? [],
  );
}
