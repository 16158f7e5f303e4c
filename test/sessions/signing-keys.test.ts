/** The keys that sign session tokens: rotation under a server that goes on, and what becomes of their tokens. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createIds, type SessionId, type UserId } from "../../src/lib/ids.ts";
import { createLogger } from "../../src/lib/logger.ts";
import { createKeyFolder } from "../../src/sessions/keys/folder.ts";
import { openSigningKeys, type SigningKeys } from "../../src/sessions/keys/keys.ts";
import { createMemoryKeyStore } from "../../src/sessions/keys/memory.ts";
import { makeKey, type KeyStore } from "../../src/sessions/keys/store.ts";
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
let store: KeyStore;
/** Those that look until the test is over. */
let opened: SigningKeys[];

beforeEach(async () => {
  folder = await temporaryFolder();
  clock = createManualClock();
  said = [];
  opened = [];
  store = createKeyFolder(folder.path);
});
afterEach(async () => {
  for (const keys of opened) keys.stop();
  await folder.remove();
});

async function openKeys(kept: KeyStore = store): Promise<SigningKeys> {
  const logger = createLogger({ level: "info", pretty: false, write: (line) => said.push(line) });
  const keys = await openSigningKeys({ store: kept, clock, logger });
  keys.start();
  opened.push(keys);
  return keys;
}

async function addKey(): Promise<{ readonly kid: string }> {
  const key = await makeKey();
  await store.add(key, clock.wallMs());
  return key;
}

/** Lets time pass, and what it brings: a look at the folder takes a few turns of the loop. */
async function advance(byMs: number): Promise<void> {
  clock.advance(byMs);
  await new Promise((resolve) => setImmediate(resolve));
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

  test("are for their owner only, also those that are added later", async () => {
    await openKeys();
    const { kid } = await addKey();
    const { mode } = await stat(join(folder.path, "keys", `${kid}.json`));
    expect((mode & 0o777).toString(8)).toBe("600");
    expect((await openKeys()).current.kid).toBe(kid);
  });

  test("that are no keys keep a server from starting, by name, and do not disturb one that runs", async () => {
    const keys = await openKeys();
    const bad = join(folder.path, "keys", "bad.json");
    await Bun.write(bad, '{"kid":"bad"}');
    expect((await failureOf(openKeys())).message).toContain(`${bad} is not a signing key`);
    await advance(LATER_MS);
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
    const added = await addKey();
    await advance(LATER_MS - 1);
    expect(keys.current.kid).toBe(old);
    await advance(1);
    expect(keys.current.kid).toBe(added.kid);
    expect((await tokens.read(before.token)).userId).toBe(ADA);
    expect((await tokens.read((await tokens.issue(SESSION)).token)).userId).toBe(ADA);
  });

  test("looks at once when a token names a key that it does not know, and once for all of a flood", async () => {
    let looks = 0;
    const counted = { ...store, list: () => ((looks += 1), store.list()) };
    const keys = await openKeys(counted);
    const added = await addKey();
    expect(keys.publicKey(added.kid)).toBeNull();
    const before = looks;
    await advance(SOON_MS - 1);
    expect(await keys.lookFor(added.kid)).toBeNull();
    expect(looks).toBe(before);
    await advance(1);
    const flood = Array.from({ length: 50 }, () => keys.lookFor("nobody's"));
    expect((await keys.lookFor(added.kid))?.kty).toBe("OKP");
    expect(await Promise.all(flood)).toEqual(flood.map(() => null));
    expect(looks).toBe(before + 1);
    expect(keys.current.kid).toBe(added.kid);
  });

  test("looks no more when it has stopped", async () => {
    let looks = 0;
    const keys = await openKeys({ ...store, list: () => ((looks += 1), store.list()) });
    const before = looks;
    await advance(LATER_MS);
    expect(looks).toBe(before + 1);
    keys.stop();
    await advance(2 * LATER_MS);
    expect(looks).toBe(before + 1);
  });

  test("refuses the tokens of a key that was removed, though it had verified them before", async () => {
    const keys = await openKeys();
    const tokens = tokensOf(keys);
    const { token } = await tokens.issue(SESSION);
    await tokens.read(token);
    expect(tokens.remembers(token)).toBe(true);
    const old = keys.current.kid;
    await addKey();
    await advance(LATER_MS);
    expect((await tokens.read(token)).userId).toBe(ADA);
    expect(await store.remove(old)).toBe("removed");
    await advance(LATER_MS);
    expect((await failureOf(tokens.read(token))).message).toContain("not valid");
    expect(tokens.remembers(token)).toBe(false);
  });

  test("goes on with what it knows when the folder is emptied", async () => {
    const keys = await openKeys();
    const tokens = tokensOf(keys);
    const { token } = await tokens.issue(SESSION);
    await rm(join(folder.path, "keys", `${keys.current.kid}.json`));
    await advance(LATER_MS);
    expect((await tokens.read(token)).userId).toBe(ADA);
    expect(said.join("\n")).toContain("cannot be read again");
  });

  test("without a folder has a key of its own", async () => {
    const [one, two] = [await openKeys(createMemoryKeyStore()), await openKeys(createMemoryKeyStore())];
    const { token } = await tokensOf(one).issue(SESSION);
    expect((await tokensOf(one).read(token)).sessionId).toBe(SESSION.id);
    expect((await failureOf(tokensOf(two).read(token))).message).toContain("not valid");
  });
});
