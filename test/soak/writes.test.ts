/** R11 as it stands: the n-th write fails for every n of a load, on a full disk and on a failing one. */
import { expect, test } from "bun:test";
import { failWrite } from "../faults/disk/writes.ts";

const NUMBERS = Array.from({ length: 30 }, (_, n) => String(n + 1));
const LIMIT_MS = 60_000;

test.each(NUMBERS)(
  "faults/R11: no room at write %s",
  async (when) => {
    expect((await failWrite("ENOSPC", when)).ended).toBe(false);
  },
  LIMIT_MS,
);

test.each(NUMBERS)(
  "faults/R11: a failing device at write %s",
  async (when) => {
    await failWrite("EIO", when);
  },
  LIMIT_MS,
);
