/** The memory driver as the model of the SQLite one: the same random commands, the same outcomes and the same logs. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JobStore } from "../../src/jobs/store.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import { JOB_STATUSES } from "../../src/protocol/jobs.ts";
import { drive, ERROR, nextJobId, textItem, type Drive, type HeldRun } from "../conformance/drive.ts";
import { expectSoundStore } from "../conformance/sound.ts";
import { openInMemory } from "../conformance/storages.ts";

const USERS = ["user-1", "user-2", "user-3"] as UserId[];
const SESSIONS = ["session-1", "session-2"] as SessionId[];
const OWNERS = ["boot:node:here", "boot:node:before", "worker:w1"];
const TYPES = ["a", "b"];
const KEYS = ["k1", "k2"];

/** Everything that has been made so far, as both stores named it. */
interface Known {
  readonly jobs: JobId[];
  readonly runs: HeldRun[];
}

/** A command with its choices as numbers, so that a shorter list of steps still means something. */
type Step = (known: Known) => (on: Drive) => Promise<unknown>;

function pick<Value>(list: readonly Value[], index: number, otherwise: Value): Value {
  return list.length === 0 ? otherwise : (list[index % list.length] ?? otherwise);
}

const index = fc.nat({ max: 1000 });
const NOBODY = nextJobId();

const submit: fc.Arbitrary<Step> = fc
  .record({
    user: fc.constantFrom(...USERS),
    session: fc.constantFrom(null, ...SESSIONS),
    lane: fc.constantFrom(null, null, "lane"),
    type: fc.constantFrom(...TYPES),
    priority: fc.constantFrom(1, 5, 9),
    key: fc.constantFrom(undefined, undefined, ...KEYS),
    fingerprint: fc.constantFrom("f", "f", "g"),
    startWithinMs: fc.constantFrom(null, null, 40),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    retryAfterOutput: fc.boolean(),
    cancelOnDisconnect: fc.boolean(),
    userJobs: fc.constantFrom(4, 1000),
    queueJobs: fc.constantFrom(6, 1000),
  })
  .map(({ user, session, ...options }) => (known) => {
    const id = nextJobId();
    known.jobs.push(id);
    return (on) =>
      on.trySubmit({
        id,
        userId: user,
        sessionId: session,
        input: JSON.stringify(id),
        ...options,
      } as Parameters<Drive["trySubmit"]>[0]);
  });

const claim: fc.Arbitrary<Step> = fc
  .record({
    types: fc.subarray(TYPES, { minLength: 1 }),
    each: fc.integer({ min: 0, max: 3 }),
    most: fc.integer({ min: 0, max: 3 }),
    owner: fc.constantFrom(...OWNERS),
    leaseMs: fc.constantFrom(30, 300),
  })
  .map(({ types, each, ...options }) => (known) => async (on) => {
    const outcome = await on.tryClaim({ types: types.map((type) => ({ type, most: each })), ...options });
    for (const { job } of outcome.jobs) {
      const { id, leaseToken, attempt } = job;
      if (!known.runs.some(({ lease }) => lease === leaseToken))
        known.runs.push({ id, lease: leaseToken, attempt });
    }
    return outcome;
  });

/** A step of a run, mostly of a recent one, sometimes of one that lost its lease long ago. */
function ofRun(act: (on: Drive, run: HeldRun, choice: number) => Promise<unknown>): fc.Arbitrary<Step> {
  return fc
    .record({ back: fc.oneof(fc.nat({ max: 3 }), index), choice: index })
    .map(({ back, choice }) => (known) => {
      const nobody = { id: NOBODY, lease: "none" as HeldRun["lease"], attempt: 0 };
      const run = pick(known.runs.toReversed(), back, nobody);
      return (on) => act(on, run, choice);
    });
}

function ofJob(act: (on: Drive, id: JobId, choice: number) => Promise<unknown>): fc.Arbitrary<Step> {
  return fc.record({ which: index, choice: index }).map(({ which, choice }) => (known) => {
    const id = pick(known.jobs, which, NOBODY);
    return (on) => act(on, id, choice);
  });
}

const append = ofRun((on, { id, lease }, choice) => {
  const items = [
    [textItem("word")],
    [textItem("two"), { kind: "output.audio" as const, data: new Uint8Array(choice % 50) }],
    [{ kind: "job.progress" as const, data: `{"ratio":0.${choice}}` }],
    [],
  ];
  const given = pick(items, choice, []);
  return on.execute("append", { id, lease, items: given, jobBytes: 250 });
});

const checkpoint = ofRun((on, { id, lease }, choice) =>
  on.execute("checkpoint", { id, lease, value: `${choice}` }),
);

const end = ofRun((on, { id, lease }, choice) => {
  const ends = [
    { kind: "succeeded" as const, result: `{"n":${choice}}` },
    { kind: "error" as const, error: ERROR, random: 0.01 },
    { kind: "error" as const, error: ERROR, random: 0, retryAfterMs: choice % 90 },
    { kind: "error" as const, error: { ...ERROR, retryable: false }, random: 0 },
    { kind: "released" as const },
  ];
  return on.execute("end", { id, lease, how: pick(ends, choice, { kind: "released" }) });
});

const cancel = ofJob((on, id, choice) => on.cancel(id, "requested", choice % 60));
const purge = ofJob((on, id) => on.execute("purge", { id }));
const acknowledge = ofJob(async (on, id, choice) => {
  const head = (await on.store.find(id))?.head ?? 1;
  const sessionId = pick(SESSIONS, choice, "session-1" as SessionId);
  return on.execute("acknowledge", { id, sessionId, seq: choice % 3 === 0 ? 1 : head });
});

const overall: fc.Arbitrary<Step> = fc.record({ which: index, choice: index }).map(({ which, choice }) => {
  const owner = pick(OWNERS, choice, "boot:node:here");
  const steps: ((on: Drive) => Promise<unknown>)[] = [
    (on) => on.sweep({ owner, maxLostLeases: 3, most: 1000 }),
    (on) => on.recover({ owner, maxLostLeases: 3, most: 1000 }),
    (on) => on.execute("renew", { owner, leaseMs: 100 }),
    async (on) => {
      // What a step deletes is each driver's own affair; what is left after the last one is not.
      const before = on.now().wallMs - (choice % 120);
      await on.retain({ eventsBefore: before, jobsBefore: before - 80, keysBefore: before - 40, most: 7 });
    },
  ];
  const step = pick(steps, which, () => Promise.resolve());
  return () => step;
});

const passing: fc.Arbitrary<Step> = fc.integer({ min: 1, max: 60 }).map((byMs) => () => (on) => {
  on.pass(byMs);
  return Promise.resolve();
});

const step = fc.oneof(
  { weight: 7, arbitrary: submit },
  { weight: 7, arbitrary: claim },
  { weight: 7, arbitrary: append },
  { weight: 6, arbitrary: end },
  { weight: 3, arbitrary: cancel },
  { weight: 3, arbitrary: overall },
  { weight: 3, arbitrary: passing },
  { weight: 1, arbitrary: checkpoint },
  { weight: 1, arbitrary: acknowledge },
  { weight: 1, arbitrary: purge },
);

/** All that reads can say of a store. */
async function view(store: JobStore, jobs: readonly JobId[]): Promise<unknown> {
  const ofJobs = [];
  for (const id of jobs) {
    ofJobs.push({
      id,
      found: await store.findWithResult(id),
      input: await store.input(id),
      log: await store.events(id, { after: 0, limit: 100_000, bytes: Number.POSITIVE_INFINITY }),
      audio: await store.audioChunks(id, 3),
    });
  }
  const lists = [];
  for (const userId of USERS) {
    for (const status of [null, ...JOB_STATUSES]) {
      lists.push(await store.list({ userId, status, type: null, before: jobs[7] ?? null, limit: 20 }));
      lists.push(await store.list({ userId, status, type: "a", before: null, limit: 4 }));
    }
    for (const key of KEYS) lists.push(await store.findByKey({ userId, route: "POST /v1/jobs", key }));
  }
  for (const sessionId of SESSIONS) lists.push(await store.openJobs(sessionId, 5));
  const cancelable = (await store.cancelable({ sessionId: null, after: null, limit: 1000 })).map(
    ({ id }) => id,
  );
  return { ofJobs, lists, cancelable };
}

test("SQLite does what the memory driver does, whatever comes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: "max" }), async (steps) => {
      const storage = await openInMemory();
      try {
        const [model, real] = [drive(createMemoryJobStore()), drive(storage.jobs)];
        const known: Known = { jobs: [], runs: [] };
        for (const choose of steps) {
          const act = choose(known);
          const wanted = await act(model);
          expect(await act(real)).toEqual(wanted);
        }
        expect(await view(storage.jobs, known.jobs)).toEqual(await view(model.store, known.jobs));
        // Within one commit of several commands too; what one sweep finds has no order between jobs.
        const byJob = (on: Drive): unknown => Map.groupBy(on.announced, ({ job }) => job.id);
        expect(byJob(real)).toEqual(byJob(model));
        await expectSoundStore(storage.jobs, real.announced);
      } finally {
        await storage.stop();
      }
    }),
    { numRuns: 40 },
  );
});
