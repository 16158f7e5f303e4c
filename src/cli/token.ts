/** `holdline token`: credentials of machines, and user tokens to try things out with. */
import { SignJWT } from "jose";
import { typeProblem } from "../config/formats.ts";
import { createSystemClock } from "../lib/clock.ts";
import { createIds } from "../lib/ids.ts";
import { LIMITS } from "../protocol/limits.ts";
import {
  endOf,
  issueMachineToken,
  type MachineKind,
  type MachineToken,
  type MachineTokenStore,
} from "../sessions/machine-tokens.ts";
import { openStorageBeside } from "../storage.ts";
import type { Config } from "../config.ts";
import { type Action, type Given, runAction } from "./actions.ts";
import { type Command, type Flag, type Host, UsageError } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";
import { table } from "./table.ts";

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const USER_TTL_MS = UNITS_MS.h;
const NAME_CHARS = 64;

/** `30d` in milliseconds; null when it is not given. Throws a UsageError. */
function ttlOf({ ttl }: Given["own"]): number | null {
  if (ttl === undefined) return null;
  const [, count = "", unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(ttl) ?? [];
  if (count === "") throw new UsageError("--ttl needs a number and a unit: 90s, 15m, 12h or 30d.");
  return Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
}

/** Names separated by commas, each of which may end in `*`; null when the flag is not given. */
function namesOf(
  flag: "types" | "rooms",
  { own }: Given,
  isName: (name: string) => boolean,
): readonly string[] | null {
  const text = own[flag];
  if (text === undefined) return null;
  const names = text.split(",").map((name) => name.trim());
  const wrong = names.find((name) => name !== "*" && !isName(name.replace(/\*$/, "")));
  if (wrong === undefined) return names;
  throw new UsageError(`--${flag} needs names separated by commas, * at the end of one for any rest: a,b*`);
}

const typesOf = (given: Given): readonly string[] | null =>
  namesOf("types", given, (name) => typeProblem(name) === null);

const roomsOf = (given: Given): readonly string[] | null =>
  namesOf("rooms", given, (name) => name !== "" && name.length <= LIMITS.roomChars && !name.includes("*"));

/** What a token opens, as scripts read it. */
function scopeOf({ kind, types, rooms }: Pick<MachineToken, "kind" | "types" | "rooms">): object {
  switch (kind) {
    case "worker":
      return { kind, types: types ?? ["*"] };
    case "publish":
      return { kind, rooms: rooms ?? ["*"] };
    case "admin":
      return { kind };
  }
}

interface Shown {
  readonly token: string;
  readonly id: string;
  readonly scope: object;
}

/** The secret alone on stdout, so that a shell can take it; what a person should know of it beside that. */
function show(shown: Shown, note: string, { json, host }: { json: boolean; host: Host }): void {
  if (json) {
    host.out(`${JSON.stringify(shown)}\n`);
    return;
  }
  host.out(`${shown.token}\n`);
  host.err(`${note}\n`);
}

async function withTokens<Result>(
  config: Config,
  use: (store: MachineTokenStore) => Promise<Result>,
): Promise<Result> {
  const storage = await openStorageBeside(config);
  try {
    return await use(storage.machineTokens);
  } finally {
    await storage.stop();
  }
}

function issuing(kind: MachineKind, flags: readonly string[]): Action {
  return {
    takes: null,
    flags: ["name", "ttl", ...flags],
    async run(given, host) {
      const { own, config, json } = given;
      const name = own["name"] ?? kind;
      if (!/^[^\p{Cc}\p{Cf}]+$/u.test(name) || name.length > NAME_CHARS) {
        throw new UsageError(`--name needs 1 to ${NAME_CHARS} printable characters.`);
      }
      const spec = { kind, name, types: typesOf(given), rooms: roomsOf(given), ttlMs: ttlOf(own) };
      const [clock, ids] = [createSystemClock(), createIds()];
      const { secret, token } = await withTokens(config, (store) =>
        issueMachineToken({ store, clock, ids }, spec),
      );
      const end =
        token.expiresAt === null ? "without end" : `until ${new Date(token.expiresAt).toISOString()}`;
      const note = `A token for ${kind}, ${end}. It is not shown again. To revoke it: holdline token revoke ${token.id}`;
      show({ token: secret, id: token.id, scope: scopeOf(token) }, note, { json, host });
    },
  };
}

const user: Action = {
  takes: null,
  flags: ["sub", "types", "rooms", "ttl"],
  async run(given, host) {
    const { own, config, json } = given;
    const { sub } = own;
    if (config.authSecret === null) {
      throw new UsageError(
        "token user signs with HOLDLINE_AUTH_SECRET, which is not set. With a public key or JWKS only the identity provider can sign; in open mode there are no user tokens.",
      );
    }
    if (sub === undefined || sub === "" || sub.length > LIMITS.userIdChars) {
      throw new UsageError(
        `token user needs the user's id, up to ${LIMITS.userIdChars} characters: --sub ID`,
      );
    }
    const ttlMs = ttlOf(own) ?? USER_TTL_MS;
    if (ttlMs > LIMITS.userTokenLifeMs) throw new UsageError("--ttl of a user token is at most 366d.");
    const [types, rooms] = [typesOf(given), roomsOf(given)];
    const scope = { ...(types === null ? {} : { types }), ...(rooms === null ? {} : { rooms }) };
    const id = createIds().any();
    const issuedAt = Math.floor(createSystemClock().wallMs() / 1000);
    const claims = Object.keys(scope).length === 0 ? {} : { holdline: scope };
    const jwt = new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setSubject(sub)
      .setJti(id)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + Math.ceil(ttlMs / 1000));
    if (config.authIssuer !== null) jwt.setIssuer(config.authIssuer);
    if (config.authAudience !== null) jwt.setAudience(config.authAudience);
    const token = await jwt.sign(new TextEncoder().encode(config.authSecret));
    const end = new Date(issuedAt * 1000 + ttlMs).toISOString();
    const note = `A token of the user, until ${end}. To revoke it: holdline sessions revoke --token-id ${id}`;
    show({ token, id, scope: { kind: "user", sub, ...scope } }, note, { json, host });
  },
};

function listed(token: MachineToken, wallMs: number) {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  const { id, name, createdAt, expiresAt, lastUsedAt, revokedAt } = token;
  const times = { expiresAt: time(expiresAt), lastUsedAt: time(lastUsedAt), revokedAt: time(revokedAt) };
  return {
    id,
    name,
    state: endOf(token, wallMs) ?? "active",
    scope: scopeOf(token),
    createdAt: new Date(createdAt).toISOString(),
    ...Object.fromEntries(Object.entries(times).filter(([, at]) => at !== null)),
  };
}

const list: Action = {
  takes: null,
  flags: [],
  async run({ config, json }, host) {
    const tokens = await withTokens(config, (store) => store.list());
    const wallMs = createSystemClock().wallMs();
    if (json) {
      host.out(`${JSON.stringify({ items: tokens.map((token) => listed(token, wallMs)) })}\n`);
      return;
    }
    const day = (at: number | null): string => (at === null ? "-" : new Date(at).toISOString().slice(0, 16));
    const rows = tokens.map((token) => [
      token.id,
      token.kind,
      token.name,
      endOf(token, wallMs) ?? "active",
      day(token.createdAt),
      day(token.expiresAt),
      day(token.lastUsedAt),
      (token.types ?? token.rooms ?? []).join(","),
    ]);
    host.out(table([["ID", "KIND", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED", "ONLY"], ...rows]));
  },
};

const revoke: Action = {
  takes: "ID",
  flags: [],
  async run({ word, config, json }, host) {
    const wallMs = Math.round(createSystemClock().wallMs());
    const token = await withTokens(config, (store) => store.revoke(word, wallMs));
    if (token === null) throw new Error("there is no token of this id: holdline token list");
    host.out(
      json ? `${JSON.stringify(listed(token, wallMs))}\n` : "Revoked: it is refused within a second.\n",
    );
  },
};

const ACTIONS = {
  worker: issuing("worker", ["types"]),
  admin: issuing("admin", []),
  publish: issuing("publish", ["rooms"]),
  user,
  list,
  revoke,
};

const OWN_FLAGS: readonly Flag[] = [
  { name: "name", value: "TEXT", description: "What you call it [its kind]" },
  { name: "types", value: "LIST", description: "worker, user: only these job types: a,b* [all]" },
  { name: "rooms", value: "LIST", description: "publish, user: only these rooms: a,b* [all]" },
  { name: "sub", value: "ID", description: "user: whose token it is" },
  { name: "ttl", value: "TIME", description: "Its life: 90s, 15m, 12h or 30d [without end; user: 1h]" },
];

export const token: Command = {
  usage: "token worker | admin | publish | user | list | revoke ID",
  about: `worker   makes a token for a worker that leases jobs
admin    makes a token for /v1/admin
publish  makes a token for a program that writes to rooms
user     signs a user token with HOLDLINE_AUTH_SECRET, for development
list     shows the tokens of machines; their secrets are not kept
revoke   ends one of them
The token is shown once, alone on stdout. A running server takes and refuses tokens within a second.`,
  words: Object.keys(ACTIONS),
  flags: [...OWN_FLAGS, ...settingsFlags()],
  run: runAction("token", ACTIONS, OWN_FLAGS),
};
