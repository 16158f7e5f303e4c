/** R11: a write fails, and later ones succeed or do not. The sweep over every n is in soak/writes. */
import { expect, test } from "bun:test";
import { failWrite } from "./writes.ts";

test.each(["3", "10+"])(
  "faults/R11: no room at write %s refuses what was hit, and nothing is half there",
  async (when) => {
    const { hits, ended } = await failWrite("ENOSPC", when);
    expect(hits).toBeGreaterThan(0);
    // A full disk is no reason to end.
    expect(ended).toBe(false);
  },
);

test("faults/R11: a write that fails on the device ends the server, and nothing is half there", async () => {
  const { hits, ended } = await failWrite("EIO", "7");
  expect({ hits, ended }).toEqual({ hits: 1, ended: true });
});
