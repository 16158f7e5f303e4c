/** Both example workers are held by `holdline worker-conformance`, which plays the server. */
import { expect, test } from "bun:test";
import { holdline } from "../cli/holdline.ts";
import { commandOf, EXAMPLE_WORKERS } from "../support/example-worker.ts";

const INPUT = JSON.stringify({
  text: Array.from({ length: 200 }, (_, n) => `w${n}`).join(" "),
  pauseMs: 100,
});

test.each([...EXAMPLE_WORKERS])(
  "examples/%s passes every check",
  async (example) => {
    const worker = commandOf(example).join(" ");
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
