/** R39: everybody is dropped at one moment. Returns are spread, nobody is left outside, and each goes on where it stood. */
import { expect, test } from "bun:test";
import { startServer } from "../support/server.ts";
import { startProxy } from "./proxy.ts";
import { allResumed, beginAnew, closeCrowd, openCrowd, type Member } from "./storm.ts";

const CROWD = 200;

/** Everybody waited for a while of his own choice: no tenth of a second was chosen by more than half of them. */
function expectSpread(crowd: readonly Member[]): void {
  const first = crowd.map(({ waits }) => waits[0] ?? Number.NaN);
  expect(Math.max(...first)).toBeLessThanOrEqual(500);
  const tenths = Map.groupBy(first, (wait) => Math.floor(wait / 100));
  expect(Math.max(...[...tenths.values()].map((group) => group.length))).toBeLessThan(crowd.length / 2);
}

test(`faults/R39 ${CROWD} clients dropped at once, by the network and by a crash: spread, and all resumed`, async () => {
  await using server = await startServer();
  await using proxy = await startProxy({ to: server.port });
  const crowd = await openCrowd(proxy.url, CROWD);
  const sessions = crowd.map(({ client }) => client.sessionId);
  const cursors = crowd.map(({ job }) => job.cursor);

  beginAnew(crowd);
  const cutMs = performance.now();
  for (const link of proxy.links) link.cut("reset");
  const afterCut = await allResumed(crowd, { sinceMs: cutMs, limitMs: 20_000 });
  expectSpread(crowd);
  for (const [n, { attached }] of crowd.entries()) {
    expect(attached).toMatchObject([{ after: cursors[n], recovered: true }]);
  }

  beginAnew(crowd);
  await server.restart();
  const upMs = performance.now();
  const afterCrash = await allResumed(crowd, { sinceMs: upMs, limitMs: 30_000 });
  for (const { attached } of crowd) expect(attached[0]?.recovered).toBe(true);
  expect(crowd.map(({ client }) => client.sessionId)).toEqual(sessions);
  for (const { job } of crowd) expect(job.ended).toBeNull();
  // The longest wait of the first few tries, and then some.
  expect(afterCut.at(-1)).toBeLessThan(5000);
  expect(afterCrash.at(-1)).toBeLessThan(15_000);
  closeCrowd(crowd);
}, 90_000);
