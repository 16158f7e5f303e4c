/** What a node makes of the numbers of others: a boot that takes the place of one that never said goodbye is a loss. */
import { expect, test } from "bun:test";
import { createEnvelopes, type Envelope } from "../../src/backplane/redis/envelope.ts";
import { createOutbox } from "../../src/backplane/redis/outbox.ts";
import { createPeers } from "../../src/backplane/redis/peers.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createVirtualClock } from "../handlers/virtual-clock.ts";

const NOW_MS = 1_000_000;

function heardFrom(boots: readonly [boot: string, number: number, mark: number, bye?: boolean][]) {
  const peers = createPeers("me");
  peers.begin(NOW_MS - LIMITS.backplaneSilentMs - 1);
  return boots.map(([boot, number, mark, bye]) =>
    peers.judge(
      { boot, node: "other", number, mark, at: NOW_MS, signals: [], ...(bye === true ? { bye } : {}) },
      true,
      NOW_MS,
    ),
  );
}

test("a node that is killed and starts again at once may have meant to say something", () => {
  const said = heardFrom([
    ["a", 1, 1],
    ["a", 2, 2],
    ["b", 1, 1],
    ["b", 2, 2],
    // Of the one before, and said already.
    ["a", 2, 2],
  ]);
  expect(said).toEqual(["new", "new", "missed", "new", "repeated"]);
});

test("one that said goodbye has said everything", () => {
  const said = heardFrom([
    ["a", 1, 1],
    ["a", 2, 2, true],
    ["b", 1, 1],
  ]);
  expect(said).toEqual(["new", "new", "new"]);
});

test("one that said goodbye is not missed, unless it is still expected when all must have noticed", () => {
  const peers = createPeers("me");
  peers.begin(NOW_MS);
  peers.expect(["me", "other"]);
  const said = { boot: "a", node: "other", number: 1, mark: 1, at: NOW_MS, signals: [] };
  peers.judge(said, true, NOW_MS);
  peers.judge({ ...said, number: 2, mark: 2, bye: true }, true, NOW_MS);
  expect(peers.silent(NOW_MS + LIMITS.backplaneSilentMs)).toEqual([]);
  expect(peers.silent(NOW_MS + LIMITS.backplaneSilentMs + 1)).toEqual(["other"]);
});

/** What goes out through a line that can be away; each text as it would be heard. */
function speaker() {
  const said: string[] = [];
  const line = {
    ready: true,
    close: () => {},
    client: {
      pipeline: () => {
        const texts: string[] = [];
        return {
          publish: (_channel: string, text: string) => void texts.push(text),
          exec: () => {
            said.push(...texts);
            return Promise.resolve(texts.map(() => [null, 1]));
          },
        };
      },
    },
  };
  const envelopes = createEnvelopes({ name: "one", secret: "s".repeat(32) });
  const clock = createVirtualClock();
  const outbox = createOutbox({
    line: line as never,
    envelopes,
    clock,
    node: "other",
    boot: "a",
    onSent: () => {},
    onDropped: () => {},
  });
  const next = (): Envelope => {
    outbox.beat();
    const envelope = envelopes.open(envelopes.channelOf("all"), said.shift() ?? "");
    if (envelope === null) throw new Error("nothing was said");
    return envelope;
  };
  return { line, outbox, next, nowMs: clock.steadyMs() };
}

test("faults/R43: what a node gave up after another one began to listen is missed, though its numbers are new there", () => {
  const { line, outbox, next, nowMs } = speaker();
  const peers = createPeers("me");
  const judge = (envelope: Envelope) => peers.judge(envelope, true, envelope.at);
  peers.begin(nowMs - LIMITS.backplaneSilentMs - 1);
  expect(judge(next())).toBe("new");
  // Redis is back: this node listens, and looks at everything. The other one cannot speak yet.
  line.ready = false;
  peers.begin(nowMs);
  outbox.put({ kind: "revocations" }, "all");
  line.ready = true;
  expect(judge(next())).toBe("missed");
  expect(judge(next())).toBe("new");
});
