/** The line to the writer's thread: one message a batch, one back, and what is left when the thread is not. */
import { describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import {
  runWriterThread,
  startWriterThread,
  type ThreadProgram,
  type ThreadSide,
} from "../../src/sqlite/thread.ts";
import type { Participant } from "../../src/sqlite/writer.ts";
import { failureOf } from "../conformance/failure.ts";
import { within } from "../support/wait.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";

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
  const starting = startWriterThread(() => fake.worker, START);
  expect(fake.asked).toEqual([{ start: START }]);
  fake.answer({ ready: true });
  return { fake, writer: await starting };
}

async function askedTimes(fake: ReturnType<typeof fakeWorker>, count: number): Promise<void> {
  while (fake.asked.length < count) await new Promise((resolve) => setImmediate(resolve));
}

async function settled(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
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

  test("has one helper at work at a time, none soon after one that was held, and waits for it to stop", async () => {
    const writer = fakeWorker();
    const helpers: ReturnType<typeof fakeWorker>[] = [];
    const clock = createManualClock();
    let spawned = 0;
    const spawn = (): Worker => {
      spawned += 1;
      if (spawned === 1) return writer.worker;
      const helper = fakeWorker();
      helpers.push(helper);
      return helper.worker;
    };
    const starting = startWriterThread(spawn, START, clock);
    writer.answer({ ready: true });
    const line = await starting;
    writer.answer({ behind: true });
    writer.answer({ behind: true });
    expect(helpers.map(({ asked }) => asked)).toEqual([[{ help: START }]]);
    const stateOf = (index: number) => helpers[index]?.terminated();
    helpers[0]?.answer({ helped: true, held: true });
    await within(
      "the helper to be let go",
      settled(() => stateOf(0) === true),
    );
    writer.answer({ behind: true });
    expect(helpers).toHaveLength(1);
    clock.advance(5000);
    writer.answer({ behind: true });
    expect(helpers).toHaveLength(2);
    const stopping = line.stop();
    helpers[1]?.answer({ helped: true, held: false });
    while (!writer.asked.some((message) => Object.hasOwn(message as object, "stop")))
      await new Promise((resolve) => setImmediate(resolve));
    expect(stateOf(1)).toBe(true);
    writer.answer({ stopped: true });
    await stopping;
  });

  test("does not start when the other one cannot open the database", async () => {
    const fake = fakeWorker();
    const starting = startWriterThread(() => fake.worker, START);
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
  const never = (): never => {
    throw new Error("nobody asked for help");
  };

  test("helps a writer, and says when it was not let", () => {
    const { self, answers, hear } = scope();
    let held = false;
    runWriterThread(self, { open: never, help: () => !held });
    hear({ help: START });
    held = true;
    hear({ help: START });
    expect(answers).toEqual([
      { helped: true, held: false },
      { helped: true, held: true },
    ]);
  });

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
    let behind = false;
    const open: ThreadProgram["open"] = (start) => {
      expect(start).toEqual(START);
      return {
        db: new Database(":memory:"),
        participants: { jobs: participant },
        afterBatch: () => behind,
        close: () => {
          closed += 1;
        },
      };
    };
    runWriterThread(self, { open, help: never });
    hear({ start: START });
    hear({ batch: [{ to: "jobs", command: "a" }] });
    behind = true;
    hear({ batch: [{ to: "jobs", command: "b" }] });
    hear({ stop: true });
    expect(answers).toEqual([
      { ready: true },
      { results: [{ ok: true, value: "did a" }] },
      { results: [{ ok: true, value: "did b" }] },
      { behind: true },
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
    const open = (): ThreadSide => {
      opened += 1;
      if (opened === 1) throw new Error("no file");
      return { db, participants: {}, afterBatch: () => false, close: () => {} };
    };
    runWriterThread(self, { open, help: never });
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
