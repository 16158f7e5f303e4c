/** The contract of `Backplane` (src/backplane/backplane.ts) as a suite: every driver is held to the same one. */
import { describe, expect, test } from "bun:test";
import type { Backplane, Signal } from "../../src/backplane/backplane.ts";
import type { JobSummary } from "../../src/jobs/job.ts";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import type { MessageFrame } from "../../src/protocol/frames.ts";
import { until } from "../support/wait.ts";

/** Nodes on one network, not started. */
export interface OpenedBackplanes {
  readonly nodes: readonly Backplane[];
  close(): Promise<void>;
}

const FRAME: MessageFrame = {
  type: "message",
  room: "lobby",
  id: "01890000-0000-7000-8000-000000000001",
  from: { userId: "mara", sessionId: "01890000-0000-7000-9000-000000000001" },
  data: { text: 'hi \u{1F600} \u2028 "quoted"', nothing: null },
  at: 1_800_000_000_000,
};

const { room: _room, ...unaddressed } = FRAME;
const push = (to: "user" | "session" | "all"): MessageFrame => ({ ...unaddressed, from: null, to });

const JOB: JobSummary = {
  id: "01890000-0000-7000-8000-000000000002" as JobId,
  userId: "mara" as UserId,
  sessionId: "01890000-0000-7000-9000-000000000001" as SessionId,
  type: "chat",
  status: "running",
  attempt: 1,
  head: 7,
};

/** One of each kind and form. */
const SIGNALS: readonly Signal[] = [
  { kind: "jobs", jobs: [JOB, { ...JOB, sessionId: null }] },
  { kind: "jobs", jobs: [] },
  { kind: "session", id: "session-1" as SessionId },
  { kind: "revocations" },
  { kind: "push", audience: { to: "user", userId: "mara ü" as UserId }, frame: push("user") },
  { kind: "push", audience: { to: "session", sessionId: "s" as SessionId }, frame: push("session") },
  { kind: "push", audience: { to: "all" }, frame: push("all") },
  { kind: "message", room: "lobby", frame: FRAME, num: null },
  { kind: "message", room: "lobby", frame: FRAME, num: 7 },
];

/** A signal that can be told from every other one. */
const numbered = (n: number): Signal => ({ kind: "session", id: `session-${n}` as SessionId });

interface Ear {
  readonly node: Backplane;
  readonly heard: Signal[];
}

async function listening(node: Backplane): Promise<Ear> {
  const heard: Signal[] = [];
  node.onSignal((signal) => heard.push(signal));
  await node.start();
  return { node, heard };
}

/** Until this ear has heard `signal`: what came before it from the same publisher has come as well. */
function reached({ heard }: Ear, signal: Signal): Promise<unknown> {
  return until(JSON.stringify(signal), () => heard.some((one) => Bun.deepEquals(one, signal)));
}

type Check = (promise: string, count: number, body: (nodes: readonly Backplane[]) => Promise<void>) => void;

function delivering(check: Check): void {
  check("every kind of signal reaches every other node as it was published", 3, async (nodes) => {
    const [speaker, ...others] = await Promise.all(nodes.map(listening));
    if (speaker === undefined) throw new Error("no node was opened");
    for (const signal of SIGNALS) speaker.node.publish(signal);
    for (const other of others) {
      await reached(other, SIGNALS.at(-1) ?? numbered(0));
      expect(other.heard).toEqual([...SIGNALS]);
    }
  });

  check("nobody hears itself", 2, async (nodes) => {
    const [one, two] = await Promise.all(nodes.map(listening));
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    one.node.publish(numbered(1));
    two.node.publish(numbered(2));
    await Promise.all([reached(one, numbered(2)), reached(two, numbered(1))]);
    expect([one.heard, two.heard]).toEqual([[numbered(2)], [numbered(1)]]);
  });

  check(
    "what one node publishes arrives in its order, whoever else publishes meanwhile",
    3,
    async (nodes) => {
      const [one, two, three] = await Promise.all(nodes.map(listening));
      if (one === undefined || two === undefined || three === undefined)
        throw new Error("three were asked for");
      for (let n = 0; n < 500; n += 1) {
        one.node.publish(numbered(n));
        two.node.publish(numbered(1000 + n));
      }
      await Promise.all([reached(three, numbered(499)), reached(three, numbered(1499))]);
      const numbers = three.heard.map((signal) =>
        Number((signal as { id: string }).id.slice("session-".length)),
      );
      const [ofOne, ofTwo] = [numbers.filter((n) => n < 1000), numbers.filter((n) => n >= 1000)];
      for (const numbersOf of [ofOne, ofTwo]) expect(numbersOf).toEqual(numbersOf.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(1000);
    },
  );

  check("a frame of a megabyte passes", 2, async (nodes) => {
    const [one, two] = await Promise.all(nodes.map(listening));
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    const large: Signal = {
      kind: "message",
      room: "lobby",
      num: null,
      frame: { ...FRAME, data: "ü".repeat(500_000) },
    };
    one.node.publish(large);
    await reached(two, large);
    expect(two.heard).toHaveLength(1);
  });
}

function publishing(check: Check): void {
  check("publish calls nobody by itself", 2, async (nodes) => {
    const [one, two] = await Promise.all(nodes.map(listening));
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    one.node.publish(numbered(1));
    expect(two.heard).toEqual([]);
    await reached(two, numbered(1));
  });

  check("a listener that throws harms neither others nor the next signal", 2, async (nodes) => {
    const [one, two] = nodes;
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    two.onSignal(() => {
      throw new Error("a listener of the suite");
    });
    const ear = await listening(two);
    await one.start();
    one.publish(numbered(1));
    one.publish(numbered(2));
    await reached(ear, numbered(2));
    expect(ear.heard).toEqual([numbered(1), numbered(2)]);
  });

  check("a node with others around is not alone", 2, async (nodes) => {
    await Promise.all(nodes.map((node) => node.start()));
    for (const node of nodes) await until("the other node to be known", () => !node.alone);
    expect(nodes.map((node) => node.alone)).toEqual([false, false]);
  });
}

function stopping(check: Check): void {
  check("a node that stopped hears nothing and is not heard, and may stop again", 3, async (nodes) => {
    const [one, two, three] = await Promise.all(nodes.map(listening));
    if (one === undefined || two === undefined || three === undefined)
      throw new Error("three were asked for");
    await two.node.stop();
    two.node.publish(numbered(1));
    one.node.publish(numbered(2));
    await reached(three, numbered(2));
    await two.node.stop();
    expect({ two: two.heard, three: three.heard }).toEqual({ two: [], three: [numbered(2)] });
  });

  check("before its start nothing is heard", 2, async (nodes) => {
    const [one, two] = nodes;
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    await one.start();
    one.publish(numbered(1));
    const ear = await listening(two);
    one.publish(numbered(2));
    await reached(ear, numbered(2));
    expect(ear.heard).toEqual([numbered(2)]);
  });
}

/** Declares the suite. `open` gives so many nodes of a network that nobody else is on. */
export function describeBackplane(name: string, open: (count: number) => Promise<OpenedBackplanes>): void {
  const check: Check = (promise, count, body) => {
    test(promise, async () => {
      const opened = await open(count);
      try {
        await body(opened.nodes);
      } finally {
        await Promise.all(opened.nodes.map((node) => node.stop()));
        await opened.close();
      }
    });
  };
  describe(name, () => {
    for (const topic of [delivering, publishing, stopping]) topic(check);
  });
}
