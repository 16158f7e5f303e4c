/** `holdline sessions`: who is there, and putting an end to it, beside a running server or without one. */
import type { SessionId, UserId } from "../lib/ids.ts";
import type { RevocationBody } from "../protocol/admin.ts";
import { type Action, type Given, PAGE_FLAGS, readPage, runAction } from "./actions.ts";
import { type Command, type Flag, UsageError } from "./command.ts";
import { URL_FLAG, withReads, withWrites } from "./operate.ts";
import { settingsFlags } from "./settings-flags.ts";
import { table } from "./table.ts";

const list: Action = {
  takes: null,
  flags: ["user", "limit", "cursor"],
  async run({ own, config, json }, host) {
    const { before, limit } = readPage(own);
    const userId = (own["user"] ?? null) as UserId | null;
    const query = { userId, before: before as SessionId | null, limit };
    const page = await withReads(config, (reads) => reads.sessions(query));
    if (json) {
      host.out(`${JSON.stringify(page)}\n`);
      return;
    }
    const rows = page.items.map((one) => [one.id, one.presence, one.lastSeenAt, one.nodeId, one.userId]);
    host.out(table([["ID", "PRESENCE", "LAST SEEN", "NODE", "USER"], ...rows]));
    if (page.next !== null) host.out(`There are more: --cursor ${page.next}\n`);
  },
};

/** The one thing that is to be revoked. */
function targetOf({ word, own }: Given): RevocationBody {
  const { user, "token-id": tokenId, before } = own;
  const named = [word === "" ? undefined : word, user, tokenId].filter((one) => one !== undefined);
  if (named.length !== 1) {
    throw new UsageError("sessions revoke needs exactly one of an id, --user and --token-id.");
  }
  if (before !== undefined && user === undefined) throw new UsageError("--before goes with --user.");
  if (before !== undefined && Number.isNaN(Date.parse(before))) {
    throw new UsageError("--before needs a time such as 2026-01-31T12:00:00Z.");
  }
  if (tokenId !== undefined) return { tokenId };
  if (user === undefined) return { sessionId: word };
  return { userId: user, ...(before === undefined ? {} : { before: new Date(before).toISOString() }) };
}

const revoke: Action = {
  takes: "[ID]",
  flags: ["user", "token-id", "before", "url"],
  async run(given, host) {
    const body = targetOf(given);
    await withWrites({ config: given.config, url: given.own["url"] }, (writes) => writes.revoke(body));
    host.out(given.json ? `${JSON.stringify({ revoked: body })}\n` : "Revoked.\n");
  },
};

const ACTIONS = { list, revoke };

const OWN_FLAGS: readonly Flag[] = [
  {
    name: "user",
    value: "ID",
    description: "list: only sessions of this user; revoke: everything of this user",
  },
  { name: "token-id", value: "ID", description: "revoke: one user token, by its jti" },
  { name: "before", value: "TIME", description: "revoke --user: only what was issued until then [now]" },
  ...PAGE_FLAGS,
  URL_FLAG,
];

export const sessions: Command = {
  usage: "sessions list | revoke [ID]",
  about: `list    shows the sessions of all users that are not over, newest first
revoke  ends one session, everything of a user (--user), or one user token (--token-id): sockets
        are closed, tokens are refused from now on, and jobs that asked for it are canceled
What is shown comes from where sessions are kept: the database, or Redis. Changes go through the
running server, or there directly when none runs.`,
  words: Object.keys(ACTIONS),
  flags: [...OWN_FLAGS, ...settingsFlags()],
  run: runAction("sessions", ACTIONS, OWN_FLAGS),
};
