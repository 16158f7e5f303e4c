/** One of several processes of a server, as its parent sees it. */
import { expect, test } from "bun:test";
import type { Host } from "../../src/cli/command.ts";
import { serveChild } from "../../src/cli/processes/child.ts";
import type { FromChild, ToChild } from "../../src/cli/processes/messages.ts";
import { within } from "../support/wait.ts";

/** A child whose parent answers its first word with this. */
function startChild(answer: ToChild | null) {
  const told: FromChild[] = [];
  const gone = Promise.withResolvers<void>();
  let hear: (message: unknown) => void = () => undefined;
  const host: Host = {
    out: () => undefined,
    err: () => undefined,
    isTerminal: false,
    untilSignal: () => new Promise(() => undefined),
    onSignal: () => undefined,
    onEnd: () => undefined,
    parentLine: () => ({
      send(message) {
        told.push(message as FromChild);
        if (answer !== null) queueMicrotask(() => hear(answer));
      },
      onMessage(listener) {
        hear = listener;
      },
      gone: gone.promise,
    }),
  };
  const ended = serveChild.run({ words: ["node-1"], flags: {}, json: false }, host);
  return { told, gone, ended };
}

test("a child that is to end before it was told what to be ends well, at once", async () => {
  const { told, ended } = startChild({ stop: true });
  expect(await within("its end", Promise.resolve(ended), 2000)).toBe(0);
  expect(told).toEqual([{ here: true }]);
});

test("one whose parent is gone before that ends as after a crash", async () => {
  const { gone, ended } = startChild(null);
  gone.resolve();
  expect(await within("its end", Promise.resolve(ended), 2000)).toBe(1);
});
