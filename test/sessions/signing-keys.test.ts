/** The keys that sign session tokens: rotation under a server that goes on, and what becomes of their tokens. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createIds, type SessionId, type UserId } from "../../src/lib/ids.ts";
import { createLogger } from "../../src/lib/logger.ts";
import {
  addSigningKey,
  createEphemeralKeys,
  listSigningKeys,
  openSigningKeys,
  removeSigningKey,
  type SigningKeys,
} from "../../src/sessions/keys.ts";
import { createSessionTokens } from "../../src/sessions/tokens.ts";
import { failureOf } from "../conformance/failure.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { createManualClock, type ManualClock } from "../telemetry/manual-clock.ts";

/** Longer than a look at the folder counts. */
const LATER_MS = 2000;
/** Longer than an unknown key has to wait for a look. */
const SOON_MS = 200;
const ADA = "ada" as UserId;
const SESSION = { id: "session" as SessionId, userId: ADA, binding: null };

let folder: TemporaryFolder;
let clock: ManualClock;
let said: string[];

beforeEach(async () => {
  folder = await temporaryFolder();
  clock = createManualClock();
  said = [];
});
afterEach(() => folder.remove());

function openKeys(): Promise<SigningKeys> {
  const logger = createLogger({ level: "info", pretty: false, write: (line) => said.push(line) });
  return openSigningKeys({ dataDir: folder.path, clock, logger });
}

const tokensOf = (keys: SigningKeys) =>
  createSessionTokens({ keys, clock, ids: createIds(), issuer: "holdline", lifeMs: 60_000 });

describe("the key files", () => {
  test("begin with one key, made at the first start, for their owner only, and the same at the next", async () => {
    const first = await openKeys();
    const names = await readdir(join(folder.path, "keys"));
    expect(names).toEqual([`${first.current.kid}.json`]);
    const { mode } = await stat(join(folder.path, "keys", names[0] ?? ""));
    expect((mode & 0o777).toString(8)).toBe("600");
    expect((await openKeys()).current.kid).toBe(first.current.kid);
  });

  test("are listed newest first; the newest signs, also after the clock was set back", async () => {
    const first = await addSigningKey(folder.path, 5000);
    const second = await addSigningKey(folder.path, 1000);
    const { mode } = await stat(join(folder.path, "keys", `${second.kid}.json`));
    expect((mode & 0o777).toString(8)).toBe("600");
    expect(listSigningKeys(folder.path)).toEqual([
      { ...second, signs: true },
      { ...first, signs: false },
    ]);
    expect((await openKeys()).current.kid).toBe(second.kid);
  });

  test("lose a key only when another one signs", async () => {
    const first = await addSigningKey(folder.path, 1);
    expect(removeSigningKey(folder.path, first.kid)).toBe("signs");
    expect(removeSigningKey(folder.path, `../keys/${first.kid}`)).toBe("unknown");
    await addSigningKey(folder.path, 2);
    expect(removeSigningKey(folder.path, first.kid)).toBe("removed");
    expect(removeSigningKey(folder.path, first.kid)).toBe("unknown");
  });

  test("that are no keys keep a server from starting, by name, and do not disturb one that runs", async () => {
    const keys = await openKeys();
    const bad = join(folder.path, "keys", "bad.json");
    await Bun.write(bad, '{"kid":"bad"}');
    expect((await failureOf(openKeys())).message).toContain(`${bad} is not a signing key`);
    clock.advance(LATER_MS);
    expect(keys.publicKey(keys.current.kid)).not.toBeNull();
    expect(said.join("\n")).toContain("cannot be read again");
    await rm(bad);
  });
});

describe("a server that runs", () => {
  test("signs with a new key within two seconds, and takes tokens of the older one", async () => {
    const keys = await openKeys();
    const tokens = tokensOf(keys);
    const before = await tokens.issue(SESSION);
    const old = keys.current.kid;
    const added = await addSigningKey(folder.path, clock.wallMs());
    clock.advance(LATER_MS - 1);
    expect(keys.current.kid).toBe(old);
    clock.advance(1);
    expect(keys.current.kid).toBe(added.kid);
    expect((await tokens.read(before.token)).userId).toBe(ADA);
    expect((await tokens.read((await tokens.issue(SESSION)).token)).userId).toBe(ADA);
  });

  test("looks at once when a token names a key that it does not know, and not for each of a flood", async () => {
    const keys = await openKeys();
    const added = await addSigningKey(folder.path, clock.wallMs());
    clock.advance(SOON_MS - 1);
    expect(keys.publicKey(added.kid)).toBeNull();
    clock.advance(1);
    expect(keys.publicKey(added.kid)).not.toBeNull();
    expect(keys.publicKey("nobody's")).toBeNull();
  });

  test("refuses the tokens of a key that was removed, though it had verified them before", async () => {
    const keys = await openKeys();
    const tokens = tokensOf(keys);
    const { token } = await tokens.issue(SESSION);
    await tokens.read(token);
    expect(tokens.remembers(token)).toBe(true);
    const old = keys.current.kid;
    await addSigningKey(folder.path, clock.wallMs());
    clock.advance(LATER_MS);
    expect((await tokens.read(token)).userId).toBe(ADA);
    removeSigningKey(folder.path, old);
    clock.advance(LATER_MS);
    expect((await failureOf(tokens.read(token))).message).toContain("not valid");
    expect(tokens.remembers(token)).toBe(false);
  });

  test("goes on with what it knows when the folder is emptied", async () => {
    const keys = await openKeys();
    const tokens = tokensOf(keys);
    const { token } = await tokens.issue(SESSION);
    await rm(join(folder.path, "keys", `${keys.current.kid}.json`));
    clock.advance(LATER_MS);
    expect((await tokens.read(token)).userId).toBe(ADA);
    expect(said.join("\n")).toContain("cannot be read again");
  });

  test("without a folder has a key of its own", async () => {
    const [one, two] = [await createEphemeralKeys(), await createEphemeralKeys()];
    const { token } = await tokensOf(one).issue(SESSION);
    expect((await tokensOf(one).read(token)).sessionId).toBe(SESSION.id);
    expect((await failureOf(tokensOf(two).read(token))).message).toContain("not valid");
  });
});
