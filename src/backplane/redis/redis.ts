/**
 * The `redis` driver of `Backplane`: publish and subscribe, which Redis promises nothing about. What is missing there is
 * made up for here: every message is signed and numbered, every node is heard once a second, and whoever misses
 * something is told.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { openRedisLine, type RedisOpening } from "../../redis/connect.ts";
import { createRedisOutages } from "../../redis/outages.ts";
import type { Backplane, Signal } from "../backplane.ts";
import { createEar } from "./ear.ts";
import { createEnvelopes, type Envelope, type Installation } from "./envelope.ts";
import { createLostTeller } from "./lost.ts";
import { createOutbox } from "./outbox.ts";
import { createPeers } from "./peers.ts";

export interface RedisBackplaneOptions {
  /** A form of lib/redis-url.ts. */
  readonly url: string;
  readonly installation: Installation;
  readonly nodeId: string;
  /** Of this process: tells its messages from those of an earlier one under the same node id. */
  readonly bootId: string;
  /** Its steady time is the installation's: messages are judged by their age. */
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** How long a start waits for Redis before the server goes on without it. */
const START_MS = 3000;

/** Messages that are not ours are told of once in a while: whoever writes them may write many. */
const TELL_BAD_MS = 60_000;

/** Takes part in the network from `start` on. */
export function createRedisBackplane(options: RedisBackplaneOptions): Backplane {
  const { nodeId, clock, logger } = options;
  const counts = { sent: 0, received: 0, dropped: 0, bad: 0, lost: 0 };
  const listeners: ((signal: Signal) => void)[] = [];
  const lostListeners: (() => void)[] = [];
  const peers = createPeers(nodeId);
  const rooms = new Set<string>();
  let line: Line | null = null;

  const guarded = (what: string, run: () => void): void => {
    try {
      run();
    } catch (error) {
      logger.error({ error }, what);
    }
  };
  const hear = (signals: readonly Signal[]): void => {
    for (const signal of signals) {
      counts.received += 1;
      for (const listener of listeners)
        guarded("a signal of another node could not be handled", () => listener(signal));
    }
  };
  const lost = createLostTeller(clock, () => {
    counts.lost += 1;
    for (const listener of lostListeners) guarded("lost signals could not be made up for", listener);
  });
  let toldBadMs = Number.NEGATIVE_INFINITY;
  const refuse = (why: string): void => {
    counts.bad += 1;
    if (clock.steadyMs() - toldBadMs < TELL_BAD_MS) return;
    toldBadMs = clock.steadyMs();
    logger.warn({ why }, "a message on the backplane was not heard");
  };

  return {
    alone: false,
    get healthy() {
      return line?.healthy ?? false;
    },
    counts,
    publish: (signal, to = "all") => line?.outbox.put(signal, to),
    onSignal: (listener) => void listeners.push(listener),
    onLost: (listener) => void lostListeners.push(listener),
    async listen(room) {
      rooms.add(room);
      await line?.listen(room);
    },
    unlisten(room) {
      rooms.delete(room);
      line?.unlisten(room);
    },
    expect: (nodes) => peers.expect(nodes),
    async start() {
      line = openLine({ ...options, peers, counts, rooms, hear, refuse, onLost: () => lost.tell() });
      await line.begun;
    },
    async stop() {
      const ending = line;
      line = null;
      lost.stop();
      await ending?.stop();
    },
  };
}

interface LineOptions extends RedisBackplaneOptions {
  readonly peers: ReturnType<typeof createPeers>;
  readonly counts: { sent: number; dropped: number };
  readonly rooms: Iterable<string>;
  readonly hear: (signals: readonly Signal[]) => void;
  readonly refuse: (why: string) => void;
  readonly onLost: () => void;
}

type Line = ReturnType<typeof openLine>;

/** Both connections of one start, and what goes over them. */
function openLine(options: LineOptions) {
  const { nodeId, bootId, clock, logger, peers, counts } = options;
  const envelopes = createEnvelopes(options.installation);
  const toAll = envelopes.channelOf("all");
  const outages = createRedisOutages(logger, "backplane");
  const opening = (name: string): RedisOpening => ({ ...options, name, outages });
  // In a Cluster the two begin at nodes beside each other: what comes back then has gone from one to the other.
  const first = options.random();
  const [speaking, hearing] = [
    openRedisLine(opening("backplane-publish"), { share: first, next: 1 }),
    openRedisLine(opening("backplane-subscribe"), { share: first, next: 0 }),
  ];
  const begun = Promise.withResolvers<void>();
  const patience = clock.after(START_MS, () => begun.resolve());
  let hasBegun = false;
  void begun.promise.then(() => {
    hasBegun = true;
    patience.cancel();
  });
  const begin = (): void => {
    if (ear.subscribed && speaking.ready) begun.resolve();
  };
  let stopped = false;
  /** Steady time when the channels were heard from, and when this node last heard itself: it hears what others would. */
  let subscribedMs = Number.NEGATIVE_INFINITY;
  const own = { number: 0, heardMs: Number.NEGATIVE_INFINITY };
  let triedMs = Number.NEGATIVE_INFINITY;
  let wasHealthy = true;
  let wasSilent: readonly string[] = [];

  const outbox = createOutbox({
    ...options,
    line: speaking,
    envelopes,
    node: nodeId,
    boot: bootId,
    onSent: (signals) => void (counts.sent += signals),
    onDropped: (signals) => void (counts.dropped += signals),
  });

  const hearOwn = (channel: string, text: string): void => {
    const nowMs = clock.steadyMs();
    if (channel !== toAll || nowMs - own.heardMs < LIMITS.backplaneBeatMs / 2) return;
    const envelope = envelopes.open(channel, text);
    // What somebody recorded and plays to us says nothing about now.
    if (envelope === null || envelope.number <= own.number) return;
    own.number = envelope.number;
    own.heardMs = nowMs;
  };

  const judge = (channel: string, envelope: Envelope): void => {
    const verdict = peers.judge(envelope, channel === toAll, clock.steadyMs());
    if (verdict === "repeated" || verdict === "late") {
      options.refuse(verdict === "late" ? "it is too old" : "it was heard before");
      return;
    }
    if (verdict === "missed") options.onLost();
    options.hear(envelope.signals);
  };

  const ear = createEar({
    line: hearing,
    channels: [
      toAll,
      envelopes.channelOf({ node: nodeId }),
      ...[...options.rooms].map((room) => envelopes.channelOf({ room })),
    ],
    onMessage(channel, text) {
      if (stopped) return;
      if (envelopes.claims(text, bootId)) {
        hearOwn(channel, text);
        return;
      }
      const envelope = envelopes.open(channel, text);
      if (envelope === null) options.refuse("nobody of this installation wrote it");
      else judge(channel, envelope);
    },
    onSubscribed() {
      subscribedMs = clock.steadyMs();
      peers.begin(subscribedMs);
      outbox.beat();
      if (hasBegun) options.onLost();
      begin();
    },
  });
  for (const { client } of [speaking, hearing]) client.once("error", () => begun.resolve());
  // The others learn at once what they missed meanwhile.
  speaking.client.on("ready", () => {
    outbox.beat();
    begin();
  });

  const hearsItself = (nowMs: number): boolean =>
    own.heardMs >= subscribedMs && nowMs - own.heardMs <= LIMITS.backplaneSilentMs;
  const isHealthy = (): boolean => {
    const nowMs = clock.steadyMs();
    return ear.subscribed && hearsItself(nowMs) && peers.silent(nowMs).length === 0;
  };

  /** Two connections that both seem fine and between which nothing flows: somebody else's network, or another master. */
  const tryAgain = (nowMs: number): void => {
    const waitedMs = nowMs - Math.max(own.heardMs, subscribedMs, triedMs);
    if (!ear.subscribed || !speaking.ready || waitedMs <= LIMITS.backplaneSilentMs) return;
    triedMs = nowMs;
    logger.warn({}, "nothing comes back over Redis; both connections are made anew");
    ear.again();
    speaking.client.disconnect(true);
  };

  const beating = clock.every(LIMITS.backplaneBeatMs, () => {
    outbox.beat();
    const nowMs = clock.steadyMs();
    tryAgain(nowMs);
    const silent = peers.silent(nowMs);
    // What it meant to say when it fell silent may never come.
    if (silent.some((node) => !wasSilent.includes(node))) options.onLost();
    wasSilent = silent;
    const healthy = isHealthy();
    if (healthy === wasHealthy) return;
    wasHealthy = healthy;
    if (healthy) logger.info({}, "all nodes are heard again");
    // Where Redis is away, that was told.
    else if (ear.subscribed && speaking.ready)
      logger.warn({ silent }, "what other nodes say may not be heard");
  });

  return {
    begun: begun.promise,
    outbox,
    get healthy() {
      return isHealthy();
    },
    listen: (room: string) => ear.listen(envelopes.channelOf({ room })),
    unlisten: (room: string) => ear.unlisten(envelopes.channelOf({ room })),
    async stop() {
      stopped = true;
      beating.cancel();
      begun.resolve();
      await outbox.stop();
      speaking.close();
      hearing.close();
    },
  };
}
