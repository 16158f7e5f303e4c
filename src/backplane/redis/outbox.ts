/** The half that publishes: gathers the signals of one turn of the loop, numbers and sends them, and gives up what cannot go. */
import type { Clock } from "../../lib/clock.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { OpenedRedis } from "../../redis/connect.ts";
import type { Redis } from "ioredis";
import type { Recipients, Signal } from "../backplane.ts";
import type { Envelopes } from "./envelope.ts";

export interface OutboxOptions {
  readonly line: OpenedRedis<Redis>;
  readonly envelopes: Envelopes;
  readonly clock: Clock;
  readonly node: string;
  readonly boot: string;
  readonly onSent: (signals: number) => void;
  readonly onDropped: (signals: number) => void;
}

export interface Outbox {
  put(signal: Signal, to: Recipients): void;
  /** Says that this node is there, and which numbers it has come to. */
  beat(): void;
  /** Sends what waits and says goodbye; resolves when that was answered, or could not be. */
  stop(): Promise<void>;
}

/** Signals for one channel, one behind the other. */
interface Batch {
  readonly to: Recipients;
  readonly channel: string;
  readonly signals: string[];
  bytes: number;
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { line, envelopes, clock, node, boot } = options;
  const toAll = envelopes.channelOf("all");
  let number = 0;
  let mark = 0;
  /** Signals were given up since the last message to all. */
  let lost = false;
  /** In the order in which they were published: to keep it, a batch ends when another channel's turn comes. */
  let waiting: Batch[] = [];
  let waitingBytes = 0;
  let unansweredBytes = 0;
  let isDue = false;

  const giveUp = (signals: number): void => {
    // A hole in the numbers, by which the others notice that something never came.
    mark += 1;
    lost = true;
    options.onDropped(signals);
  };

  const seal = ({ channel, to, signals }: Batch, bye = false): string => {
    number += 1;
    if (to === "all") mark += 1;
    const header = {
      boot,
      node,
      number,
      mark,
      at: Math.round(clock.steadyMs()),
      ...(lost ? { lost } : {}),
      ...(bye ? { bye } : {}),
    };
    // If it does not arrive either, it counts as given up itself.
    if (to === "all") lost = false;
    return envelopes.seal(channel, header, signals);
  };

  const send = async (batches: readonly Batch[], bye = false): Promise<void> => {
    const pipeline = line.client.pipeline();
    for (const batch of batches) pipeline.publish(batch.channel, seal(batch, bye));
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0);
    unansweredBytes += bytes;
    const results = await pipeline.exec().catch(() => null);
    unansweredBytes -= bytes;
    for (const [index, { signals }] of batches.entries()) {
      const isSent = results !== null && results[index]?.[0] === null;
      if (isSent) options.onSent(signals.length);
      else giveUp(signals.length);
    }
  };

  const flush = (): Promise<void> => {
    const batches = waiting;
    waiting = [];
    waitingBytes = 0;
    isDue = false;
    if (batches.length === 0) return Promise.resolve();
    if (line.ready) return send(batches);
    for (const { signals } of batches) giveUp(signals.length);
    return Promise.resolve();
  };

  const empty = (): Batch => ({ to: "all", channel: toAll, signals: [], bytes: 0 });

  return {
    put(signal, to) {
      const text = JSON.stringify(signal);
      const bytes = Buffer.byteLength(text);
      if (!line.ready || unansweredBytes + waitingBytes + bytes > LIMITS.backplaneUnsentBytes) {
        giveUp(1);
        return;
      }
      const channel = envelopes.channelOf(to);
      let batch = waiting.at(-1);
      if (batch?.channel !== channel || batch.bytes + bytes > LIMITS.backplaneMessageBytes) {
        batch = { to, channel, signals: [], bytes: 0 };
        waiting.push(batch);
      }
      batch.signals.push(text);
      batch.bytes += bytes;
      waitingBytes += bytes;
      if (isDue) return;
      isDue = true;
      setImmediate(() => void flush());
    },

    beat() {
      if (!line.ready) return;
      waiting.push(empty());
      void flush();
    },

    async stop() {
      await flush();
      if (line.ready) await send([empty()], true);
    },
  };
}
