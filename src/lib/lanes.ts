/** Work that only so much of may be under way at a time: first come, first served, and whoever waits costs one entry. */

export interface Lanes {
  /** Runs `work` when its turn comes; settles as it does. */
  run<Value>(work: () => Promise<Value>): Promise<Value>;
  /** How much stands in line. */
  readonly waiting: number;
}

export interface LanesOptions {
  /** How much of it is under way at most. */
  readonly most: number;
  /** Asked before each piece of work; what it returns is waited for. */
  readonly before?: () => Promise<void> | null;
}

/** Places that were taken and are still held. */
const CUT_AFTER = 256;

export function createLanes({ most, before }: LanesOptions): Lanes {
  // A row with a place that moves: taking the first of an array costs as much as the array is long. What was taken is cut
  // off now and then, since a line that never empties would keep all that ever stood in it.
  let row: (() => Promise<void>)[] = [];
  let next = 0;
  let open = 0;

  const take = (): (() => Promise<void>) | undefined => {
    const work = row[next];
    next += 1;
    if (next >= CUT_AFTER || next >= row.length) {
      row = row.slice(next);
      next = 0;
    }
    return work;
  };

  const lane = async (): Promise<void> => {
    for (let work = take(); work !== undefined; work = take()) {
      const rest = before?.() ?? null;
      if (rest !== null) await rest;
      await work();
    }
    open -= 1;
  };

  return {
    run: (work) =>
      new Promise((resolve, reject) => {
        row.push(() => work().then(resolve, reject));
        if (open >= most) return;
        open += 1;
        void lane();
      }),
    get waiting() {
      return row.length - next;
    },
  };
}
