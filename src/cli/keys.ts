/** `holdline keys`: the keys that sign session tokens, changed under a running server, which notices by itself. */
import { existsSync } from "node:fs";
import type { Config } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { addSigningKey, listSigningKeys, removeSigningKey } from "../sessions/keys.ts";
import { type Action, runAction } from "./actions.ts";
import type { Command } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";
import { table } from "./table.ts";

/** The folder of an installation that keeps its keys in files. Throws a sentence otherwise. */
function keyFolder({ databaseUrl, dataDir }: Config): string {
  if (databaseUrl === "sqlite::memory:") {
    throw new Error(
      "with a database in memory the keys live as long as the server, and there are no files of them",
    );
  }
  if (!existsSync(dataDir)) {
    throw new Error(
      `there is no data folder at ${dataDir} yet: a server makes it, and the first key, when it starts`,
    );
  }
  return dataDir;
}

const timeOf = (wallMs: number): string => new Date(wallMs).toISOString();

const list: Action = {
  takes: null,
  flags: [],
  run({ config, json }, host) {
    const found = listSigningKeys(keyFolder(config)).map(({ kid, createdAt, signs }) => {
      return { kid, createdAt: timeOf(createdAt), signs };
    });
    const rows = found.map(({ kid, createdAt, signs }) => [kid, createdAt, signs ? "signs" : "verifies"]);
    host.out(json ? `${JSON.stringify({ items: found })}\n` : table([["KID", "CREATED", "USE"], ...rows]));
  },
};

const rotate: Action = {
  takes: null,
  flags: [],
  async run({ config, json }, host) {
    const dataDir = keyFolder(config);
    const older = listSigningKeys(dataDir).map(({ kid }) => kid);
    const { kid, createdAt } = await addSigningKey(dataDir, createSystemClock().wallMs());
    // As long as the last token of the older key may live, and may then still resume its session.
    const neededUntil = timeOf(createdAt + config.sessionTokenMs + config.resumeMs);
    if (json) {
      host.out(`${JSON.stringify({ kid, createdAt: timeOf(createdAt), older, neededUntil })}\n`);
      return;
    }
    host.out(`New session tokens are signed with ${kid} within a few seconds.\n`);
    if (older.length === 0) return;
    host.out(`Tokens of the older ${older.length === 1 ? "key" : "keys"} stay good until it is removed:\n`);
    for (const one of older) host.out(`  holdline keys remove ${one}\n`);
    host.out(`Nobody needs ${older.length === 1 ? "it" : "them"} after ${neededUntil}.\n`);
  },
};

const remove: Action = {
  takes: "KID",
  flags: [],
  run({ word, config, json }, host) {
    const outcome = removeSigningKey(keyFolder(config), word);
    if (outcome === "unknown") throw new Error("there is no key of this name: holdline keys list");
    if (outcome === "signs")
      throw new Error("this key signs new tokens: holdline keys rotate makes another one first");
    host.out(
      json
        ? `${JSON.stringify({ removed: word })}\n`
        : "Removed: its tokens are refused within a few seconds.\n",
    );
  },
};

const ACTIONS = { list, rotate, remove };

export const keys: Command = {
  usage: "keys list | rotate | remove KID",
  about: `list    shows the keys that session tokens are signed and verified with
rotate  adds a new key, which signs from now on; tokens of the older ones stay good
remove  removes a key that no longer signs, and with it every token it signed
A running server notices within a few seconds.`,
  words: Object.keys(ACTIONS),
  flags: settingsFlags(),
  run: runAction("keys", ACTIONS, []),
};
