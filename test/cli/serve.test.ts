/** The life of a server as `holdline serve` leads it: start, signal, failure, an end that does not come. */
import { describe, expect, test } from "bun:test";
import type { Host } from "../../src/cli/command.ts";
import { type Life, live, STOP_GRACE_MS } from "../../src/cli/life.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/logger.ts";

interface Stage {
  readonly life: Life;
  /** What happened, in order: calls of the application, and messages of the log. */
  readonly story: string[];
  readonly err: string[];
  readonly signal: (name: string) => void;
  readonly askDrain: () => void;
  readonly fail: (error: Error) => void;
  /** Runs the timer of that length. */
  readonly elapse: (delayMs: number) => void;
}

interface Script {
  readonly start?: () => Promise<void>;
  readonly stop?: () => Promise<void>;
}

/** An application, a host and a clock that do what the test says. */
function stage({ start, stop }: Script = {}): Stage {
  const story: string[] = [];
  const err: string[] = [];
  const signaled = Promise.withResolvers<string>();
  const failed = Promise.withResolvers<Error>();
  const drain = Promise.withResolvers<void>();
  const timers = new Map<number, () => void>();
  const host: Host = {
    out: () => undefined,
    err: (text) => void err.push(text),
    isTerminal: false,
    untilSignal: () => {
      story.push("listens for signals");
      return signaled.promise;
    },
    onSignal: () => undefined,
    parentLine: () => null,
    onEnd: () => undefined,
  };
  const clock: Clock = {
    wallMs: () => 0,
    steadyMs: () => 0,
    elapsedMs: () => 0,
    every: () => ({ cancel: () => undefined }),
    after(delayMs, run) {
      timers.set(delayMs, run);
      return { cancel: () => void timers.delete(delayMs) };
    },
  };
  const app = {
    url: "http://127.0.0.1:1",
    failed: failed.promise,
    drainAsked: drain.promise,
    async start() {
      story.push("start");
      await start?.();
    },
    async stop() {
      story.push("stop");
      await stop?.();
    },
  };
  const write = (line: string): void => {
    const { msg, url } = JSON.parse(line) as { msg: string; url?: string };
    story.push(url === undefined ? `log: ${msg}` : `log: ${msg} ${url}`);
  };
  const logger = createLogger({ level: "info", pretty: false, write });
  return {
    life: { app, logger, host, drainMs: 30_000, clock },
    story,
    err,
    signal: signaled.resolve,
    askDrain: drain.resolve,
    fail: failed.resolve,
    elapse: (delayMs) => timers.get(delayMs)?.(),
  };
}

const LISTENING = "log: listening http://127.0.0.1:1";

describe("serve", () => {
  test("says where it listens, stops at a signal, and ends with 0", async () => {
    const { life, story, err, signal } = stage();
    const code = live(life);
    signal("SIGTERM");
    expect(await code).toBe(0);
    expect(story).toEqual([
      "listens for signals",
      "start",
      LISTENING,
      "log: stopping",
      "stop",
      "log: stopped",
    ]);
    expect(err).toEqual([]);
  });

  test("stops the same way when it is asked to over its own API", async () => {
    const { life, story, askDrain } = stage();
    const code = live(life);
    askDrain();
    expect(await code).toBe(0);
    expect(story.slice(2)).toEqual([LISTENING, "log: stopping", "stop", "log: stopped"]);
  });

  test("lets a start that a signal interrupts come to its end, and stops then", async () => {
    const started = Promise.withResolvers<void>();
    const { life, story, signal } = stage({ start: () => started.promise });
    const code = live(life);
    signal("SIGINT");
    expect(story).toEqual(["listens for signals", "start"]);
    started.resolve();
    expect(await code).toBe(0);
    expect(story.slice(2)).toEqual([LISTENING, "log: stopping", "stop", "log: stopped"]);
  });

  test("ends with 1 when it cannot start, and says why in the log and on stderr", async () => {
    const { life, story, err } = stage({ start: () => Promise.reject(new Error("port taken")) });
    expect(await live(life)).toBe(1);
    expect(story).toEqual(["listens for signals", "start", "log: cannot start"]);
    expect(err).toEqual(["holdline: cannot start: port taken\n"]);
  });

  test.each([
    { what: "the reason of a failed start", error: new Error("port taken"), logged: [] },
    { what: "a mistake of its own", error: new TypeError("x is undefined"), logged: ["log: cannot start"] },
  ])(
    "on a terminal, where log and stderr are read together, $what is told: once, or with its place in the code",
    async (row) => {
      const { life, story, err } = stage({ start: () => Promise.reject(row.error) });
      expect(await live({ ...life, host: { ...life.host, isTerminal: true } })).toBe(1);
      expect(story.slice(2)).toEqual([...row.logged]);
      expect(err).toEqual([`holdline: cannot start: ${row.error.message}\n`]);
    },
  );

  test("ends with 1 when the application cannot go on", async () => {
    const { life, story, err, fail } = stage();
    const code = live(life);
    fail(new Error("disk gone"));
    expect(await code).toBe(1);
    expect(story.slice(2)).toEqual([LISTENING, "log: cannot go on"]);
    expect(err).toEqual(["holdline: cannot go on: disk gone\n"]);
  });

  test("waits for a stop as long as the drain may take and a little longer, then ends with 1", async () => {
    const stopping = Promise.withResolvers<void>();
    const never = new Promise<void>(() => undefined);
    const { life, err, signal, elapse } = stage({
      stop() {
        stopping.resolve();
        return never;
      },
    });
    const code = live(life);
    signal("SIGTERM");
    await stopping.promise;
    elapse(30_000 + STOP_GRACE_MS);
    expect(await code).toBe(1);
    expect(err).toEqual(["holdline: cannot stop: not done after 45000 ms\n"]);
  });

  test("ends with 1 when the stop fails", async () => {
    const { life, story, err, signal } = stage({ stop: () => Promise.reject(new Error("no commit")) });
    const code = live(life);
    signal("SIGTERM");
    expect(await code).toBe(1);
    expect(story.slice(3)).toEqual(["log: stopping", "stop", "log: cannot stop"]);
    expect(err).toEqual(["holdline: cannot stop: no commit\n"]);
  });
});
