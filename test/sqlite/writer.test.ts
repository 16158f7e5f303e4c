/** The one writer: batches are one transaction, a bad command harms nobody else, and a lost commit stops everything. */
import { describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { Refusal } from "../../src/protocol/error.ts";
import { createWriter, type WriteRequest, type WriteResult } from "../../src/database/writer.ts";
import { CommitFailed, commitBatch, createInlineWriter, type Participant } from "../../src/sqlite/writer.ts";
import { drive, nextJobId } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";
import { openInMemory, openThreaded, temporaryFolder } from "../conformance/storages.ts";

/** What a command of these tests says is done: `fail` throws, the rest is stored in one column. */
function notes(db: Database): Participant & { rollbacks: number } {
  const participant = {
    rollbacks: 0,
    execute(command: unknown) {
      db.run("INSERT INTO notes VALUES (?)", [String(command)]);
      if (command === "fail") throw new TypeError("a defect");
      if (command === "full") throw Object.assign(new Error("disk full"), { code: "SQLITE_FULL" });
      return `stored ${String(command)}`;
    },
    rolledBack() {
      participant.rollbacks += 1;
    },
  };
  return participant;
}

function open(path = ":memory:"): {
  db: Database;
  participant: ReturnType<typeof notes>;
  stored: () => string[];
} {
  const db = new Database(path);
  db.run("CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL UNIQUE) STRICT");
  const stored = (): string[] =>
    db
      .query<{ text: string }, []>("SELECT text FROM notes ORDER BY rowid")
      .all()
      .map(({ text }) => text);
  return { db, participant: notes(db), stored };
}

const requests = (...commands: string[]): WriteRequest[] =>
  commands.map((command) => ({ to: "notes", command }));

/** A database that counts what it is told, and refuses one statement. */
function refusing(statement: string): { db: Database; said: string[] } {
  const said: string[] = [];
  const db = {
    inTransaction: false,
    run(text: string) {
      said.push(text);
      if (text === statement) throw Object.assign(new Error(`no ${text}`), { code: "SQLITE_IOERR" });
    },
  } as unknown as Database;
  return { db, said };
}

const quiet: Participant = { execute: (command) => command, rolledBack: () => {} };

describe("a batch", () => {
  test("is one transaction, answered in order", () => {
    const { db, said } = refusing("nothing");
    const results = commitBatch(db, { notes: quiet }, requests("a", "b"));
    expect(results).toEqual([
      { ok: true, value: "a" },
      { ok: true, value: "b" },
    ]);
    expect(said).toEqual(["BEGIN IMMEDIATE", "COMMIT"]);
  });

  test("with a command that throws stores all the others, in order", () => {
    const { db, participant, stored } = open();
    const results = commitBatch(db, { notes: participant }, requests("a", "fail", "b"));
    expect(results).toEqual([
      { ok: true, value: "stored a" },
      { ok: false, why: "defect", message: "TypeError: a defect" },
      { ok: true, value: "stored b" },
    ]);
    expect(stored()).toEqual(["a", "b"]);
    // Once for the batch, once for the bad one on its own.
    expect(participant.rollbacks).toBe(2);
    expect(db.inTransaction).toBe(false);
  });

  test("tells a storage that refuses from a defect", () => {
    const { db, participant } = open();
    const results = commitBatch(db, { notes: participant }, requests("a", "full", "a"));
    expect(results.map((result) => (result.ok ? "ok" : result.why))).toEqual(["ok", "full", "defect"]);
    const unknown = commitBatch(db, {}, requests("a"));
    expect(unknown).toMatchObject([{ ok: false, why: "defect" }]);
  });

  test("that cannot begin does nothing, and says that the storage is to blame", async () => {
    const folder = await temporaryFolder();
    const path = join(folder.path, "notes.db");
    const { db, participant, stored } = open(path);
    const other = new Database(path);
    other.run("BEGIN EXCLUSIVE");
    const refused = commitBatch(db, { notes: participant }, requests("a", "b"));
    expect(refused).toMatchObject([
      { ok: false, why: "locked" },
      { ok: false, why: "locked" },
    ]);
    other.run("ROLLBACK");
    expect(stored()).toEqual([]);
    expect(commitBatch(db, { notes: participant }, requests("a"))).toMatchObject([{ ok: true }]);
    db.close();
    other.close();
    await folder.remove();
  });

  test.each(["SQLITE_FULL", "SQLITE_BUSY"])(
    "whose commit meets %s is undone, and tried one by one",
    (code) => {
      const { db, participant, stored } = open();
      let failing = 1;
      const run = db.run.bind(db);
      db.run = (...given: Parameters<typeof run>) => {
        if (given[0] === "COMMIT" && failing > 0) {
          failing -= 1;
          throw Object.assign(new Error("no room"), { code });
        }
        return run(...given);
      };
      expect(commitBatch(db, { notes: participant }, requests("a", "b"))).toMatchObject([
        { ok: true },
        { ok: true },
      ]);
      expect(stored()).toEqual(["a", "b"]);
      expect(participant.rollbacks).toBe(1);
    },
  );

  test("that finds the database damaged is the last one, and says what to do", () => {
    const damaged: Participant = {
      execute: () => {
        throw Object.assign(new Error("malformed"), { code: "SQLITE_CORRUPT_INDEX" });
      },
      rolledBack: () => {},
    };
    expect(() => commitBatch(new Database(":memory:"), { notes: damaged }, requests("a", "b"))).toThrow(
      /the database is damaged \(malformed\).*restore a backup/,
    );
  });

  test("whose commit fails has no known outcome", () => {
    const { db } = refusing("COMMIT");
    expect(() => commitBatch(db, { notes: quiet }, requests("a"))).toThrow(CommitFailed);
  });
});

describe("the writer", () => {
  test("answers each command with its own result, and each failure with its reason", async () => {
    const { db, participant, stored } = open();
    const writer = createInlineWriter(db, { notes: participant });
    const writes = ["a", "fail", "full", "b"].map((command) => writer.write("notes", command));
    const [first, defect, full, last] = await Promise.allSettled(writes);
    expect([first, last]).toEqual([
      { status: "fulfilled", value: "stored a" },
      { status: "fulfilled", value: "stored b" },
    ]);
    expect(String((defect as PromiseRejectedResult).reason)).toContain("refused a command: TypeError");
    const refusal = (full as PromiseRejectedResult).reason as Refusal;
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({ code: "storage_unavailable" });
    expect(refusal.message).not.toContain("disk full");
    expect(stored()).toEqual(["a", "b"]);
  });

  test("gives a patient command again until the storage takes it, and the others up", async () => {
    const asked: string[][] = [];
    let refusals = 3;
    const writer = createWriter(
      (given) => {
        asked.push(given.map(({ command }) => String(command)));
        refusals -= 1;
        const refused: WriteResult = { ok: false, why: "full", message: "full" };
        return Promise.resolve(
          given.map(({ command }): WriteResult => (refusals < 0 ? { ok: true, value: command } : refused)),
        );
      },
      () => Promise.resolve(),
    );
    const batches: unknown[] = [];
    writer.onBatch(({ tookMs: _tookMs, ...batch }) => batches.push(batch));
    const patient = writer.write("notes", "patient", { patient: true });
    expect(await failureOf(writer.write("notes", "hasty"))).toMatchObject({
      code: "storage_unavailable",
      message: "The storage did not take the write. Nothing was stored.",
    });
    expect(await patient).toBe("patient");
    expect(asked).toEqual([["patient", "hasty"], ["patient"], ["patient"], ["patient"]]);
    expect(batches).toEqual([
      { commands: 2, refused: 2, full: true },
      { commands: 1, refused: 1, full: true },
      { commands: 1, refused: 1, full: true },
      { commands: 1, refused: 0, full: false },
    ]);
  });

  test("waits no longer for a storage when it is told to stop", async () => {
    const refused: WriteResult = { ok: false, why: "locked", message: "locked" };
    const writer = createWriter(
      (given) => Promise.resolve(given.map(() => refused)),
      () => Promise.resolve(),
    );
    const patient = writer.write("notes", "a", { patient: true });
    await writer.stop();
    expect(await failureOf(patient)).toMatchObject({ code: "storage_unavailable" });
  });

  test("tells of every commit, in order, before the promises resolve", async () => {
    const { db, participant } = open();
    const writer = createInlineWriter(db, { notes: participant });
    const told: unknown[] = [];
    writer.onCommitted((given, results) =>
      told.push(given.map(({ command }, index) => [command, results[index]?.ok])),
    );
    const write = writer.write("notes", "a").then(() => told.push("resolved"));
    await Promise.allSettled([write, writer.write("notes", "fail")]);
    await writer.write("notes", "b");
    expect(told).toEqual([
      [
        ["a", true],
        ["fail", false],
      ],
      "resolved",
      [["b", true]],
    ]);
  });

  test("gathers while a commit is under way, and commits no more than 2,000 at once", async () => {
    const batches: number[] = [];
    const gates: (() => void)[] = [];
    const writer = createWriter(
      async (given) => {
        batches.push(given.length);
        await new Promise<void>((resolve) => {
          gates.push(resolve);
        });
        return given.map(({ command }): WriteResult => ({ ok: true, value: command }));
      },
      () => Promise.resolve(),
    );
    const passGate = async (): Promise<void> => {
      while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve));
      gates.shift()?.();
    };
    const first = writer.write("notes", 0);
    while (batches.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const rest = Array.from({ length: 2500 }, (_none, n) => writer.write("notes", n + 1));
    for (let n = 0; n < 3; n += 1) await passGate();
    const answers: unknown[] = await Promise.all([first, ...rest]);
    expect(answers).toEqual(Array.from({ length: 2501 }, (_none, n) => n));
    expect(batches).toEqual([1, 2000, 500]);
  });

  test("after a commit of unknown outcome writes nothing more, and says so once", async () => {
    const { db, said } = refusing("COMMIT");
    const writer = createInlineWriter(db, { notes: quiet });
    let told = 0;
    writer.onCommitted(() => {
      told += 1;
    });
    const failures = await Promise.all([
      failureOf(writer.write("notes", "a")),
      failureOf(writer.write("notes", "b")),
    ]);
    for (const failure of failures) expect(failure).toMatchObject({ code: "storage_unavailable" });
    expect(await writer.failed).toBeInstanceOf(CommitFailed);
    const sofar = said.length;
    expect(await failureOf(writer.write("notes", "c"))).toMatchObject({ code: "storage_unavailable" });
    expect(said.length).toBe(sofar);
    expect(told).toBe(0);
  });

  test("goes on after a storage that refused: nothing of that was unknown", async () => {
    const { db, participant, stored } = open();
    const writer = createInlineWriter(db, { notes: participant });
    await failureOf(writer.write("notes", "full"));
    expect(await writer.write("notes", "a")).toBe("stored a");
    expect(stored()).toEqual(["a"]);
  });

  test("commits what it was given before it stops", async () => {
    const { db, participant, stored } = open();
    const order: string[] = [];
    const writer = createWriter(
      async (given) => commitBatch(db, { notes: participant }, given),
      async () => {
        order.push(`end with ${stored().length}`);
      },
    );
    const writes = ["a", "b", "c"].map((command) => writer.write("notes", command));
    await writer.stop();
    expect(order).toEqual(["end with 3"]);
    expect(await Promise.all(writes)).toHaveLength(3);
  });
});

describe("a job store behind the writer", () => {
  test.each(["in place", "in a thread"])(
    "%s keeps its counts when a batch had to be undone",
    async (where) => {
      const folder = await temporaryFolder();
      const storage = where === "in place" ? await openInMemory() : await openThreaded(folder);
      const on = drive(storage.jobs);
      const waiting = await on.submit();
      const id = nextJobId();
      const [first, twice, third] = await Promise.allSettled([
        on.trySubmit({ id }),
        on.trySubmit({ id }),
        on.trySubmit(),
      ]);
      expect([first.status, twice.status, third.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(await on.trySubmit({ userJobs: 3 })).toEqual({ kind: "too_many_jobs" });
      expect(await on.trySubmit({ queueJobs: 3 })).toEqual({ kind: "queue_full" });
      expect(await on.trySubmit({ userJobs: 4, queueJobs: 4 })).toMatchObject({
        kind: "accepted",
        position: 4,
      });
      const [run] = await on.claim({ most: 1 });
      expect(run?.id).toBe(waiting);
      // What was undone was not announced.
      expect(on.announced.filter(({ job }) => job.id === id)).toHaveLength(1);
      await storage.stop();
      await folder.remove();
    },
  );
});
