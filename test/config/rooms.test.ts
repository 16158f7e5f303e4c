/** `[rooms."PATTERN"]` of holdline.toml: what is read from it, and what a slip is answered with. */
import { expect, test } from "bun:test";
import { load, refused } from "./load.ts";

test("rooms are read by pattern, in the order of the file", () => {
  const file = '[rooms."news/*"]\nhistory = 100\n[rooms.lobby]\nhistory = 1000\n[rooms."*"]\n';
  expect(load({ file }).config.rooms).toEqual([
    { pattern: "news/*", history: 100 },
    { pattern: "lobby", history: 1000 },
    { pattern: "*", history: 0 },
  ]);
  expect(load({}).config.rooms).toEqual([]);
});

test("what is wrong is told with its place and what is allowed", () => {
  const file = [
    "rooms.lobby = 7",
    '[rooms."a b"]',
    '[rooms."x*y"]',
    "[rooms.news]",
    "histry = 3",
    "[rooms.most]",
    "history = 1001",
  ].join("\n");
  const lines = refused({ file });
  expect(lines).toHaveLength(5);
  expect(lines[0]).toContain("rooms.lobby (holdline.toml line 1) is not a table");
  for (const line of [lines[1], lines[2]]) expect(line).toContain("is not the name of a room");
  expect(lines[3]).toContain("rooms.news.histry (holdline.toml line 5) is not a key");
  expect(lines[3]).toContain("Did you mean history?");
  expect(lines[4]).toContain("a whole number from 0 to 1000");
  expect(refused({ file: "rooms = 3" })[0]).toContain("is not a table");
});
