/** Answers to `attach`: from where the log can be followed, and what the client is told when that is not what it asked. */
import { describe, expect, test } from "bun:test";
import { attach } from "../../src/hub/attach.ts";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import type { Refusal } from "../../src/protocol/error.ts";
import { nextJobId } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { createSetup, type Setup } from "./setup.ts";

/** A watcher of another session than the jobs', so that nothing is attached by itself. */
function watcher(setup: Setup) {
  const { connection, socket } = setup.seated("session-9" as SessionId);
  const ask = async (job: string, after = 0, re?: string): Promise<void> => {
    await attach(setup.hub, setup.store, connection, { job, after, ...(re === undefined ? {} : { re }) });
    await settle();
  };
  return { connection, socket, ask };
}

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  return ((await failureOf(promise)) as Refusal).code;
}

/** A finished job of seven entries: its text is "one two" and " three". */
async function finishedJob({ on }: Setup): Promise<JobId> {
  const run = await on.started();
  await on.text(run, "one ", "two");
  await on.execute("append", {
    id: run.id,
    lease: run.lease,
    items: [{ kind: "job.progress", data: '{"ratio":1}' }],
    jobBytes: 10_000,
  });
  await on.text(run, " three");
  await on.succeed(run, { text: "the result" });
  return run.id;
}

describe("an attach", () => {
  test("is answered before the events, from the beginning or from where the client stands", async () => {
    const setup = createSetup();
    const { on } = setup;
    const { connection, socket, ask } = watcher(setup);
    const run = await on.started();
    await on.text(run, "a");
    await ask(run.id, 0, "r1");
    expect(socket.frames().map(({ type }) => type)).toEqual(["attached", "event", "event", "event"]);
    expect(socket.frames()[0]).toEqual({
      type: "attached",
      re: "r1",
      job: run.id,
      after: 0,
      head: 3,
      oldest: 1,
      status: "running",
      attempt: 1,
      terminal: false,
      recovered: true,
    });
    await ask(run.id, 2);
    expect(socket.seqs(run.id)).toBe("1 2 3 3");
    await ask(run.id, 3);
    await on.text(run, "b");
    expect(socket.seqs(run.id)).toBe("1 2 3 3 4");
    expect(connection.attachments.size).toBe(1);
  });

  test("to a job whose end was seen says so, and takes no place", async () => {
    const setup = createSetup();
    const id = await finishedJob(setup);
    const { connection, socket, ask } = watcher(setup);
    await ask(id, 7);
    expect(socket.frames()).toMatchObject([
      { type: "attached", head: 7, status: "succeeded", terminal: true, recovered: true },
    ]);
    expect(connection.attachments.size).toBe(0);
  });

  test("past the head is told so, with the output so far and where to go on", async () => {
    const setup = createSetup();
    const { on } = setup;
    const { socket, ask } = watcher(setup);
    const run = await on.started();
    await on.text(run, "so ", "far");
    await ask(run.id, 99);
    expect(socket.frames()[0]).toMatchObject({
      type: "attached",
      after: 99,
      head: 4,
      recovered: false,
      reason: "ahead",
      output: { text: "so far", seq: 4, attempt: 1, data: [] },
    });
    await on.text(run, "!");
    expect(socket.seqs(run.id)).toBe("5");
  });

  test("into what retention took is told so, and still hears how it ended", async () => {
    const setup = createSetup();
    const { on, clock } = setup;
    const id = await finishedJob(setup);
    await clock.advance(10);
    await on.retain({ jobsBefore: 0, keysBefore: 0 });
    const { connection, socket, ask } = watcher(setup);
    await ask(id, 3);
    expect(socket.frames()[0]).toMatchObject({
      recovered: false,
      reason: "trimmed",
      oldest: 7,
      head: 7,
      output: { text: "the result", seq: 6 },
    });
    expect(socket.seqs(id)).toBe("7");
    expect(connection.attachments.size).toBe(0);
    // Right before the oldest entry is not too late.
    await ask(id, 6);
    expect(socket.frames().at(-2)).toMatchObject({ type: "attached", recovered: true });
    expect(socket.seqs(id)).toBe("7 7");
  });

  test("is refused for what is not there, not the user's, or deleted, and takes no place", async () => {
    const setup = createSetup();
    const { on } = setup;
    const { connection, ask } = watcher(setup);
    const foreign = await on.submit({ userId: "user-2" as UserId });
    const purged = await finishedJob(setup);
    await on.execute("purge", { id: purged });
    expect(await refusalOf(ask("no id"))).toBe("not_found");
    expect(await refusalOf(ask(nextJobId()))).toBe("not_found");
    expect(await refusalOf(ask(foreign))).toBe("not_found");
    expect(await refusalOf(ask(purged))).toBe("job_purged");
    expect(connection.attachments.size).toBe(0);
  });

  test("is refused when no place is left", async () => {
    const setup = createSetup({ attachments: 1 });
    const { on } = setup;
    const { ask } = watcher(setup);
    const [first, second] = [await on.started(), await on.started()];
    await ask(first.id);
    expect(await refusalOf(ask(second.id))).toBe("rate_limited");
    await ask(first.id, 2);
    await on.succeed(first);
    await ask(second.id);
  });

  test("misses nothing that is committed while it is answered", async () => {
    const setup = createSetup();
    const { on } = setup;
    const { connection, socket } = watcher(setup);
    const run = await on.started();
    const asking = attach(setup.hub, setup.store, connection, { job: run.id, after: 0 });
    await Promise.all([on.text(run, "a"), on.text(run, "b"), asking]);
    await on.text(run, "c");
    await settle();
    expect(socket.events().at(-1)).toMatchObject({ seq: 5 });
    const covered = socket.events().reduce((sum, { first, seq }) => sum + seq - first + 1, 0);
    expect(covered).toBe(5);
  });
});

test("a job that was attached to before its commit was announced does not begin twice", async () => {
  const setup = createSetup();
  const run = await setup.on.started();
  const { connection, socket } = setup.seated();
  await attach(setup.hub, setup.store, connection, { job: run.id, after: 0 });
  await settle();
  const job = await setup.store.find(run.id);
  const events = await setup.store.events(run.id, { after: 0, limit: 10, bytes: 10_000 });
  if (job === null) throw new Error("the job is gone");
  // Reads may be ahead of announcements: this one is late.
  setup.hub.committed([{ job, first: 1, events, silenced: false }]);
  await settle();
  expect(socket.seqs(run.id)).toBe("1 2");
});
