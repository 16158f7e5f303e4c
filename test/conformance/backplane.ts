/** The contract of `Backplane` (src/backplane/backplane.ts) as a suite: every driver is held to the same one. */
import { describe, expect, test } from "bun:test";
import type { Backplane, Signal } from "../../src/backplane/backplane.ts";
import type { JobSummary } from "../../src/jobs/job.ts";
import type { JobId, SessionId, UserId } from "../../src/lib/ids.ts";
import type { MessageFrame } from "../../src/protocol/frames.ts";
import { until } from "../support/wait.ts";

/** Nodes on one network, not started; their ids are `node-0`, `node-1` and so on. */
export interface OpenedBackplanes {
  readonly nodes: readonly Backplane[];
  close(): Promise<void>;
  /**
   * For a network that can lose signals: cuts all nodes off from each other while `during` runs, and joins them again.
   * What is published meanwhile is lost, and so may be what is published until they are joined.
   */
  cut?(during: () => Promise<void>): Promise<void>;
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
  { kind: "reading", node: "node-1", jobs: [JOB.id] },
  { kind: "session", id: "session-1" as SessionId },
  { kind: "revocations" },
  { kind: "push", audience: { to: "user", userId: "mara ü" as UserId }, frame: push("user") },
  { kind: "push", audience: { to: "session", sessionId: "s" as SessionId }, frame: push("session") },
  { kind: "push", audience: { to: "all" }, frame: push("all") },
  { kind: "message", room: "lobby", frame: FRAME, place: null },
  { kind: "message", room: "lobby", frame: FRAME, place: { num: 7, before: 5 } },
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

type Body = (nodes: readonly Backplane[], opened: OpenedBackplanes) => Promise<void>;
type Check = (promise: string, count: number, body: Body) => void;

/** So many that are listening. */
async function ears(nodes: readonly Backplane[]): Promise<[Ear, Ear, Ear]> {
  const [one, two, three] = await Promise.all(nodes.map(listening));
  if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
  return [one, two, three ?? two];
}

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
      place: null,
      frame: { ...FRAME, data: "ü".repeat(500_000) },
    };
    one.node.publish(large);
    await reached(two, large);
    expect(two.heard).toHaveLength(1);
  });
}

function addressing(check: Check): void {
  check("what is for one node is heard by that one alone", 3, async (nodes) => {
    const [one, two, three] = await ears(nodes);
    one.node.publish(numbered(1), { node: "node-1" });
    one.node.publish(numbered(2), { node: "node-0" });
    one.node.publish(numbered(3), { node: "nobody" });
    one.node.publish(numbered(4));
    await Promise.all([reached(two, numbered(4)), reached(three, numbered(4))]);
    expect([one.heard, two.heard, three.heard]).toEqual([[], [numbered(1), numbered(4)], [numbered(4)]]);
  });

  check("what is for a room is heard by those who listen to it", 3, async (nodes) => {
    const [one, two, three] = await ears(nodes);
    await Promise.all([one.node.listen("lobby ü"), two.node.listen("lobby ü"), three.node.listen("other")]);
    one.node.publish(numbered(1), { room: "lobby ü" });
    one.node.publish(numbered(2), { room: "other" });
    one.node.publish(numbered(3), { room: "empty" });
    one.node.publish(numbered(4));
    await Promise.all([reached(two, numbered(4)), reached(three, numbered(4))]);
    expect([one.heard, two.heard, three.heard]).toEqual([
      [],
      [numbered(1), numbered(4)],
      [numbered(2), numbered(4)],
    ]);
  });

  check("a room that is not listened to any more is not heard, until it is again", 2, async (nodes) => {
    const [one, two] = await ears(nodes);
    await two.node.listen("lobby");
    await two.node.listen("lobby");
    two.node.unlisten("lobby");
    // Another one, so that its answer tells that the first has been settled.
    await two.node.listen("settled");
    one.node.publish(numbered(1), { room: "lobby" });
    one.node.publish(numbered(2));
    await reached(two, numbered(2));
    await two.node.listen("lobby");
    one.node.publish(numbered(3), { room: "lobby" });
    await reached(two, numbered(3));
    expect(two.heard).toEqual([numbered(2), numbered(3)]);
  });

  check("a room that was listened to before the start is heard after it", 2, async (nodes) => {
    await nodes[1]?.listen("lobby");
    const [one, two] = await ears(nodes);
    one.node.publish(numbered(1), { room: "lobby" });
    await reached(two, numbered(1));
  });

  check("a thousand rooms are listened to and left at once", 2, async (nodes) => {
    const [one, two] = await ears(nodes);
    const rooms = Array.from({ length: 1000 }, (_, index) => `room-${index}`);
    await Promise.all(rooms.map((room) => two.node.listen(room)));
    for (const [index, room] of rooms.entries()) if (index % 2 === 1) two.node.unlisten(room);
    await two.node.listen("settled");
    for (const [index, room] of rooms.entries()) one.node.publish(numbered(index), { room });
    one.node.publish(numbered(1000));
    await reached(two, numbered(1000));
    expect(two.heard).toHaveLength(501);
  });

  check("order holds however signals are addressed", 2, async (nodes) => {
    const [one, two] = await ears(nodes);
    await two.node.listen("lobby");
    const ways = ["all", { node: "node-1" }, { room: "lobby" }] as const;
    for (let n = 0; n < 300; n += 1) one.node.publish(numbered(n), ways[n % 3] ?? "all");
    await reached(two, numbered(299));
    expect(two.heard).toEqual(Array.from({ length: 300 }, (_, n) => numbered(n)));
  });
}

function losing(check: Check): void {
  check(
    "nodes that hear each other are healthy, with or without being told who is there",
    2,
    async (nodes) => {
      await Promise.all(nodes.map((node) => node.start()));
      for (const node of nodes) await until("signals to flow", () => node.healthy);
      for (const node of nodes) node.expect(["node-0", "node-1"]);
      for (const node of nodes) await until("all nodes to be heard", () => node.healthy);
    },
  );

  check("what is sent and heard is counted", 2, async (nodes) => {
    const [one, two] = await ears(nodes);
    for (let n = 0; n < 3; n += 1) one.node.publish(numbered(n));
    await reached(two, numbered(2));
    await until("the sending to be counted", () => one.node.counts.sent === 3);
    expect(one.node.counts).toEqual({ sent: 3, received: 0, dropped: 0, bad: 0, lost: 0 });
    expect(two.node.counts).toEqual({ sent: 0, received: 3, dropped: 0, bad: 0, lost: 0 });
  });
}

/** For a network that can lose signals. */
function healing(check: Check): void {
  check("after a loss every node is told, before it hears anything new", 2, async (nodes, opened) => {
    const said: string[][] = nodes.map(() => []);
    for (const [index, node] of nodes.entries()) {
      node.onSignal((signal) => said[index]?.push(signal.kind === "session" ? signal.id : signal.kind));
      node.onLost(() => said[index]?.push("lost"));
      await node.start();
    }
    const [one, two] = nodes;
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    await two.listen("lobby");
    one.publish(numbered(1));
    await until("the first signal", () => said[1]?.length === 1);
    await opened.cut?.(async () => {
      await until("the loss to be noticed", () => nodes.every((node) => !node.healthy));
      one.publish(numbered(2));
      await two.listen("meanwhile");
    });
    await until("signals to flow", () => nodes.every((node) => node.healthy));
    await until("the loss to be told", () => said.every((words) => words.includes("lost")));
    one.publish(numbered(3));
    one.publish(numbered(4), { room: "lobby" });
    one.publish(numbered(5), { room: "meanwhile" });
    await until("the last signal", () => said[1]?.includes("session-5"));
    expect(said[1]?.filter((word) => word !== "lost")).toEqual([
      "session-1",
      "session-3",
      "session-4",
      "session-5",
    ]);
    expect(said[1]?.indexOf("lost")).toBe(1);
    expect(one.counts.dropped).toBe(1);
  });

  check("a node that starts while nobody can be reached is told when it hears", 2, async (nodes, opened) => {
    const [one, two] = nodes;
    if (one === undefined || two === undefined) throw new Error("two nodes were asked for");
    await one.start();
    let lost = 0;
    two.onLost(() => (lost += 1));
    await opened.cut?.(async () => {
      await two.start();
      expect(two.healthy).toBe(false);
    });
    await until("the loss to be told", () => lost > 0);
    await until("signals to flow", () => two.healthy);
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

  check("before its start nothing is heard", 3, async (nodes) => {
    const [one, two, three] = nodes;
    if (one === undefined || two === undefined || three === undefined)
      throw new Error("three were asked for");
    await one.start();
    const earlier = await listening(three);
    one.publish(numbered(1));
    // Then it is not on its way any more.
    await reached(earlier, numbered(1));
    const ear = await listening(two);
    one.publish(numbered(2));
    await reached(ear, numbered(2));
    expect(ear.heard).toEqual([numbered(2)]);
  });
}

/** Declares the suite. `open` gives so many nodes of a network that nobody else is on. */
export function describeBackplane(
  name: string,
  open: (count: number) => Promise<OpenedBackplanes>,
  network: { readonly loses: boolean },
): void {
  const check: Check = (promise, count, body) => {
    test(promise, async () => {
      const opened = await open(count);
      try {
        await body(opened.nodes, opened);
      } finally {
        await Promise.all(opened.nodes.map((node) => node.stop()));
        await opened.close();
      }
    });
  };
  describe(name, () => {
    for (const topic of [delivering, addressing, publishing, losing, stopping]) topic(check);
    if (network.loses) healing(check);
  });
}
