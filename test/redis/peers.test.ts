/** What a node makes of the numbers of others: a boot that takes the place of one that never said goodbye is a loss. */
import { expect, test } from "bun:test";
import { createPeers } from "../../src/backplane/redis/peers.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

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
