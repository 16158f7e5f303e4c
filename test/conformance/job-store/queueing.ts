/** Conformance of the order of the queue: priority, then the users in turn, then age. */
import { expect } from "bun:test";
import type { JobId, UserId } from "../../../src/lib/ids.ts";
import { USER, type Check, type Drive } from "../drive.ts";

const MODEST = "user-modest" as UserId;
const THIRD = "user-third" as UserId;

/** Ids in the order in which one claim after the other takes them. */
async function claimOrder(on: Drive, types: readonly string[], most: number): Promise<JobId[]> {
  const order: JobId[] = [];
  for (let n = 0; n < most; n += 1) {
    const runs = await on.claim({ types: types.map((type) => ({ type, most: 10 })), most: 1 });
    order.push(...runs.map(({ id }) => id));
  }
  return order;
}

function submitMany(on: Drive, count: number, options: Parameters<Drive["submit"]>[0]): Promise<JobId[]> {
  return Promise.all(Array.from({ length: count }, () => on.submit(options)));
}

export function queueing(check: Check): void {
  check("serves the highest priority first, and within one the oldest", async (on) => {
    const ids: JobId[] = [];
    for (const priority of [5, 0, 9, 5, 9]) ids.push(await on.submit({ priority }));
    const [five, zero, nine, fiveToo, nineToo] = ids as [JobId, JobId, JobId, JobId, JobId];
    const runs = await on.claim();
    expect(runs.map(({ id }) => id)).toEqual([nine, nineToo, five, fiveToo, zero]);
  });

  check("serves the highest priority first over several types too", async (on) => {
    const low = await on.submit({ type: "a", priority: 1 });
    const high = await on.submit({ type: "b", priority: 8 });
    const middle = await on.submit({ type: "a", priority: 5 });
    expect(await claimOrder(on, ["a", "b"], 3)).toEqual([high, middle, low]);
  });

  check("serves types in turn: many jobs of one do not shut out another", async (on) => {
    await submitMany(on, 30, { type: "a" });
    const other = await on.submit({ type: "b", userId: MODEST });
    expect((await claimOrder(on, ["a", "b"], 2)).includes(other)).toBe(true);
  });

  check("serves the users in turn within a priority", async (on) => {
    const [a1, a2, a3] = await submitMany(on, 3, {});
    const [b1, b2] = await submitMany(on, 2, { userId: MODEST });
    const [c1] = await submitMany(on, 1, { userId: THIRD });
    expect(await claimOrder(on, ["work"], 6)).toEqual([a1, b1, c1, a2, b2, a3] as JobId[]);
  });

  check("puts the first job of a user behind at most one of another's 5,000", async (on) => {
    await submitMany(on, 5000, {});
    const first = await on.submit({ userId: MODEST });
    expect((await claimOrder(on, ["work"], 2)).includes(first)).toBe(true);

    // Neither is it different once many of them have been served.
    await on.claim({ most: 2000 });
    const later = await on.submit({ userId: THIRD });
    expect((await claimOrder(on, ["work"], 2)).includes(later)).toBe(true);
  });

  check("does not let a newcomer's many jobs overtake those that wait already", async (on) => {
    const old = await submitMany(on, 40, {});
    const served = await on.claim({ most: 30 });
    for (const run of served) await on.succeed(run);
    await submitMany(on, 40, { userId: MODEST });
    const order = await claimOrder(on, ["work"], 12);
    // Ten of the old ones wait; in turn, six of the next twelve are theirs.
    expect(order.filter((id) => old.includes(id)).length).toBeWithin(5, 8);
  });

  check("gives nobody a turn in advance for having been away", async (on) => {
    const early = await submitMany(on, 3, { userId: THIRD });
    await claimOrder(on, ["work"], 3);
    await submitMany(on, 20, {});
    await claimOrder(on, ["work"], 10);
    await submitMany(on, 10, { userId: THIRD });
    const order = await claimOrder(on, ["work"], 8);
    const owners: UserId[] = [];
    for (const id of order) owners.push((await on.job(id)).userId);
    expect(early).toHaveLength(3);
    expect(owners.filter((owner) => owner === USER).length).toBeWithin(3, 6);
  });

  check("is not moved on by a job that is canceled while it waits", async (on) => {
    const waiting = await submitMany(on, 20, {});
    await on.cancel(waiting.at(-1) ?? (await on.submit()));
    const first = await on.submit({ userId: MODEST });
    expect((await claimOrder(on, ["work"], 2)).includes(first)).toBe(true);
  });

  check("lets a user begin anew whose waiting jobs are gone", async (on) => {
    for (const id of await submitMany(on, 20, {})) await on.cancel(id);
    await submitMany(on, 5, { userId: MODEST });
    const fresh = await on.submit();
    expect((await claimOrder(on, ["work"], 2)).includes(fresh)).toBe(true);
  });

  check("keeps the turn of a job that is retried", async (on) => {
    const [a1] = await submitMany(on, 3, {});
    const [run] = await on.claim({ most: 1 });
    expect(run?.id).toBe(a1 as JobId);
    if (run !== undefined) await on.release(run);
    expect(await claimOrder(on, ["work"], 1)).toEqual([a1] as JobId[]);
  });

  check("keeps the turns of each priority apart", async (on) => {
    await submitMany(on, 3, { priority: 9 });
    const [low1, low2] = await submitMany(on, 2, { priority: 1 });
    const [modest] = await submitMany(on, 1, { priority: 1, userId: MODEST });
    expect((await claimOrder(on, ["work"], 6)).slice(3)).toEqual([low1, modest, low2] as JobId[]);
  });
}
