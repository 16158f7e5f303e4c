/** The half that hears: the channels of this node, subscribed to anew on every connection. */
import type { Redis } from "ioredis";
import { createGroup } from "../../lib/group.ts";
import type { OpenedRedis } from "../../redis/connect.ts";

export interface EarOptions {
  readonly line: OpenedRedis<Redis>;
  /** Those that are heard always. */
  readonly channels: readonly string[];
  readonly onMessage: (channel: string, text: string) => void;
  /** All channels are heard on a connection that is new: nothing from before comes any more. */
  readonly onSubscribed: () => void;
}

export interface Ear {
  /** Whether all channels are heard, as far as the connection knows. */
  readonly subscribed: boolean;
  /** Resolves when it is heard, or cannot be for now. */
  listen(channel: string): Promise<void>;
  unlisten(channel: string): void;
  /** Gives the connection up, and tries another one. */
  again(): void;
}

/** Channels of one command: so that a node with many rooms does not keep Redis from everybody else. */
const CHANNELS_AT_ONCE = 500;

export function createEar({ line, channels, onMessage, onSubscribed }: EarOptions): Ear {
  const { client } = line;
  const wanted = new Set(channels);
  /** What this connection was told to hear. */
  let told = new Set<string>();
  let subscribed = false;

  const again = (): void => {
    subscribed = false;
    client.disconnect(true);
  };

  /** Tells the connection what became of these channels since it was told last. */
  const tell = async (touched: readonly string[]): Promise<void> => {
    const mine = told;
    const more = [...new Set(touched)].filter((channel) => wanted.has(channel) && !mine.has(channel));
    const fewer = [...new Set(touched)].filter((channel) => !wanted.has(channel) && mine.has(channel));
    for (const channel of more) mine.add(channel);
    for (const channel of fewer) mine.delete(channel);
    if (more.length > 0) await client.subscribe(...more);
    if (fewer.length > 0) await client.unsubscribe(...fewer);
  };

  const telling = createGroup<string, void>({
    most: CHANNELS_AT_ONCE,
    async commit(touched) {
      // Without a connection all of it is told to the next one.
      if (line.ready) await tell(touched).catch(again);
      return touched.map(() => undefined);
    },
  });

  client.on("ready", () => {
    const mine = new Set<string>();
    told = mine;
    const all = [...wanted].map((channel) => telling.add(channel));
    void Promise.all(all).then(() => {
      if (mine !== told || !line.ready) return;
      subscribed = true;
      onSubscribed();
    });
  });
  client.on("close", () => {
    subscribed = false;
  });
  client.on("message", (channel: string, text: string) => onMessage(channel, text));

  return {
    get subscribed() {
      return subscribed;
    },
    async listen(channel) {
      wanted.add(channel);
      if (line.ready) await telling.add(channel);
    },
    unlisten(channel) {
      wanted.delete(channel);
      if (line.ready) void telling.add(channel);
    },
    again,
  };
}
