/** The contract of `RoomHistory` (src/sessions/history/history.ts) as a suite: every driver is held to the same one. */
import { describe, expect } from "bun:test";
import type { KeptMessage, RoomHistory } from "../../src/sessions/history/history.ts";
import { createCheck } from "./check.ts";

export interface OpenedRoomHistory {
  readonly history: RoomHistory;
  close(): Promise<void>;
}

const AT = 1_800_000_000_000;

function message(n: number, room = "lobby"): Omit<KeptMessage, "num"> {
  const id = `01890000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
  return { room, id, from: { userId: "mara", sessionId: "s" }, data: JSON.stringify({ n }), at: AT + n };
}

const idsOf = (messages: readonly KeptMessage[]): string[] => messages.map(({ id }) => id);
const ids = (...numbers: number[]): string[] => numbers.map((n) => message(n).id);

/** Declares the suite. `open` gives a history without messages, once for each test. */
export function describeRoomHistory(name: string, open: () => Promise<OpenedRoomHistory>): void {
  const check = createCheck(open, ({ history }) => history);

  describe(name, () => {
    check("messages come back as they were said, in order, each in its room", async (history) => {
      const given = [
        message(1),
        { ...message(2), from: null, data: JSON.stringify("ü \u{1F600} \u2028 '\"") },
        message(3, "other"),
        message(4),
      ];
      const nums: number[] = [];
      for (const one of given) nums.push((await history.append(one, 10)).num);
      expect(nums.toSorted((a, b) => a - b)).toEqual(nums);
      expect(new Set(nums).size).toBe(4);
      const kept = given.map((one, n) => Object.assign(one, { num: nums[n] ?? 0 }));
      expect(await history.page("lobby", 0, 10)).toEqual(kept.filter(({ room }) => room === "lobby"));
      expect(await history.page("other", 0, 10)).toEqual(kept.filter(({ room }) => room === "other"));
      expect(await history.page("nowhere", 0, 10)).toEqual([]);
    });

    check("given at once they keep the order in which they were given", async (history) => {
      const places = await Promise.all([1, 2, 3, 4, 5].map((n) => history.append(message(n), 10)));
      const nums = places.map(({ num }) => num);
      expect(nums.toSorted((a, b) => a - b)).toEqual(nums);
      expect(idsOf(await history.page("lobby", 0, 10))).toEqual(ids(1, 2, 3, 4, 5));
    });

    check("each is told which one of its room was the one before", async (history) => {
      const places = [];
      for (const [n, room] of [
        [1, "lobby"],
        [2, "other"],
        [3, "lobby"],
        [4, "lobby"],
      ] as const)
        places.push(await history.append(message(n, room), 1));
      const nums = places.map(({ num }) => num);
      expect(places.map(({ before }) => before)).toEqual([0, 0, nums[0] ?? -1, nums[2] ?? -1]);
    });

    check("a page goes on after a number, and has a limit", async (history) => {
      for (let n = 1; n <= 5; n += 1) await history.append(message(n), 10);
      const second = (await history.find("lobby", message(2).id)) ?? 0;
      expect(idsOf(await history.page("lobby", second, 2))).toEqual(ids(3, 4));
      expect(idsOf(await history.page("lobby", second, 9))).toEqual(ids(3, 4, 5));
      expect(await history.find("lobby", message(9).id)).toBeNull();
      expect(await history.find("other", message(2).id)).toBeNull();
    });

    check(
      "of a room the newest are kept and the one before them, of others nothing is taken",
      async (history) => {
        await history.append(message(100, "other"), 1);
        for (let n = 1; n <= 6; n += 1) await history.append(message(n), 3);
        expect(idsOf(await history.page("lobby", 0, 10))).toEqual(ids(3, 4, 5, 6));
        expect(idsOf(await history.page("lobby", await history.before("lobby", 3), 10))).toEqual(
          ids(4, 5, 6),
        );
        expect(idsOf(await history.page("lobby", await history.before("lobby", 9), 10))).toEqual(
          ids(3, 4, 5, 6),
        );
        expect(await history.before("nowhere", 3)).toBe(0);
        expect(idsOf(await history.page("other", 0, 10))).toEqual(ids(100));
        // A room that may keep less than before lets go of the rest.
        await history.append(message(7), 1);
        expect(idsOf(await history.page("lobby", 0, 10))).toEqual(ids(6, 7));
      },
    );

    check("old ones are swept, a few at a time, and no number is given again", async (history) => {
      let last = 0;
      for (let n = 1; n <= 5; n += 1) last = (await history.append(message(n), 10)).num;
      expect(await history.sweep(AT + 1, 10)).toBe(0);
      expect(await history.sweep(AT + 4, 2)).toBe(2);
      expect(await history.sweep(AT + 4, 2)).toBe(1);
      expect(await history.sweep(AT + 4, 2)).toBe(0);
      expect(idsOf(await history.page("lobby", 0, 10))).toEqual(ids(4, 5));
      expect(await history.sweep(AT + 10, 10)).toBe(2);
      const next = await history.append(message(6), 10);
      expect(next.num).toBeGreaterThan(last);
      expect(next.before).toBe(0);
    });

    check("an id is kept once in its room", async (history) => {
      await history.append(message(1), 10);
      expect(history.append(message(1), 10)).rejects.toThrow();
      await history.append({ ...message(1), room: "other" }, 10);
      expect(idsOf(await history.page("lobby", 0, 10))).toEqual(ids(1));
    });
  });
}
