/** One server a folder: a second one is refused and does no harm, and the lock ends with whoever held it. */
import { afterEach, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { join } from "node:path";
import { FolderInUseError, lockFolder } from "../../src/sqlite/lock.ts";
import { migrateStorage, openStorage } from "../../src/storage.ts";
import { drive } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";
import { openThreaded, temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { within } from "../support/wait.ts";

const folders: TemporaryFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

async function newFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  folders.push(folder);
  return folder;
}

describe("a folder that is in use", () => {
  test("is refused to a second server, and the first one goes on unharmed", async () => {
    const folder = await newFolder();
    const first = await openThreaded(folder);
    const on = drive(first.jobs);
    const run = await on.started();
    // More than once: a careless close of the lock file would free it for the second try.
    for (let n = 0; n < 3; n += 1) {
      expect(await failureOf(openThreaded(folder))).toBeInstanceOf(FolderInUseError);
    }
    expect((await failureOf(openThreaded(folder))).message).toContain(
      "another holdline server is using this data folder",
    );
    expect(await on.text(run, "still here")).toBe("ok");
    expect(await on.succeed(run)).toBe("succeeded");
    await first.stop();
  });

  test("is not migrated beside the server either", async () => {
    const folder = await newFolder();
    const storage = await openThreaded(folder);
    const dataDir = join(folder.path, "data");
    const options = {
      databaseUrl: `sqlite:${join(dataDir, "x.db")}`,
      dataDir,
      durability: "process",
    } as const;
    expect(await failureOf(migrateStorage(options))).toBeInstanceOf(FolderInUseError);
    await storage.stop();
    expect((await migrateStorage(options)).length).toBeGreaterThan(0);
    expect(await migrateStorage(options)).toEqual([]);
  });

  test("is free again once the server has stopped, with what it had stored", async () => {
    const folder = await newFolder();
    const first = await openThreaded(folder, "power");
    const id = await drive(first.jobs).submit();
    await first.stop();
    const second = await openThreaded(folder, "power");
    expect(await second.jobs.find(id)).toMatchObject({ status: "queued" });
    await second.stop();
  });

  test("is refused while another process holds it, and free once that was killed", async () => {
    const folder = await newFolder();
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "child.ts"), "hold", folder.path], {
      stderr: "inherit",
    });
    const reader = child.stdout.getReader();
    const { value } = await within("the other process to hold the folder", reader.read());
    expect(new TextDecoder().decode(value)).toBe("held\n");
    expect(await failureOf(openThreaded(folder))).toBeInstanceOf(FolderInUseError);
    child.kill("SIGKILL");
    await within("the other process to end", child.exited);
    const storage = await openThreaded(folder);
    await drive(storage.jobs).submit();
    await storage.stop();
  });
});

describe("the lock", () => {
  test("is of one file: another folder is another lock, and letting go twice harms nobody", async () => {
    const [one, other] = [await newFolder(), await newFolder()];
    const path = join(one.path, "a.lock");
    const unlock = lockFolder(path);
    const unlockOther = lockFolder(join(other.path, "a.lock"));
    expect(() => lockFolder(path)).toThrow(FolderInUseError);
    unlock();
    const again = lockFolder(path);
    unlock();
    expect(() => lockFolder(path)).toThrow(FolderInUseError);
    again();
    unlockOther();
  });

  test("that cannot be taken at all is not said to be held", async () => {
    const folder = await newFolder();
    const path = join(folder.path, "missing", "a.lock");
    expect(() => lockFolder(path)).toThrow();
    expect(() => lockFolder(path)).not.toThrow("another holdline server");
  });
});

describe("opening a storage", () => {
  test("makes the data folder for its owner alone", async () => {
    const folder = await newFolder();
    const storage = await openThreaded(folder);
    expect(statSync(join(folder.path, "data")).mode & 0o777).toBe(0o700);
    await storage.stop();
  });

  test("is undone by its stop: no connection to the file is left, from either side", async () => {
    const folder = await newFolder();
    const storage = await openThreaded(folder);
    const id = await drive(storage.jobs).submit();
    await storage.jobs.find(id);
    await storage.stop();
    const db = new Database(join(folder.path, "data", "holdline.db"));
    // SQLite lets nobody leave the write-ahead log who is not alone with the file.
    expect(db.query("PRAGMA journal_mode = DELETE").get()).toEqual({ journal_mode: "delete" });
    db.close();
  });

  test("knows sqlite: and no other scheme, and frees what it had locked when it fails", async () => {
    const dataDir = join((await newFolder()).path, "data");
    for (const databaseUrl of ["mysql://host/db", "file.db", ""]) {
      expect((await failureOf(openStorage({ databaseUrl, dataDir, durability: "power" }))).message).toContain(
        "has to start with sqlite:",
      );
    }
    const broken = { databaseUrl: `sqlite:${dataDir}`, dataDir, durability: "power" } as const;
    expect((await failureOf(openStorage(broken))).message).toContain("unable to open database file");
    expect((await failureOf(openStorage(broken))).message).toContain("unable to open database file");
  });
});
