/** `holdline bench`: it measures a server of its own, and leaves nothing behind. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { holdline, temporaryFolder } from "./holdline.ts";

test("bench prints figures of this machine, for people and for scripts", async () => {
  await using folder = await temporaryFolder();
  const { code, out, err } = await holdline(["bench", "--seconds", "1", "--json"], { cwd: folder.path });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const report = JSON.parse(out) as {
    acceptedPerSecond: number;
    eventsPerSecond: number;
    acceptMs: { count: number; p50: number; p99: number };
    firstTextMs: { count: number; p50: number };
  };
  expect(report.acceptedPerSecond).toBeGreaterThan(1);
  expect(report.eventsPerSecond).toBeGreaterThan(1);
  expect(report.acceptMs.count).toBeGreaterThan(0);
  expect(report.acceptMs.p99).toBeGreaterThanOrEqual(report.acceptMs.p50);
  expect(report.firstTextMs.p50).toBeGreaterThan(0);
  expect(readdirSync(folder.path)).toEqual([]);
  const words = await holdline(["bench", "--seconds", "1", "--durability", "process"], { cwd: folder.path });
  expect(words.code).toBe(0);
  expect(words.out).toMatch(/^ {2}jobs accepted +[\d,]+ a second, not waiting for the disk$/m);
  expect(words.out).toMatch(/^ {2}events delivered +[\d,]+ a second/m);
});
