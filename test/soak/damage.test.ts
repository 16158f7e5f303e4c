/** R12 as it stands: any byte of the database may be another one. What is shown of a log is what was stored. */
import { expect, test } from "bun:test";
import { flip, prepareDamage } from "../faults/disk/damage.ts";

const FLIPS = 100;

test("faults/R12: a byte anywhere in the database: its logs are shown as they were, or refused", async () => {
  await using damaged = await prepareDamage("SIGTERM");
  const { length } = damaged.bytes("holdline.db");
  const all = { whole: 0, short: 0, refused: 0, unstarted: 0 };
  for (let n = 0; n < FLIPS; n += 1) {
    const at = Math.floor(((n + 0.5) / FLIPS) * length);
    const refusal = await damaged.startWith("holdline.db", flip(damaged.bytes("holdline.db"), at));
    if (refusal !== null) {
      expect(refusal).toContain("cannot start");
      all.unstarted += 1;
      continue;
    }
    for (const [how, count] of Object.entries(await damaged.judge())) all[how as keyof typeof all] += count;
  }
  // Most of a small database is room that nobody uses.
  expect(all.whole).toBeGreaterThan(0);
  expect(all.refused + all.unstarted).toBeGreaterThan(0);
}, 300_000);
