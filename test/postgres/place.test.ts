/** Who may write to a database as a server: one alone, or several with names of their own; and what the others are told. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { connect } from "../../src/postgres/connection.ts";
import { createServerPlace, DatabaseInUseError } from "../../src/postgres/place.ts";
import { FolderInUseError } from "../../src/sqlite/lock.ts";
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { failureOf } from "../conformance/failure.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";

let server: PostgresServer;
const folders: TemporaryFolder[] = [];
const open: Storage[] = [];
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  for (const storage of open) await storage.stop();
  await server.remove();
  for (const folder of folders) await folder.remove();
});

/** Opens the database as a node of this name, from a folder of its own or the one that is given. */
async function openAs(databaseUrl: string, id: string, several: boolean, dataDir?: string): Promise<Storage> {
  const folder = dataDir === undefined ? await temporaryFolder() : null;
  if (folder !== null) folders.push(folder);
  const storage = await openStorage({
    databaseUrl,
    dataDir: dataDir ?? folder?.path ?? "",
    durability: "process",
    node: { id: () => id, several, clock: createSystemClock() },
  });
  open.push(storage);
  return storage;
}

async function refusalOf(opening: Promise<Storage>): Promise<string> {
  const failure = await failureOf(opening);
  expect(failure).toBeInstanceOf(DatabaseInUseError);
  return failure.message;
}

test("one server alone keeps others out, and says how several could run", async () => {
  const url = await server.database();
  await openAs(url, "one", false);
  const [alone, oneOfMany] = await Promise.all([
    refusalOf(openAs(url, "two", false)),
    refusalOf(openAs(url, "three", true)),
  ]);
  expect(alone).toContain("set HOLDLINE_REDIS_URL");
  expect(oneOfMany).toContain("without HOLDLINE_REDIS_URL");
}, 20_000);

test("several run beside each other, none beside one that wants to be alone, and no two of one name", async () => {
  const url = await server.database();
  const first = await openAs(url, "one", true);
  await openAs(url, "two", true);
  const [alone, namesake] = await Promise.all([
    refusalOf(openAs(url, "three", false)),
    refusalOf(openAs(url, "one", true)),
  ]);
  expect(alone).toContain("another holdline server");
  expect(namesake).toContain("named one");
  expect(namesake).toContain("delete the file node-id");
  await first.stop();
  await openAs(url, "one", true);
}, 30_000);

test("two servers in one data folder, which gives them their name, are impossible", async () => {
  const folder = await temporaryFolder();
  folders.push(folder);
  await openAs(await server.database(), "one", true, folder.path);
  const second = openAs(await server.database(), "one", true, folder.path);
  expect(await failureOf(second)).toBeInstanceOf(FolderInUseError);
});

test("a server takes its own place back though the database does not know yet that its last connection is over", async () => {
  const url = await server.database();
  const place = createServerPlace({ nodeId: "one", several: false });
  const lost = await connect(url);
  await place.take(lost);
  const next = await connect(url);
  await place.take(next);
  expect(await failureOf(lost.unsafe("SELECT 1"))).toBeInstanceOf(Error);
  const stranger = await connect(url);
  const refused = createServerPlace({ nodeId: "two", several: false }).take(stranger);
  expect(await failureOf(refused)).toBeInstanceOf(DatabaseInUseError);
  for (const connection of [lost, next, stranger]) connection.close();
});
