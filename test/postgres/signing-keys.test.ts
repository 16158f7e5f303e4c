/** The keys that sign session tokens, shared by all nodes of a database: made once, rotated together, taken over once. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createIds, type SessionId, type UserId } from "../../src/lib/ids.ts";
import { createLogger } from "../../src/lib/logger.ts";
import type { Refusal } from "../../src/protocol/error.ts";
import { createKeyFolder } from "../../src/sessions/keys/folder.ts";
import { openSigningKeys, type SigningKeys } from "../../src/sessions/keys/keys.ts";
import { makeKey, type KeyStore } from "../../src/sessions/keys/store.ts";
import { createSessionTokens } from "../../src/sessions/tokens.ts";
import { openKeyStore, openStorage } from "../../src/storage.ts";
import type { StorageOptions } from "../../src/storage/contract.ts";
import { openPostgresBeside } from "../../src/storage/postgres.ts";
import { failureOf } from "../conformance/failure.ts";
import { describeKeyStore } from "../conformance/key-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { holdline } from "../cli/holdline.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { until } from "../support/wait.ts";

let server: PostgresServer;
/** With its schema, and nobody on it. */
let databaseUrl: string;
const folders: TemporaryFolder[] = [];
const closing: (() => Promise<void>)[] = [];
beforeAll(async () => {
  server = await startPostgres();
  databaseUrl = await server.database();
  await (await openStorage(await newOptions())).stop();
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  for (const folder of folders.splice(0)) await folder.remove();
  await server.query(databaseUrl, "DELETE FROM signing_keys");
});
afterAll(() => server.remove());

async function newOptions(): Promise<StorageOptions> {
  const folder = await temporaryFolder();
  folders.push(folder);
  return { databaseUrl, dataDir: folder.path, durability: "process" };
}

/** As another node has it: a connection and a data folder of its own. */
async function storeOf(): Promise<KeyStore> {
  const opened = await openKeyStore(await newOptions());
  closing.push(() => opened.close());
  return opened.store;
}

describeKeyStore("signing keys on PostgreSQL", async () => ({
  store: await storeOf(),
  close: () => Promise.resolve(),
}));

const clock = createSystemClock();
const SESSION = { id: "session" as SessionId, userId: "ada" as UserId, binding: null };
const tokensOf = (keys: SigningKeys) =>
  createSessionTokens({ keys, clock, ids: createIds(), issuer: "holdline", lifeMs: 60_000 });
const silent = createLogger({ level: "silent", pretty: false });

describe("nodes that begin at once on an empty table", () => {
  test("have the same key, and each takes the tokens of the other", async () => {
    const stores = await Promise.all(Array.from({ length: 4 }, () => storeOf()));
    const nodes = await Promise.all(stores.map((store) => openSigningKeys({ store, clock, logger: silent })));
    const [one, other] = nodes as [SigningKeys, SigningKeys];
    expect(new Set(nodes.map(({ current }) => current.kid)).size).toBe(1);
    const { token } = await tokensOf(one).issue(SESSION);
    expect((await tokensOf(other).read(token)).userId).toBe(SESSION.userId);
  });
});

describe("a rotation", () => {
  test("takes effect at every node: at once for the tokens of the new key, soon for what is signed", async () => {
    const [store, elsewhere] = [await storeOf(), await storeOf()];
    const manual = createManualClock();
    const one = await openSigningKeys({ store, clock: manual, logger: silent });
    const other = await openSigningKeys({ store: elsewhere, clock: manual, logger: silent });
    const [first, second] = [one.current.kid, await makeKey()];
    const old = await tokensOf(one).issue(SESSION);
    await store.add(second, clock.wallMs());

    // One of them has noticed, and signs with it; the other is shown such a token before it looked.
    one.start();
    other.start();
    manual.advance(1999);
    expect([one.current.kid, other.current.kid]).toEqual([first, first]);
    const ahead = await openSigningKeys({ store, clock: manual, logger: silent });
    const { token } = await tokensOf(ahead).issue(SESSION);
    expect((await tokensOf(other).read(token)).userId).toBe(SESSION.userId);
    expect(other.current.kid).toBe(second.kid);
    manual.advance(1);
    await until("the first node to sign with it", () => one.current.kid === second.kid);
    expect((await tokensOf(other).read(old.token)).userId).toBe(SESSION.userId);

    await elsewhere.remove(first);
    await until("the key to be gone", () => {
      manual.advance(2000);
      return one.publicKey(first) === null && other.publicKey(first) === null;
    });
    expect((await failureOf(tokensOf(one).read(old.token))).message).toContain("not valid");
    one.stop();
    other.stop();
  });

  test("cannot be judged while the database is away: known keys go on, unknown ones are not refused for good", async () => {
    const store = await storeOf();
    const keys = await openSigningKeys({ store, clock, logger: silent });
    const { token } = await tokensOf(keys).issue(SESSION);
    const unknown = [{ ...(await makeKey()), createdAt: 1 }];
    const stranger = { ...store, list: async () => unknown };
    const foreign = await tokensOf(await openSigningKeys({ store: stranger, clock, logger: silent })).issue(
      SESSION,
    );
    const refusal = async () => (await failureOf(tokensOf(keys).read(foreign.token))) as Refusal;
    expect((await refusal()).code).toBe("unauthenticated");
    await server.halt();
    await until("a look", async () => (await refusal()).code === "storage_unavailable");
    expect((await tokensOf(keys).read(token)).userId).toBe(SESSION.userId);
    await server.resume();
    await until("the database to answer", async () => (await refusal()).code === "unauthenticated");
    expect((await tokensOf(keys).read(token)).userId).toBe(SESSION.userId);
  });
});

describe("the keys in the folder of an earlier version", () => {
  test("are taken over once, and one that is removed later does not come back", async () => {
    const options = await newOptions();
    const folder = createKeyFolder(options.dataDir);
    const [first, second] = [await makeKey(), await makeKey()];
    await folder.begin(first, 1000);
    await folder.add(second, 2000);
    const start = async (): Promise<void> => (await openStorage(options)).stop();
    await start();
    const store = await storeOf();
    expect((await store.list()).map(({ kid, createdAt }) => [kid, createdAt])).toEqual([
      [second.kid, 2000],
      [first.kid, 1000],
    ]);
    expect(await readdir(options.dataDir)).not.toContain("keys");
    expect(await readdir(join(options.dataDir, "keys-in-the-database"))).toHaveLength(2);
    expect(await store.remove(first.kid)).toBe("removed");
    await start();
    expect((await store.list()).map(({ kid }) => kid)).toEqual([second.kid]);
  });

  test("stay good when another node was first, which signs with a key of its own", async () => {
    const fresh = await openPostgresBeside(await newOptions());
    closing.push(() => fresh.stop());
    await fresh.signingKeys.begin(await makeKey(), 5000);
    const options = await newOptions();
    const old = await makeKey();
    await createKeyFolder(options.dataDir).begin(old, 1000);
    await (await openStorage(options)).stop();
    const kids = (await fresh.signingKeys.list()).map(({ kid }) => kid);
    expect(kids).toHaveLength(2);
    expect(kids[1]).toBe(old.kid);
  });
});

test("holdline keys lists, rotates and removes in the database, from any machine", async () => {
  const { dataDir } = await newOptions();
  const run = (...argv: string[]) =>
    holdline(["keys", ...argv, "--data-dir", join(dataDir, "not-there"), "--database-url", databaseUrl]);
  const first = JSON.parse((await run("rotate", "--json")).out) as { kid: string };
  const second = JSON.parse((await run("rotate", "--json")).out) as { kid: string; older: string[] };
  expect(second.older).toEqual([first.kid]);
  expect((await run("remove", second.kid)).err).toContain("holdline keys rotate makes another one first");
  expect((await run("remove", first.kid)).code).toBe(0);
  const listed = JSON.parse((await run("list", "--json")).out) as {
    items: { kid: string; signs: boolean }[];
  };
  expect(listed.items.map(({ kid, signs }) => ({ kid, signs }))).toEqual([{ kid: second.kid, signs: true }]);
});
