/** `holdline selftest` as an operator runs it: a few seconds of kills on a real disk, and nothing left behind. */
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { holdline, temporaryFolder } from "../holdline.ts";

const LIMIT_MS = 60_000;

test(
  "faults/R03: selftest kills a server under load for seconds, and nothing is lost, doubled or contradicted",
  async () => {
    await using folder = await temporaryFolder();
    const data = join(folder.path, "data");
    const argv = ["selftest", "--seconds", "6", "--clients", "8", "--data-dir", data, "--json"];
    const { code, out, err } = await holdline(argv, { cwd: folder.path });
    const report = JSON.parse(out) as Record<string, unknown> & {
      kills: number;
      accepted: number;
      events: number;
    };
    expect({ code, err, flaws: report["flaws"] }).toEqual({ code: 0, err: "", flaws: [] });
    expect(report).toMatchObject({
      ok: true,
      lost: 0,
      duplicated: 0,
      gaps: 0,
      contradicted: 0,
      failedByRestart: 0,
      integrity: "ok",
      answered: report.accepted,
      kept: null,
    });
    // The load was there, and the kills met it; or this test tested nothing.
    expect(report.kills).toBeGreaterThan(0);
    expect(report.accepted).toBeGreaterThan(20);
    expect(report.events).toBeGreaterThan(200);
    // The folder was made for the test, and went with it.
    expect(await readdir(folder.path)).toEqual([]);
  },
  LIMIT_MS,
);

test("selftest refuses numbers that mean nothing, and touches nothing", async () => {
  await using folder = await temporaryFolder();
  for (const argv of [
    ["--seconds", "0"],
    ["--clients", "many"],
    ["--seconds", "1e3"],
    ["--clients", "1001"],
  ]) {
    const { code, err } = await holdline(["selftest", ...argv], { cwd: folder.path });
    expect(code).toBe(2);
    expect(err).toContain(`${argv[0]} needs a whole number`);
  }
  expect(await readdir(folder.path)).toEqual([]);
});
