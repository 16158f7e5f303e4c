/** `holdline keys`: the keys that sign session tokens, changed under running servers, which notice by themselves. */
import { existsSync } from "node:fs";
import type { Config } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { makeKey, type KeyStore } from "../sessions/keys/store.ts";
import { openKeyStore } from "../storage.ts";
import { type Action, type Given, runAction } from "./actions.ts";
import type { Command, Host } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";
import { table } from "./table.ts";

/** Throws a sentence for an installation whose keys nobody else can get at. */
function assertReachable({ databaseUrl, dataDir }: Config): void {
  if (databaseUrl === "sqlite::memory:") {
    throw new Error(
      "with a database in memory the keys live as long as the server, and nobody else can get at them",
    );
  }
  if (databaseUrl.startsWith("sqlite:") && !existsSync(dataDir)) {
    throw new Error(
      `there is no data folder at ${dataDir} yet: a server makes it, and the first key, when it starts`,
    );
  }
}

/** What the action does with the keys of the installation. */
function withKeys(run: (store: KeyStore, given: Given, host: Host) => Promise<void>): Action["run"] {
  return async (given, host) => {
    assertReachable(given.config);
    const opened = await openKeyStore(given.config);
    try {
      await run(opened.store, given, host);
    } finally {
      await opened.close();
    }
  };
}

const timeOf = (wallMs: number): string => new Date(wallMs).toISOString();

const list: Action = {
  takes: null,
  flags: [],
  run: withKeys(async (store, { json }, host) => {
    const found = (await store.list()).map(({ kid, createdAt }, index) => {
      return { kid, createdAt: timeOf(createdAt), signs: index === 0 };
    });
    const rows = found.map(({ kid, createdAt, signs }) => [kid, createdAt, signs ? "signs" : "verifies"]);
    host.out(json ? `${JSON.stringify({ items: found })}\n` : table([["KID", "CREATED", "USE"], ...rows]));
  }),
};

const rotate: Action = {
  takes: null,
  flags: [],
  run: withKeys(async (store, { config, json }, host) => {
    const older = (await store.list()).map(({ kid }) => kid);
    const key = await makeKey();
    const createdAt = await store.add(key, createSystemClock().wallMs());
    const { kid } = key;
    // As long as the last token of the older key may live, and may then still resume its session.
    const neededUntil = timeOf(createdAt + config.sessionTokenMs + config.resumeMs);
    if (json) {
      host.out(`${JSON.stringify({ kid, createdAt: timeOf(createdAt), older, neededUntil })}\n`);
      return;
    }
    host.out(`New session tokens are signed with ${kid} within a few seconds.\n`);
    if (older.length === 0) return;
    host.out(
      older.length === 1
        ? "Tokens of the older key stay good until it is removed:\n"
        : "Tokens of the older keys stay good until these are removed:\n",
    );
    // Keys that an earlier version made may begin like an option.
    for (const one of older) host.out(`  holdline keys remove ${one.startsWith("-") ? "-- " : ""}${one}\n`);
    host.out(`Nobody needs ${older.length === 1 ? "it" : "them"} after ${neededUntil}.\n`);
  }),
};

const remove: Action = {
  takes: "KID",
  flags: [],
  run: withKeys(async (store, { word, json }, host) => {
    const outcome = await store.remove(word);
    if (outcome === "unknown") throw new Error("there is no key of this name: holdline keys list");
    if (outcome === "signs")
      throw new Error("this key signs new tokens: holdline keys rotate makes another one first");
    host.out(
      json
        ? `${JSON.stringify({ removed: word })}\n`
        : "Removed: its tokens are refused within a few seconds.\n",
    );
  }),
};

const ACTIONS = { list, rotate, remove };

export const keys: Command = {
  usage: "keys list | rotate | remove KID",
  about: `list    shows the keys that session tokens are signed and verified with
rotate  adds a new key, which signs from now on; tokens of the older ones stay good
remove  removes a key that no longer signs, and with it every token it signed
Running servers notice within a few seconds.`,
  words: Object.keys(ACTIONS),
  flags: settingsFlags(),
  run: runAction("keys", ACTIONS, []),
};
