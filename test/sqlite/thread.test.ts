/** The line to the writer's thread: one message a batch, one back, and what is left when the thread is not. */
import { describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { runWriterThread, startWriterThread } from "../../src/sqlite/thread.ts";
import type { Participant } from "../../src/sqlite/writer.ts";
import { failureOf } from "../conformance/failure.ts";
import { within } from "../support/wait.ts";

const START = { path: "somewhere", durability: "power" } as const;

/** A thread that answers when the test says so. */
function fakeWorker(): {
  worker: Worker;
  asked: unknown[];
  answer: (message: unknown) => void;
  die: (message: string) => void;
  terminated: () => boolean;
} {
  const asked: unknown[] = [];
  let terminated = false;
  const worker = {
    onmessage: null as ((event: { data: unknown }) => void) | null,
    onerror: null as ((event: { message: string }) => void) | null,
    postMessage: (message: unknown) => void asked.push(message),
    terminate: () => {
      terminated = true;
    },
  };
  return {
    worker: worker as unknown as Worker,
    asked,
    answer: (data) => worker.onmessage?.({ data }),
    die: (message) => worker.onerror?.({ message }),
    terminated: () => terminated,
  };
}

async function started(): Promise<{
  fake: ReturnType<typeof fakeWorker>;
  writer: Awaited<ReturnType<typeof startWriterThread>>;
}> {
  const fake = fakeWorker();
  const starting = startWriterThread(fake.worker, START);
  expect(fake.asked).toEqual([{ start: START }]);
  fake.answer({ ready: true });
  return { fake, writer: await starting };
}

async function askedTimes(fake: ReturnType<typeof fakeWorker>, count: number): Promise<void> {
  while (fake.asked.length < count) await new Promise((resolve) => setImmediate(resolve));
}

describe("this side of the thread", () => {
  test("sends a batch and hands out its results", async () => {
    const { fake, writer } = await started();
    const writes = [writer.write("jobs", 1), writer.write("jobs", 2)];
    await askedTimes(fake, 2);
    expect(fake.asked[1]).toEqual({
      batch: [
        { to: "jobs", command: 1 },
        { to: "jobs", command: 2 },
      ],
    });
    fake.answer({
      results: [
        { ok: true, value: "one" },
        { ok: true, value: "two" },
      ],
    });
    expect(await Promise.all(writes)).toEqual(["one", "two"]);
  });

  test("does not start when the other one cannot open the database", async () => {
    const fake = fakeWorker();
    const starting = startWriterThread(fake.worker, START);
    fake.answer({ fatal: "unable to open" });
    expect((await failureOf(starting)).message).toBe("the database writer failed: unable to open");
  });

  test("stops writing when the other one cannot tell what it stored", async () => {
    const { fake, writer } = await started();
    const write = writer.write("jobs", 1);
    await askedTimes(fake, 2);
    fake.answer({ fatal: "CommitFailed: disk" });
    expect(await failureOf(write)).toMatchObject({ code: "storage_unavailable" });
    expect((await writer.failed).message).toContain("CommitFailed: disk");
    expect(await failureOf(writer.write("jobs", 2))).toMatchObject({ code: "storage_unavailable" });
    expect(fake.asked).toHaveLength(2);
    const stopping = writer.stop();
    await askedTimes(fake, 3);
    fake.answer({ stopped: true });
    await stopping;
    expect(fake.terminated()).toBe(true);
  });

  test("takes an answer to another question for a failure", async () => {
    const { fake, writer } = await started();
    const write = writer.write("jobs", 1);
    await askedTimes(fake, 2);
    fake.answer({ stopped: true });
    expect(await failureOf(write)).toMatchObject({ code: "storage_unavailable" });
    expect((await writer.failed).message).toContain("out of turn");
  });

  test.each(["while it writes", "while it rests"])("outlives a thread that dies %s", async (when) => {
    const { fake, writer } = await started();
    if (when === "while it rests") fake.die("gone");
    const write = writer.write("jobs", 1);
    if (when === "while it writes") {
      await askedTimes(fake, 2);
      fake.die("gone");
    }
    expect(await failureOf(within("the write to be refused", write, 1000))).toMatchObject({
      code: "storage_unavailable",
    });
    expect((await writer.failed).message).toBe("the database writer failed: gone");
    await within("the stop", writer.stop(), 1000);
    expect(fake.terminated()).toBe(true);
  });

  test("stops the other one once everything is written", async () => {
    const { fake, writer } = await started();
    const write = writer.write("jobs", 1);
    const stopping = writer.stop();
    await askedTimes(fake, 2);
    fake.answer({ results: [{ ok: true, value: "one" }] });
    expect(await write).toBe("one");
    await askedTimes(fake, 3);
    expect(fake.asked[2]).toEqual({ stop: true });
    expect(fake.terminated()).toBe(false);
    fake.answer({ stopped: true });
    await stopping;
    expect(fake.terminated()).toBe(true);
  });
});

describe("the thread", () => {
  function scope(): { self: Worker; answers: unknown[]; hear: (data: unknown) => void } {
    const answers: unknown[] = [];
    const self = {
      onmessage: null as ((event: { data: unknown }) => void) | null,
      postMessage: (message: unknown) => void answers.push(message),
    };
    return {
      self: self as unknown as Worker,
      answers,
      hear: (data) => self.onmessage?.({ data }),
    };
  }

  test("opens, commits batches, closes", () => {
    const { self, answers, hear } = scope();
    let closed = 0;
    const participant: Participant = { execute: (command) => `did ${String(command)}`, rolledBack: () => {} };
    runWriterThread(self, (start) => {
      expect(start).toEqual(START);
      return {
        db: new Database(":memory:"),
        participants: { jobs: participant },
        close: () => {
          closed += 1;
        },
      };
    });
    hear({ start: START });
    hear({ batch: [{ to: "jobs", command: "a" }] });
    hear({ stop: true });
    expect(answers).toEqual([
      { ready: true },
      { results: [{ ok: true, value: "did a" }] },
      { stopped: true },
    ]);
    expect(closed).toBe(1);
  });

  test("says what it cannot do, and stays to be told to stop", () => {
    const { self, answers, hear } = scope();
    const db = {
      inTransaction: false,
      run(text: string) {
        if (text === "COMMIT") throw new Error("no disk");
      },
    } as unknown as Database;
    let opened = 0;
    runWriterThread(self, () => {
      opened += 1;
      if (opened === 1) throw new Error("no file");
      return { db, participants: {}, close: () => {} };
    });
    hear({ start: START });
    hear({ start: START });
    hear({ batch: [] });
    hear({ stop: true });
    expect(answers).toEqual([
      { fatal: "Error: no file" },
      { ready: true },
      { fatal: "CommitFailed: Error: no disk" },
      { stopped: true },
    ]);
  });
});
