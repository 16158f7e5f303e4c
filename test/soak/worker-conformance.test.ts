/** Both example workers, and one that does not stream, are held by `holdline worker-conformance`, which plays the server. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { holdline } from "../cli/holdline.ts";
import { commandOf, EXAMPLE_WORKERS } from "../support/example-worker.ts";

const INPUT = JSON.stringify({
  text: Array.from({ length: 200 }, (_, n) => `w${n}`).join(" "),
  pauseMs: 100,
});

const WORKERS = [
  ...EXAMPLE_WORKERS.map((example) => [`examples/${example}`, commandOf(example)] as const),
  [
    "a worker that sends each item by itself",
    [process.execPath, "--no-env-file", resolve(import.meta.dir, "../support/plain-worker.ts")],
  ] as const,
];

test.each(WORKERS)(
  "%s passes every check",
  async (_, command) => {
    const worker = command.join(" ");
    const argv = ["worker-conformance", "--worker", worker, "--type", "story", "--input", INPUT, "--json"];
    const { code, out } = await holdline(argv);
    const { checks } = JSON.parse(out) as {
      checks: { name: string; passed: boolean; reason: string | null }[];
    };
    expect(checks.filter(({ passed }) => !passed)).toEqual([]);
    expect(code).toBe(0);
  },
  240_000,
);
