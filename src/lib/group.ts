/**
 * Group commit: whatever arrives while one batch is being committed goes into the next.
 *
 * No fixed window: a lone item is committed at the end of the turn of the event loop in which it came, and under load
 * the batches grow by themselves with the time a commit takes (measured: a window saves no CPU and costs latency).
 */

export interface Group<Item, Result> {
  /** Resolves with the item's own result when its batch is committed; rejects when the batch failed. */
  add(item: Item): Promise<Result>;
  /** Items that wait or are being committed. */
  readonly pending: number;
  /** Resolves when nothing is pending any more. */
  idle(): Promise<void>;
}

interface Entry<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

export interface GroupOptions<Item, Result> {
  /** Commits the items in order; the results are in the same order. A rejection fails every item of the batch. */
  readonly commit: (items: Item[]) => Promise<Result[]>;
  /** Most items of one batch, so that one commit stays short. */
  readonly most: number;
  /** Calls back when this turn of the event loop is over; the runtime's own by default. */
  readonly afterTurn?: AfterTurn;
}

export type AfterTurn = (run: () => void) => void;

export function createGroup<Item, Result>(options: GroupOptions<Item, Result>): Group<Item, Result> {
  const afterTurn = options.afterTurn ?? ((run): void => void setImmediate(run));
  const waiting: Entry<Item, Result>[] = [];
  let running = 0;
  let scheduled = false;
  const idleWaiters: (() => void)[] = [];

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, options.most);
      running = batch.length;
      try {
        const results = await options.commit(batch.map((entry) => entry.item));
        for (const [index, entry] of batch.entries()) entry.resolve(results[index] as Result);
      } catch (error) {
        for (const entry of batch) entry.reject(error as Error);
      }
      running = 0;
    }
    scheduled = false;
    for (const wake of idleWaiters.splice(0)) wake();
  };

  return {
    add(item) {
      return new Promise<Result>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (scheduled) return;
        scheduled = true;
        // After the turn, not as a microtask: everything this turn of the loop brings (several requests, the claim that
        // follows a submit) belongs to one batch.
        afterTurn(() => void run());
      });
    },
    get pending() {
      return waiting.length + running;
    },
    idle() {
      if (!scheduled) return Promise.resolve();
      return new Promise((resolve) => {
        idleWaiters.push(resolve);
      });
    },
  };
}
